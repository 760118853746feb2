"""The page of the peers shows what was measured, and what is measured can fail without harm."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "benchmarks" / "peers"


def _module(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for folder in (path.parent, PEERS.parent):
        monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_figure_and_they_are_drawn_from_the_record(tmp_path, monkeypatch):
    script = _module(ROOT / "docs" / "make_peers.py", monkeypatch)
    text = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
    for drawn in script.draw(tmp_path):
        assert f"(images/{drawn.name})" in text
        assert (ROOT / "docs" / "images" / drawn.name).is_file()
    assert all(f"writes {writer}" in text for writer in script.WRITERS)


def test_every_peer_has_its_file_and_pinned_requirements(monkeypatch):
    run = _module(PEERS / "run.py", monkeypatch)
    peers = {*run.LEARN, *run.IMAGES, *run.SELECT, *run.KMEANS, *run.NEIGHBORS} - {run.OURS}
    assert peers == {path.stem for path in (PEERS / "requirements").glob("*.txt")}
    for peer in peers:
        assert (PEERS / f"with_{peer}.py").is_file()
        lines = (PEERS / "requirements" / f"{peer}.txt").read_text().split()
        assert all("==" in line for line in lines)


@pytest.fixture
def split(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)).astype(np.float32)
    y = np.where(np.arange(200) < 40, (X[:, 0] > 0).astype(int), -1)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "X_test.npy", X[100:])
    np.savez(tmp_path / "labels_40.npz", y=y, classes=np.arange(2))
    np.savez(tmp_path / "truth.npz", pool=(X[:, 0] > 0) * 1, test=(X[100:, 0] > 0) * 1)
    return tmp_path


def _row(method):
    key = {"kind": "learn", "data": "made up", "n_pool": 200, "n_labels": 40, "seed": 1}
    return {**key, "peer": "sklearn", "method": method}


def test_a_fit_of_a_peer_is_scored_on_labels_that_it_did_not_get(split, monkeypatch):
    run = _module(PEERS / "run.py", monkeypatch)
    monkeypatch.setattr(run, "python_of", lambda peer, folder: sys.executable)
    args = SimpleNamespace(threads=1, work=split, environments=None, gigabytes=8, limit=60)
    result, figures = run.measured("sklearn", "logistic regression", split, 40, 1, args)
    assert figures["seconds"] < 60
    assert figures["peak_rss_mb"] > 20
    assert run.score(split, _row("logistic regression"), result, args)["accuracy"] > 0.9
    wrong = run.score(split, _row("logistic regression"), 1 - result, args)
    assert wrong["accuracy"] < 0.1


def test_what_fails_is_a_row_that_says_why(split, monkeypatch):
    run = _module(PEERS / "run.py", monkeypatch)
    monkeypatch.setattr(run, "python_of", lambda peer, folder: sys.executable)
    args = SimpleNamespace(threads=1, work=split, environments=None, gigabytes=8, limit=-1)
    slow = run.measured("sklearn", "logistic regression", split, 40, 1, args)
    assert slow == (None, {"failure": "over -1 s"})
    unknown = run.measured("sklearn", "no such method", split, 40, 1, args)
    assert unknown == (None, {"failure": "KeyError: 'no such method'"})
    memory = subprocess.CalledProcessError(1, "", stderr="numpy._MemoryError: 28 GiB")
    assert run.reason(memory, 10) == "over 10 GB"
