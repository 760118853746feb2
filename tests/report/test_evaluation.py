import numpy as np
import pytest

from fewlabel.evaluate import estimate_accuracy
from fewlabel.model import Model
from fewlabel.report.evaluation import _render_evaluation
from fewlabel.report.quality import _Scored

from .examples import ONE, SEVERAL, images, scored, words


def evaluation_page(task=ONE, one=None, pictures=None, classes=None, expected=None, trained=False):
    one = one or scored(task, n=90)
    names = tuple(classes or (f"class {k}" for k in range(one.proba.shape[1])))
    meta = {} if expected is None else {"estimate": expected.to_dict()}
    pictures = (pictures or images()).subset(range(len(one.y)))
    unseen = None if trained else estimate_accuracy(one.correct).to_dict()
    return _render_evaluation(
        Model(task, None, None, task.calibration(), names, range(len(names)), meta),
        pictures,
        one,
        unseen=unseen,
        seconds={"features": 1.0},
        warnings=(),
        command="fewlabel evaluate run",
        created="2025-01-31T12:00",
    )


@pytest.mark.usefixtures("no_figures")
def test_it_is_compared_with_what_fit_expected():
    value = scored(n=90).correct.mean()
    good = estimate_accuracy(np.arange(100) < 100 * value)
    assert "As expected: inside the interval" in words(evaluation_page(expected=good))
    bad = estimate_accuracy([True] * 3 + [False] * 97)
    assert "Above the interval" in words(evaluation_page(expected=bad))
    assert "may be luck" not in words(evaluation_page(expected=bad))
    near = estimate_accuracy(np.arange(4_000) < 4_000 * (value - 0.03))
    assert "Above the interval" in (text := words(evaluation_page(expected=near)))
    assert "With so few images that may be luck." in text
    # A model knows what it was trained on: nothing of the kind was expected.
    for page in (evaluation_page(), evaluation_page(expected=good, trained=True)):
        assert "interval that" not in words(page)


@pytest.mark.usefixtures("no_figures")
def test_the_most_confident_mistakes_are_listed():
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.997, 0.003], [0.4, 0.6]])
    one = _Scored(ONE, np.array([0, 0, 1, 1]), proba)
    text = words(evaluation_page(one=one, classes=["cat", "dog"]))
    assert "sure 2 dog cat > 99 % 1 cat dog 80 % Confidence" in text
    right = _Scored(ONE, np.array([0, 1]), np.eye(2))
    assert "No mistakes." in words(evaluation_page(one=right))
    y = np.array([[1, 0], [0, 0], [1, -1]])
    proba = np.array([[0.9, 0.2], [0.2, 0.8], [0.7, 0.4]])
    text = words(evaluation_page(SEVERAL, _Scored(SEVERAL, y, proba), classes=["cat", "dog"]))
    assert "Exact match on 3 images" in text
    assert "1 none dog 64 %" in text
    assert "cat 2 of 3 2 100.0 %" in text
    assert "micro F1" in text
