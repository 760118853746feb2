import json
import os
from pathlib import Path

import pytest

BENCHMARKS = os.environ.get("FEWLABEL_DATA")


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    monkeypatch.delenv("FEWLABEL_DATA", raising=False)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))


def test_list_names_each_benchmark_and_how_to_get_it(run_cli):
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


def test_get_refuses_an_unknown_name(run_cli):
    result = run_cli("data", "get", "cifar")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: There is no benchmark 'cifar': choose among digits")


def test_an_interrupted_download_says_how_to_go_on(run_cli, monkeypatch):
    def interrupt(name, *, progress):
        progress(10, 100)
        raise KeyboardInterrupt

    monkeypatch.setattr("fewlabel.data.get_benchmark", interrupt)
    result = run_cli("data", "get", "mnist")
    assert result.exit_code == 130
    assert result.stderr == (
        "interrupted: files that are whole are kept; run the command again for the rest.\n"
    )


def test_data_alone_prints_its_help(run_cli):
    result = run_cli("data")
    assert result.exit_code == 0
    assert "list" in result.stdout


def test_make_needs_the_benchmarks(run_cli, tmp_path):
    result = run_cli("data", "make", "combo", "--out", tmp_path / "combo")
    assert result.exit_code == 2
    assert "fewlabel data get mnist" in result.stderr
    assert not (tmp_path / "combo").exists()


def test_make_refuses_an_existing_folder_and_a_bad_count(run_cli, tmp_path):
    (tmp_path / "photo.jpg").touch()
    result = run_cli("data", "make", "combo", "--out", tmp_path, "--force")
    assert result.exit_code == 2
    assert "was not written by fewlabel" in result.stderr
    result = run_cli("data", "make", "combo", "--out", tmp_path / "new", "--labeled", "0")
    assert result.exit_code == 2
    assert "at least 1" in result.stderr


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
    found = json.loads(
        run_cli(
            "data", "make", "combo", *sizes, "--out", tmp_path / "combo", "--force", "--json"
        ).stdout
    )
    assert found["labeled"] == 3
