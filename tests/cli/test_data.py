import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import refused

BENCHMARKS = os.environ.get("FEWLABEL_DATA")


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    monkeypatch.delenv("FEWLABEL_DATA", raising=False)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))


def test_list_names_each_benchmark_and_how_to_get_it(run_cli):
    assert "list" in run_cli("data").stdout
    result = run_cli("data", "list")
    assert result.exit_code == 0
    assert "built in" in result.stdout
    assert "fewlabel data get grocery" in result.stdout
    rows = json.loads(run_cli("data", "list", "--json").stdout)
    assert [row["name"] for row in rows][:2] == ["digits", "fashion-mnist"]
    assert rows[1]["where"] is None


def test_get_prints_the_folder_alone_on_stdout(run_cli):
    result = run_cli("data", "get", "digits")
    assert result.exit_code == 0
    assert Path(result.stdout.rstrip("\n")).is_dir()
    assert "give its name as IMAGES" in result.stderr
    found = json.loads(run_cli("data", "get", "digits", "--json").stdout)
    assert found["name"] == "digits"
    refused(run_cli("data", "get", "cifar"), "There is no benchmark 'cifar': choose among digits")


def test_an_interrupted_download_says_how_to_go_on(run_cli, monkeypatch):
    def interrupt(name, *, progress):
        progress(10, 100)
        raise KeyboardInterrupt

    monkeypatch.setattr("fewlabel.data.get_benchmark", interrupt)
    result = run_cli("data", "get", "mnist")
    assert result.exit_code == 130
    assert "files that are whole are kept; run the command again" in result.stderr


def test_make_needs_the_benchmarks_a_new_folder_and_images(run_cli, tmp_path):
    make = ("data", "make", "combo", "--out")
    refused(run_cli(*make, tmp_path / "combo"), "fewlabel data get mnist")
    assert not (tmp_path / "combo").exists()
    (tmp_path / "photo.jpg").touch()
    refused(run_cli(*make, tmp_path, "--force"), "was not written by fewlabel")
    refused(run_cli(*make, tmp_path / "new", "--labeled", "0"), "at least 1")
    other = ("--letters", "chars74k", "--case", "upper")
    refused(run_cli(*make, tmp_path / "new", *other), "give --letters emnist")


@pytest.mark.data
def test_make_writes_the_folder_and_prints_it(run_cli, tmp_path, monkeypatch):
    if BENCHMARKS is None:
        pytest.skip("FEWLABEL_DATA is not set")
    monkeypatch.setenv("FEWLABEL_DATA", BENCHMARKS)
    sizes = ("--labeled", 3, "--unlabeled", 2, "--test", 1)
    result = run_cli("data", "make", "combo", *sizes, "--out", tmp_path / "combo")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'combo'}\n"
    assert (tmp_path / "combo" / "labels.csv").is_file()
    again = ("--out", tmp_path / "combo", "--force", "--json")
    assert json.loads(run_cli("data", "make", "combo", *sizes, *again).stdout)["labeled"] == 3
