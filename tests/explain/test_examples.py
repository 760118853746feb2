import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.explain.sheets import _choose_examples, _class_at_issue

ONE, SEVERAL = SingleLabel(), MultiLabel()


@pytest.fixture
def proba():
    return np.random.default_rng(0).dirichlet(np.full(5, 0.3), 400)


def test_right_wrong_and_unsure_ones_are_what_they_are_called(proba):
    y = np.random.default_rng(1).integers(0, 5, 400)
    chosen = _choose_examples(ONE, proba, 12, y)
    assert [len(chosen[kind]) for kind in ("right", "wrong", "unsure")] == [4, 4, 4]
    assert len(set(np.concatenate(list(chosen.values())).tolist())) == 12
    predicted = proba.argmax(axis=1)
    assert (predicted[chosen["right"]] == y[chosen["right"]]).all()
    assert (predicted[chosen["wrong"]] != y[chosen["wrong"]]).all()
    top = np.sort(proba[chosen["unsure"]], axis=1)
    assert (top[:, -1] - top[:, -2] < 0.05).all()
    for kind in ("right", "wrong"):
        assert len(set(predicted[chosen[kind]])) == 4
        assert (proba[chosen[kind]].max(axis=1) > 0.9).all()


def test_several_labels_an_image():
    proba = np.array([[0.9, 0.9], [0.95, 0.1], [0.9, 0.5], [0.05, 0.05], [0.9, 0.2]])
    y = np.array([[1, 1], [0, 0], [1, 1], [0, 0], [-1, -1]])
    chosen = _choose_examples(SEVERAL, proba, 4, y)
    # An image without a label comes last: there is little to see.
    assert {kind: rows.tolist() for kind, rows in chosen.items()} == {
        "right": [0, 3], "wrong": [1], "unsure": [2],
    }  # fmt: skip
    assert sorted(np.concatenate(list(_choose_examples(SEVERAL, proba, 9).values()))) == [*range(5)]


@pytest.mark.parametrize(
    ("task", "proba", "kind", "y", "expected"),
    [
        (ONE, [0.6, 0.3, 0.1], "right", 0, 0),
        (ONE, [0.6, 0.3, 0.1], "wrong", 1, 0),
        (ONE, [0.4, 0.5, 0.1], "unsure", 0, 1),
        (ONE, [0.375, 0.625], "unsure", 0, 1),
        (SEVERAL, [0.9, 0.8, 0.1], "right", [1, 1, 0], 0),
        (SEVERAL, [0.9, 0.8, 0.1], "wrong", [1, 0, 0], 1),
        (SEVERAL, [0.9, 0.2, 0.1], "wrong", [1, -1, 1], 2),
        (SEVERAL, [0.9, 0.4, 0.1], "unsure", None, 1),
    ],
)
def test_the_class_at_issue_is_explained(task, proba, kind, y, expected):
    truth = None if y is None else np.asarray(y)
    assert _class_at_issue(task, np.array(proba), kind, truth) == expected


def test_images_without_a_label_are_left_out_where_some_have_one(proba):
    chosen = _choose_examples(ONE, proba, 7)
    assert [len(chosen[kind]) for kind in ("sure", "unsure")] == [4, 3]
    y = np.full(400, -1)
    y[[3, 5, 8]] = proba[[3, 5, 8]].argmax(axis=1)
    chosen = _choose_examples(ONE, proba, 12, y)
    assert sorted(np.concatenate(list(chosen.values())).tolist()) == [3, 5, 8]
    assert len(chosen["wrong"]) == 0
    # Where a kind has too few, the others take its places.
    proba = np.tile([0.9, 0.1], (10, 1))
    proba[0] = [0.2, 0.8]
    chosen = _choose_examples(ONE, proba, 6, np.zeros(10, int))
    assert chosen["wrong"].tolist() == [0]
    assert [len(chosen["right"]), len(chosen["unsure"])] == [5, 0]

    with pytest.raises(UsageError, match=r"At least one example must be chosen. Got 0"):
        _choose_examples(ONE, proba, 0)
    with pytest.raises(UsageError, match="No label is known among the images"):
        _choose_examples(ONE, proba, 3, np.full(400, -1))
