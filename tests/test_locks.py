"""Locks: one process an output, and nothing of a killed one is in the way."""

import subprocess
import sys

import pytest

from fewlabel.errors import RunFolderError
from fewlabel.files import atomic_file, atomic_folder
from fewlabel.locks import _lock_output, _remove_leftovers, _temporary_beside

HOLD = """
import sys, time
from pathlib import Path
from fewlabel.locks import _lock_output, _temporary_beside
out = Path(sys.argv[1])
with _lock_output(out), _temporary_beside(out, is_folder=True) as folder:
    (folder / "half").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def holder(tmp_path):
    """Another process that writes the folder ``run``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_kept_out_until_the_first_is_gone_however_it_went(holder, tmp_path):
    before = names(tmp_path)
    message = rf"run is being written by another fewlabel \(process {holder.pid}\): wait until"
    with pytest.raises(RunFolderError, match=message), _lock_output(tmp_path / "run"):
        pytest.fail("the block must not run")
    # What a living process is writing stays, whoever looks.
    _remove_leftovers(tmp_path)
    assert names(tmp_path) == before
    assert len(before) == 2
    holder.kill()
    holder.wait()
    assert names(tmp_path) == before
    with _lock_output(tmp_path / "run"):
        assert names(tmp_path) == [".run.fewlabel-lock"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["run", "n" * 250, "é" * 120, "a b.c"])
def test_the_lock_is_one_for_every_spelling_of_a_name_and_other_names_are_free(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    with _lock_output(tmp_path / name), _lock_output(tmp_path / (name[:-1] + "x")):
        for other in (f"./{name}", f"{name}/", f"{name}/../{name}"):
            with (
                pytest.raises(RunFolderError, match="is being written"),
                _lock_output(type(tmp_path)(other)),
            ):
                pass
    assert names(tmp_path) == [name]


def test_missing_folders_go_again_unless_something_was_written(tmp_path):
    target = tmp_path / "a" / "b" / "run"
    with _lock_output(target):
        pass
    assert names(tmp_path) == []
    with _lock_output(target), atomic_folder(target) as folder:
        (folder / "file").write_text("1")
    assert names(target.parent) == ["run"]


def test_only_temporary_files_of_fewlabel_are_removed(tmp_path):
    for name in (".fewlabel-tmp-abcdefgh", ".fewlabel-tmp-abcd_123.csv", ".fewlabel-tmp-mine.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".fewlabel-tmp-12345678").mkdir()
    (tmp_path / ".fewlabel-tmp-12345678" / "half").write_text("x")
    (tmp_path / "link").mkdir()
    (tmp_path / ".fewlabel-tmp-87654321").symlink_to(tmp_path / "link")
    with atomic_file(tmp_path / "out.csv") as mine:
        _remove_leftovers(tmp_path)
        assert mine.exists()
    assert names(tmp_path) == [
        ".fewlabel-tmp-87654321",
        ".fewlabel-tmp-mine.csv",
        "link",
        "out.csv",
    ]
    _remove_leftovers(tmp_path / "nowhere")


def test_a_temporary_file_that_another_process_took_for_a_leftover_is_made_anew(
    tmp_path, monkeypatch
):
    from fewlabel import locks

    guard, seen = locks._guard, []

    def late(place):
        if not seen:
            place.unlink()
        seen.append(place)
        return guard(place)

    monkeypatch.setattr(locks, "_guard", late)
    with _temporary_beside(tmp_path / "out.csv", is_folder=False) as temporary:
        assert temporary.exists()
    assert len(seen) == 2
    assert names(tmp_path) == []
