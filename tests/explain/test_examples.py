import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.explain.examples import choose_examples


@pytest.fixture
def proba():
    return np.random.default_rng(0).dirichlet(np.full(5, 0.3), 400)


def test_right_wrong_and_unsure_ones_are_what_they_are_called(proba):
    y = np.random.default_rng(1).integers(0, 5, 400)
    chosen = choose_examples(proba, 12, y)
    assert {kind: len(rows) for kind, rows in chosen.items()} == dict.fromkeys(
        ("right", "wrong", "unsure"), 4
    )
    assert len(set(np.concatenate(list(chosen.values())).tolist())) == 12
    predicted = proba.argmax(axis=1)
    assert (predicted[chosen["right"]] == y[chosen["right"]]).all()
    assert (predicted[chosen["wrong"]] != y[chosen["wrong"]]).all()
    top = np.sort(proba[chosen["unsure"]], axis=1)
    assert (top[:, -1] - top[:, -2] < 0.05).all()
    for kind in ("right", "wrong"):
        assert len(set(predicted[chosen[kind]])) == 4
        assert (proba[chosen[kind]].max(axis=1) > 0.9).all()


def test_without_truth_there_are_sure_and_unsure_ones(proba):
    chosen = choose_examples(proba, 7)
    assert [len(chosen[kind]) for kind in ("sure", "unsure")] == [4, 3]


def test_images_without_a_label_are_left_out(proba):
    y = np.full(400, -1)
    y[[3, 5, 8]] = proba[[3, 5, 8]].argmax(axis=1)
    chosen = choose_examples(proba, 12, y)
    assert sorted(np.concatenate(list(chosen.values())).tolist()) == [3, 5, 8]
    assert len(chosen["wrong"]) == 0


def test_where_a_kind_has_too_few_the_others_take_its_places():
    proba = np.tile([0.9, 0.1], (10, 1))
    proba[0] = [0.2, 0.8]
    chosen = choose_examples(proba, 6, np.zeros(10, int))
    assert chosen["wrong"].tolist() == [0]
    assert [len(chosen["right"]), len(chosen["unsure"])] == [5, 0]


def test_mistakes_are_named(proba):
    with pytest.raises(UsageError, match=r"At least one example must be chosen. Got 0"):
        choose_examples(proba, 0)
    with pytest.raises(UsageError, match="No true class is known among the images"):
        choose_examples(proba, 3, np.full(400, -1))
