import pytest
from markupsafe import Markup


@pytest.fixture(autouse=True, scope="module")
def no_tsne():
    """Lay the map out by two features, to be quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fewlabel.report.views._plane", lambda rows, rng, seed: rows[:, :2])
        yield


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the charts out, which have tests of their own, to be quick."""
    for module in ("plots", "scatter", "training"):
        monkeypatch.setattr(f"fewlabel.report.{module}._draw", lambda *_, **__: Markup("<svg/>"))
