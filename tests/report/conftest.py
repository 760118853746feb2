import pytest
from markupsafe import Markup

MODULES = ("plots", "scatter", "training")


@pytest.fixture(autouse=True)
def no_tsne(monkeypatch):
    """Lay the map out by two features, to be quick."""
    monkeypatch.setattr("fewlabel.report.views._plane", lambda rows, rng, seed: rows[:, :2])


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the charts out, which have tests of their own, to be quick."""
    for module in MODULES:
        monkeypatch.setattr(f"fewlabel.report.{module}._draw", lambda *_, **__: Markup("<svg/>"))


@pytest.fixture
def only_training_figures(monkeypatch):
    """Leave out the charts that are not of a training."""
    for module in MODULES[:2]:
        monkeypatch.setattr(f"fewlabel.report.{module}._draw", lambda *_, **__: Markup("<svg/>"))
