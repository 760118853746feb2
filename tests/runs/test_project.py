from pathlib import Path

import pytest

from fewlabel.errors import UsageError
from fewlabel.runs.project import _is_same_source, _project_flags, _read_project, _write_project


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "work" / 'my "ä" photos').mkdir(parents=True)
    (tmp_path / "net.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_options_come_back_as_seen_from_another_folder(home, monkeypatch):
    options = {
        "images": 'my "ä" photos',
        "labels": "picks.csv",
        "features": "mobilenetv2_100",
        "weights": "../net.safetensors",
        "seed": 3,
    }
    (home / "picks.csv").write_text("path,label\n")
    assert _write_project("", options)
    text = (home / "fewlabel.toml").read_text()
    assert 'images = "my \\"ä\\" photos"' in text
    monkeypatch.chdir(home.parent)
    found = _read_project("work")
    assert found["images"] == str(Path("work", 'my "ä" photos'))
    assert found["labels"] == str(Path("work", "picks.csv"))
    assert found["weights"] == str(home.parent / "net.safetensors")
    assert (found["features"], found["seed"]) == ("mobilenetv2_100", 3)
    assert _is_same_source(found["images"], str(home / 'my "ä" photos'))


def test_a_benchmark_is_no_path_and_what_is_not_given_is_left_out(home):
    assert _write_project(home, {"images": "fashion-mnist:train", "weights": None, "seed": 0})
    assert _read_project(home) == {"images": "fashion-mnist:train", "seed": 0}


@pytest.mark.parametrize("text", ["seed = -1", "seed = true", "colour = 1", "seed =", "\xff\x00"])
def test_a_file_that_holds_something_else_is_one_clear_line(home, text):
    (home / "fewlabel.toml").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"fewlabel\.toml (holds|cannot be read)"):
        _read_project(home)


def test_a_file_of_somebody_else_and_a_name_that_is_no_text(home):
    (home / "fewlabel.toml").write_text("seed = 1\n")
    assert not _write_project(home, {"seed": 2})
    assert _read_project(home) == {"seed": 1}
    (home / "fewlabel.toml").unlink()
    assert not _write_project(home, {"images": "\udcff"})
    assert _read_project(home) == {}
    assert _write_project(home, {"images": "a\x7fb\n"})
    assert _read_project(home) == {"images": "a\x7fb\n"}


def test_a_file_of_an_earlier_version_is_ours(home):
    (home / "fewlabel.toml").write_text("# Written by `fewlabel select`; a flag wins.\nseed = 5\n")
    assert _write_project("", {"seed": 6})
    assert _write_project("", {"seed": 7})
    assert _read_project("")["seed"] == 7


def test_only_what_is_no_default_is_a_flag():
    assert _project_flags({"features": "auto", "weights": None, "seed": 0}) == []
    assert _project_flags({"features": "pixels", "seed": 2}) == [
        "--features",
        "pixels",
        "--seed",
        "2",
    ]
