import json
from pathlib import Path

import pytest

from fewlabel.cli import doctor


@pytest.fixture(autouse=True)
def quick_rates(monkeypatch):
    monkeypatch.setattr("fewlabel.compute._gemm_rates", lambda: {"float32": 90.0, "bfloat16": 2.0})


def test_doctor_prints_what_there_is(run_cli):
    result = run_cli("doctor")
    assert result.exit_code == 0, result.output
    for text in ("usable cores", "float32 90, bfloat16 2 GFLOP/s", "torch", "data digits"):
        assert text in result.stdout
    found = json.loads(run_cli("doctor", "--json").stdout)
    assert found["processor"]["gflop_per_s"] == {"float32": 90.0, "bfloat16": 2.0}
    assert found["data"]["benchmarks"]["digits"] == "built in"
    assert found["room"]["free_disk_gb"] >= 0


def test_doctor_says_how_to_get_what_is_missing(run_cli, monkeypatch, tmp_path):
    monkeypatch.setattr("fewlabel.extras.is_installed", lambda package: False)
    monkeypatch.setenv("FEWLABEL_DATA", str(tmp_path / "gone"))
    room = {"free_disk_gb": 0.5, "memory_gb": 8.0, "free_memory_gb": 1.0}
    monkeypatch.setattr(doctor, "_room", lambda: room)
    result = run_cli("doctor")
    assert result.stdout.count("pip install 'fewlabel[noise]'") == 1
    assert "timm is not installed: run `pip install 'fewlabel[photos]'`" in result.stdout
    assert "gone, which is not a folder" in result.stdout
    for text in ("Less than 3 GB of memory is free", "Less than 1 GB of disk is free"):
        assert text in result.stdout


def test_doctor_does_without_proc(monkeypatch):
    def refuse(self, **options):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert doctor._room()["free_memory_gb"] is None
    assert doctor._processor_name()
