import errno
import json
import os
from functools import partial
from pathlib import Path

import pytest

from fewlabel import files, locks
from fewlabel.data import write_labels
from fewlabel.errors import FewLabelError, RunFolderError, StorageError, UsageError
from fewlabel.files import _check_new_folder, _check_suffix, atomic_file, atomic_folder


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def earlier_run(path, text="old"):
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps({"fewlabel_version": "0.1"}))
    (path / "predictions.csv").write_text(text)
    return path


def disk_error(number=errno.ENOSPC, *args):
    raise OSError(number, os.strerror(number), *args)


def break_off(output, failure):
    with output as temporary:
        (temporary if temporary.is_file() else temporary / "half").write_text("half")
        raise failure


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_file_is_written_with_its_folders_and_stays_until_a_new_one_is_whole(
    tmp_path, usual_umask
):
    target = tmp_path / "a" / "b" / "out.csv"
    for text in ("old", "new"):
        with atomic_file(target) as temporary:
            assert temporary.suffix == ".csv"
            assert temporary.parent == target.parent
            temporary.write_text(text)
            assert (target.read_text() if target.exists() else "") == ("old" * (text == "new"))
        assert target.read_text() == text
        assert names(target.parent) == ["out.csv"]
        assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("output", [atomic_file, partial(atomic_folder, force=True)])
def test_no_room(number, output, tmp_path, monkeypatch):
    message = r"No room left on the disk to write .*run: nothing"
    if isinstance(output, partial):
        earlier_run(tmp_path / "run")
    before = names(tmp_path)
    with pytest.raises(StorageError, match=message), output(tmp_path / "run"):
        disk_error(number)
    # Some file systems only say so when the file is flushed.
    monkeypatch.setattr(files.os, "fsync", lambda handle: disk_error(number))
    with pytest.raises(StorageError, match=message), output(tmp_path / "run") as temporary:
        (temporary / "big" if temporary.is_dir() else temporary).write_text("half")
    assert names(tmp_path) == before
    assert not before or (tmp_path / "run" / "predictions.csv").read_text() == "old"


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        disk_error(errno.EACCES, str(tmp_path / ".fewlabel-tmp-x"))

    monkeypatch.setattr(locks.tempfile, "mkstemp", refuse)
    message = r"out cannot be written \(there is no permission\): give another"
    with pytest.raises(StorageError, match=message), atomic_file(tmp_path / "out"):
        pass


@pytest.mark.parametrize("kind", [PermissionError, FileNotFoundError])
def test_an_error_about_another_file_is_handed_on(kind, tmp_path):
    error = kind(errno.EACCES, "Not possible", "/elsewhere/photo.jpg")
    with pytest.raises(kind) as caught, atomic_file(tmp_path / "out"):
        raise error
    assert caught.value is error
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["table/out.csv", "table/deep/out.csv", "folder"])
def test_something_is_in_the_way(name, tmp_path):
    (tmp_path / "table").write_text("mine")
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(StorageError, match=r"cannot be written \(.* is in the way\): give"),
        atomic_file(tmp_path / name) as temporary,
    ):
        temporary.write_text("new")
    assert (tmp_path / "table").read_text() == "mine"
    assert names(tmp_path) == ["folder", "table"]


def test_a_folder_appears_whole(tmp_path, usual_umask):
    target = tmp_path / "deep" / "run"
    with atomic_folder(target) as temporary:
        (temporary / "model").mkdir()
        (temporary / "model" / "weights").write_text("1")
        assert not target.exists()
    assert (target / "model" / "weights").read_text() == "1"
    assert names(target.parent) == ["run"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, SystemExit, MemoryError])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_leaves_what_was_there_and_nothing_else(failure, there, tmp_path):
    run, file = tmp_path / "run", tmp_path / "out.csv"
    if there:
        earlier_run(run)
        file.write_text("old")
    for output in (atomic_folder(run, force=True), atomic_file(file)):
        with pytest.raises(failure):
            break_off(output, failure)
    assert names(tmp_path) == (["out.csv", "run"] if there else [])
    if there:
        assert file.read_text() == (run / "predictions.csv").read_text() == "old"


def test_an_empty_folder_is_filled_and_an_earlier_run_replaced_by_force(tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("first", "second"):
        with atomic_folder(tmp_path / "run", force=name == "second") as temporary:
            (temporary / "metrics.json").write_text('{"fewlabel_version": "0.1"}')
            (temporary / name).write_text("new")
            assert (tmp_path / "run" / "first").exists() == (name == "second")
        assert names(tmp_path / "run") == sorted([name, "metrics.json"])
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", [1, 2])
def test_a_failure_between_the_renames_brings_the_old_folder_back(
    failure, step, tmp_path, monkeypatch
):
    target = earlier_run(tmp_path / "run")
    rename = Path.replace
    calls = []

    def fail_once(self, other):
        calls.append(self.name)
        if len(calls) == step:
            raise failure
        return rename(self, other)

    monkeypatch.setattr(Path, "replace", fail_once)
    with pytest.raises(type(failure)), atomic_folder(target, force=True) as temporary:
        (temporary / "new").write_text("new")
    assert names(tmp_path) == ["run"]
    assert (target / "predictions.csv").read_text() == "old"


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_folder_without_a_name_of_its_own_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunFolderError, match="is not the name of a new folder: give one with"):
        _check_new_folder(name)


def test_what_fewlabel_wrote_needs_force(tmp_path):
    _check_new_folder(tmp_path / "run")
    _check_new_folder(tmp_path)
    run, model = earlier_run(tmp_path / "run"), tmp_path / "model"
    model.mkdir()
    (model / "manifest.json").write_text('{"format": "fewlabel-model", "format_version": 1}')
    for folder in (run, model):
        with pytest.raises(RunFolderError, match=r"exists already: .* or --force to replace it"):
            _check_new_folder(folder)
        _check_new_folder(folder, force=True)


@pytest.mark.parametrize(
    "content",
    [
        {"photo.jpg": "mine"},
        # Other programs write files of these names, too.
        {"metrics.json": '{"accuracy": 0.9}'},
        {"metrics.json": '["fewlabel_version"]'},
        {"metrics.json": '"fewlabel_version"'},
        {"metrics.json": "not JSON: fewlabel_version"},
        {"metrics.json": "[" * 100_000},
        {"metrics.json": "\0\xff"},
        {"metrics.json": ""},
        {"metrics.json/photo.jpg": "mine"},
        {"manifest.json": '{"name": "a web app"}'},
        {"manifest.json": '{"format": "other-model"}'},
        {"manifest.json": '{"fewlabel_version": "1"}', "photo.jpg": "mine"},
    ],
)
def test_force_never_replaces_what_fewlabel_did_not_write(content, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(RunFolderError, match="exists and was not written by fewlabel, so --force"):
        _check_new_folder(folder, force=True)
    with pytest.raises(RunFolderError), atomic_folder(folder, force=True):
        pytest.fail("the block must not run")
    assert names(folder) == sorted(name.split("/")[0] for name in content)


@pytest.mark.parametrize("force", [True, False])
def test_a_file_or_a_link_is_never_replaced(force, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(earlier_run(tmp_path / "run"))
    for name in ("file", "broken", "link"):
        message = f"{name} exists and is not a folder: give another"
        with pytest.raises(RunFolderError, match=message):
            _check_new_folder(tmp_path / name, force=force)


@pytest.mark.parametrize("name", ["n" * 255, "n" * 251 + ".csv", "\u00e9" * 127, "x." + "y" * 200])
def test_a_name_of_the_greatest_length_is_written(name, tmp_path):
    with atomic_file(tmp_path / name) as temporary:
        temporary.write_text("new")
    (tmp_path / name).unlink()
    for force in (False, True):
        with atomic_folder(tmp_path / name, force=force) as temporary:
            (temporary / "metrics.json").write_text('{"fewlabel_version": "0.1"}')
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("output", [atomic_file, atomic_folder, _check_new_folder])
@pytest.mark.parametrize("name", ["n" * 300, "d/" * 3000, "n" * 300 + "/x"])
def test_a_name_that_is_too_long_is_refused(output, name, tmp_path):
    message = r"cannot be written.* longer than the system allows"
    with pytest.raises(FewLabelError, match=message), output(tmp_path / name):
        pytest.fail("the block must not run")


def test_no_room_in_a_folder_names_the_folder(tmp_path):
    message = r"write \S*run: nothing was written"
    with (
        pytest.raises(StorageError, match=message),
        atomic_folder(tmp_path / "run") as temporary,
        atomic_file(temporary / "a.csv"),
    ):
        disk_error()
    assert names(tmp_path) == []


def test_what_a_suffix_promises():
    for name in ("out.csv", "OUT.CSV", "out", "out.txt", "out.v2", "2026.11"):
        _check_suffix(name, "a CSV table", ".csv")
    for name, better in (("a/p.xlsx", "a/p.csv"), ("p.JSON", "p.csv"), ("p.csv.gz", "p.csv.csv")):
        with pytest.raises(UsageError, match=f"{name} would be a CSV .*: name it {better} instead"):
            _check_suffix(name, "a CSV table", ".csv")
    with pytest.raises(UsageError, match=r"s3://b/p.csv is an address: give a place on this"):
        _check_suffix("s3://b/p.csv", "a CSV table", ".csv")
    with pytest.raises(UsageError, match=r"run.zip would be a folder, and .* name it run instead"):
        _check_suffix("run.zip", "a folder")


def test_a_table_is_no_spreadsheet(tmp_path):
    with pytest.raises(UsageError, match=r"labels\.xlsx would be a CSV table"):
        write_labels(tmp_path / "labels.xlsx", ["a.png"], ["cat"], by_index=False)
    assert not list(tmp_path.iterdir())
