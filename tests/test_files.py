import errno
import json
import os
from pathlib import Path

import pytest

from fewlabel import files
from fewlabel.errors import RunFolderError, StorageError
from fewlabel.files import atomic_file, atomic_folder, check_new_folder


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def earlier_run(path, text="old"):
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps({"fewlabel_version": "0.1"}))
    (path / "predictions.csv").write_text(text)
    return path


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


FAILURES = [KeyboardInterrupt, ValueError, SystemExit, MemoryError]


# atomic_file


def test_a_file_is_written_with_its_folders(tmp_path, usual_umask):
    target = tmp_path / "a" / "b" / "out.csv"
    with atomic_file(target) as temporary:
        assert temporary.suffix == ".csv"
        assert temporary.parent == target.parent
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["out.csv"]
    assert target.stat().st_mode & 0o777 == 0o644


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with atomic_file(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_leaves_the_old_file_and_nothing_else(failure, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def write():
        with atomic_file(target) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_for_a_file(number, tmp_path):
    def write():
        with atomic_file(tmp_path / "out.csv") as temporary:
            temporary.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(
        StorageError, match=r"No room left on the disk to write .*out\.csv: nothing"
    ):
        write()
    assert names(tmp_path) == []


def test_no_room_when_the_file_is_flushed(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with (
        pytest.raises(StorageError, match="No room left"),
        atomic_file(tmp_path / "a") as temporary,
    ):
        temporary.write_text("half")
    assert names(tmp_path) == []


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".out"))

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with (
        pytest.raises(StorageError, match=r"out cannot be written \(no permission\): give another"),
        atomic_file(tmp_path / "out"),
    ):
        pass


def test_an_error_about_another_file_is_handed_on(tmp_path):
    def write(error):
        with atomic_file(tmp_path / "out"):
            raise error

    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/photo.jpg")
    with pytest.raises(PermissionError) as caught:
        write(elsewhere)
    assert caught.value is elsewhere
    with pytest.raises(FileNotFoundError):
        write(FileNotFoundError(errno.ENOENT, "No such file", str(tmp_path / "photo.jpg")))
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["table/out.csv", "table/deep/out.csv"])
def test_a_file_stands_where_the_folder_should_be(name, tmp_path):
    (tmp_path / "table").write_text("mine")
    with (
        pytest.raises(StorageError, match=r"cannot be written \(.*table.* is in the way\): give"),
        atomic_file(tmp_path / name),
    ):
        pass
    assert (tmp_path / "table").read_text() == "mine"


def test_a_folder_stands_where_the_file_should_be(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with (
        pytest.raises(StorageError, match=r"out\.csv is in the way"),
        atomic_file(tmp_path / "out.csv") as temporary,
    ):
        temporary.write_text("new")
    assert names(tmp_path) == ["out.csv"]


# atomic_folder


def test_a_folder_appears_whole(tmp_path, usual_umask):
    target = tmp_path / "deep" / "run"
    with atomic_folder(target) as temporary:
        (temporary / "model").mkdir()
        (temporary / "model" / "weights").write_text("1")
        assert not target.exists()
    assert (target / "model" / "weights").read_text() == "1"
    assert names(target.parent) == ["run"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_leaves_the_old_folder_and_nothing_else(failure, there, tmp_path):
    target = tmp_path / "run"
    if there:
        earlier_run(target)

    def write():
        with atomic_folder(target, force=True) as temporary:
            (temporary / "half").write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert names(tmp_path) == (["run"] if there else [])
    if there:
        assert (target / "predictions.csv").read_text() == "old"


def test_no_room_for_a_folder(tmp_path, monkeypatch):
    earlier_run(tmp_path / "run")
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with (
        pytest.raises(StorageError, match=r"No room left on the disk to write .*run"),
        atomic_folder(tmp_path / "run", force=True) as temporary,
    ):
        (temporary / "big").write_text("half")
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "predictions.csv").read_text() == "old"


def test_force_replaces_an_earlier_run(tmp_path):
    target = earlier_run(tmp_path / "run")
    with atomic_folder(target, force=True) as temporary:
        (temporary / "new").write_text("new")
        assert (target / "predictions.csv").read_text() == "old"
    assert names(target) == ["new"]
    assert names(tmp_path) == ["run"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "run").mkdir()
    with atomic_folder(tmp_path / "run") as temporary:
        (temporary / "new").write_text("new")
    assert names(tmp_path / "run") == ["new"]
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
    with (
        pytest.raises(type(failure)),
        atomic_folder(target, force=True) as temporary,
    ):
        (temporary / "new").write_text("new")
    assert names(tmp_path) == ["run"]
    assert (target / "predictions.csv").read_text() == "old"


# check_new_folder


def test_nothing_there_is_fine(tmp_path):
    check_new_folder(tmp_path / "run")
    check_new_folder(tmp_path)


def test_an_earlier_run_needs_force(tmp_path):
    run = earlier_run(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"run exists already: .* or --force to replace it"):
        check_new_folder(run)
    check_new_folder(run, force=True)


def test_a_model_folder_needs_force(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format": "fewlabel-model", "format_version": 1}')
    with pytest.raises(RunFolderError, match="exists already"):
        check_new_folder(tmp_path)
    check_new_folder(tmp_path, force=True)


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
        {"manifest.json": '{"name": "a web app"}'},
        {"manifest.json": '{"format": "other-model"}'},
        {"manifest.json": '{"fewlabel_version": "1"}', "photo.jpg": "mine"},
    ],
)
def test_force_never_replaces_what_fewlabel_did_not_write(content, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    with pytest.raises(RunFolderError, match="exists and was not written by fewlabel, so --force"):
        check_new_folder(folder, force=True)
    with pytest.raises(RunFolderError), atomic_folder(folder, force=True):
        pytest.fail("the block must not run")
    assert names(folder) == sorted(content)


def test_a_folder_called_metrics_json_is_no_run(tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(RunFolderError, match="not written by fewlabel"):
        check_new_folder(tmp_path, force=True)


@pytest.mark.parametrize("force", [True, False])
def test_a_file_or_a_link_is_never_replaced(force, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(earlier_run(tmp_path / "run"))
    for name in ("file", "broken", "link"):
        with pytest.raises(
            RunFolderError, match=f"{name} exists and is not a folder: give another"
        ):
            check_new_folder(tmp_path / name, force=force)
