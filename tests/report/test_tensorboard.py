import math

import pytest

from fewlabel import extras
from fewlabel.errors import MissingExtraError, RunFolderError
from fewlabel.report.tensorboard import _write_events
from fewlabel.semisupervised.history import TrainingHistory


@pytest.fixture
def log() -> TrainingHistory:
    log = TrainingHistory()
    log.add_history("network 1", [{"loss": 0.9, "accepted": 0.25}, {"loss": float("nan")}])
    log.add_history("network 2", [{"loss": 0.5}])
    other = {"outcome": "trained", "accepted_by_class": [30, 10], "kept": True}
    log.add_round("all/../of them", 2, n_accepted=40, mean_confidence=None, **other)
    return log


def read(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


def test_curves_come_back(log, tmp_path):
    folder = _write_events(log, tmp_path / "curves" / "run")
    assert {path.name for path in folder.iterdir()} == {
        "network-1", "network-2", "all-..-of-them", "metrics.json",
    }  # fmt: skip
    first = read(folder / "network-1")
    assert set(first) == {"epoch/loss", "epoch/accepted"}
    assert first["epoch/accepted"] == [(1, 0.25)]
    assert first["epoch/loss"][0] == (1, pytest.approx(0.9))
    assert math.isnan(first["epoch/loss"][1][1])
    assert read(folder / "network-2") == {"epoch/loss": [(1, 0.5)]}
    assert read(folder / "all-..-of-them") == {"round/n_accepted": [(2, 40.0)]}


def test_an_earlier_folder_is_replaced_with_force_alone(log, tmp_path, monkeypatch):
    _write_events(log, tmp_path / "run")
    with pytest.raises(RunFolderError, match="exists already"):
        _write_events(log, tmp_path / "run")
    log.epochs = log.epochs[-1:]
    _write_events(log, tmp_path / "run", force=True)
    assert not (tmp_path / "run" / "network-1").exists()
    monkeypatch.setattr(extras, "is_installed", lambda name: False)
    with pytest.raises(MissingExtraError, match=r"pip install 'fewlabel\[tensorboard\]'"):
        _write_events(log, tmp_path / "other")
    assert not (tmp_path / "other").exists()
