import numpy as np
import pytest

from fewlabel.evaluate import PROMISES, accept_at
from fewlabel.report.quality import _confusion_view, _coverage_view, _reliability_view, _Scored

from .examples import ONE, SEVERAL, TASKS, scored

CLASSES = ["cat", "dog", "eel"]


def promises(correct, confidence):
    return [accept_at(correct, confidence, error) for error in PROMISES]


def exactly(y, predicted, confidence=0.8, n_classes=3):
    proba = np.full((len(y), n_classes), (1 - confidence) / (n_classes - 1))
    proba[np.arange(len(y)), predicted] = confidence
    return _Scored(ONE, np.array(y), proba)


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
    [
        (0.99, "24 points too confident (99 % sure, 75 % right). "),
        (0.5, "25 points too modest (50 % sure, 75 % right). "),
        (0.79, "4 points too confident (79 % sure, 75 % right), which may be luck. "),
        (0.76, "matches its accuracy (76 % sure, 75 % right). "),
    ],
)
def test_reliability_says_which_way_it_errs(confidence, verdict):
    y = np.zeros(200, int)
    one = exactly(y, (np.arange(200) % 4 == 0).astype(int), confidence)
    assert verdict in _reliability_view(one.correct, one.confidence)["caption"]


def test_coverage_names_what_can_be_promised_and_no_more():
    confidence = np.linspace(0.5, 0.99, 100)
    right, pool = confidence > 0.7, np.array([0.6, 0.75, 0.8, 0.9])
    view = _coverage_view(right, confidence, promises(right, confidence), pool)
    # 59 labels without a mistake are enough for 5 %, and two thirds of what comes next are wrong.
    assert "of 4 images these can be accepted without a look: 3 (75 %) if 5 %" in view["caption"]
    assert "≤ 5 % wrong" in view["svg"]
    assert "if 2 %" not in view["caption"]
    none = _coverage_view(right, confidence, promises([], []), pool)
    assert "None can be accepted without a look: of no label" in none["caption"]
    assert "drawn at random" in none["caption"]
    assert "wrong</text>" not in none["svg"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", [2, 6, 30])
def test_few_images_are_enough(task, n):
    one = scored(task, n=30)
    few = _Scored(task, one.y[:n], one.proba[:n])
    evidence = few.correct, few.confidence
    caption = _coverage_view(*evidence, promises(*evidence), one.confidence)["caption"]
    assert "certainty" in caption
    assert "right" in _reliability_view(*evidence)["caption"]


def test_labels_that_are_not_known_count_for_nothing():
    one = _Scored(SEVERAL, np.array([[1, -1], [0, -1]]), np.array([[0.9, 0.8], [0.2, 0.3]]))
    assert one.correct.tolist() == [True, True]
    np.testing.assert_allclose(one.confidence, [0.9, 0.8])
