import numpy as np
import pytest

from fewlabel.report.quality import _confusion_view, _coverage_view, _reliability_view
from fewlabel.report.scored import Scored

from .examples import ONE, SEVERAL, TASKS, scored

CLASSES = ["cat", "dog", "eel"]


def exactly(y, predicted, confidence=0.8, n_classes=3):
    proba = np.full((len(y), n_classes), (1 - confidence) / (n_classes - 1))
    proba[np.arange(len(y)), predicted] = confidence
    return Scored(ONE, np.array(y), proba)


def test_confusions_by_frequency():
    view = _confusion_view(exactly([0, 0, 0, 0, 1, 2], [0, 1, 1, 2, 1, 0]), CLASSES)
    assert view["n_mistakes"] == 4
    assert view["rows"][0] == {"true": "cat", "predicted": "dog", "count": 2, "share": 0.5}
    assert [row["count"] for row in view["rows"]] == [2, 1, 1]
    assert _confusion_view(scored(SEVERAL), CLASSES) is None
    svg = _confusion_view(exactly([0, 1, 2], [0, 1, 2]), ["Zebra", "ant", "Bee"])["svg"]
    assert svg.index(">ant<") < svg.index(">Bee<") < svg.index(">Zebra<")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 25, 600)
    view = _confusion_view(exactly(y, (y + rng.integers(1, 20, 600)) % 25, 0.8, 25), list("x" * 25))
    assert len(view["rows"]) == 15
    assert not view["numbered"]


@pytest.mark.parametrize(
    ("confidence", "verdict"),
    [(0.99, "points too confident"), (0.5, "points too modest"), (0.75, "matches its accuracy")],
)
def test_reliability_says_which_way_it_errs(confidence, verdict):
    y = np.zeros(200, int)
    view = _reliability_view(exactly(y, (np.arange(200) % 4 == 0).astype(int), confidence))
    assert verdict in view["caption"]
    assert "75 % right" in view["caption"]


def test_coverage_names_a_threshold():
    confidence = np.linspace(0.5, 0.99, 100)
    one = Scored(ONE, np.where(confidence > 0.7, 0, 1), np.c_[confidence, 1 - confidence])
    caption = _coverage_view(one, np.array([0.6, 0.9]))["caption"]
    assert "at least 70 % sure of: that keeps 59 %" in caption
    assert "Of the unlabeled images it keeps 50 %" in caption


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", [2, 6, 30])
def test_few_images_are_enough(task, n):
    one = scored(task, n=30)
    few = Scored(task, one.y[:n], one.proba[:n])
    assert "interval" in _coverage_view(few)["caption"]
    assert "right" in _reliability_view(few)["caption"]


def test_labels_that_are_not_known_count_for_nothing():
    one = Scored(SEVERAL, np.array([[1, -1], [0, -1]]), np.array([[0.9, 0.8], [0.2, 0.3]]))
    assert one.correct.tolist() == [True, True]
    np.testing.assert_allclose(one.confidence, [0.9, 0.8])
