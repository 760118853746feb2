import sys

import numpy as np
import pytest

from fewlabel.data import MultiLabel
from fewlabel.labelling.agreement import _consensus_labels, _measure_agreement
from fewlabel.labelling.people import _Standing
from fewlabel.labelling.store import Answer, open_store

# Of Fleiss (1971) as Wikipedia works it out: ten subjects, fourteen raters, five categories.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
# Cohen (1960): both say yes of 20 and no of 15; they differ in 5 and in 10.
COHEN = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15


def votes_of(rows):
    return {
        image: {f"rater {i:02}": (name,) for i, name in enumerate(row)}
        for image, row in enumerate(rows)
    }


def test_fleiss_kappa_is_the_published_one():
    rows = [[str(c) for c, n in enumerate(counts) for _ in range(n)] for counts in FLEISS]
    found = _measure_agreement(votes_of(rows))
    assert found.method == "Fleiss"
    assert found.kappa == pytest.approx(0.210, abs=0.0005)
    assert found.agreed == pytest.approx(0.378, abs=0.0005)
    assert found.n_images == 10
    assert set(found.by_class) == set("01234")


def test_cohens_kappa_is_the_published_one():
    found = _measure_agreement(votes_of(COHEN))
    assert (found.method, found.agreed) == ("Cohen", 0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.by_class["yes"] == pytest.approx(0.4)
    assert found.n_images == 50


def test_nothing_to_compare_and_nothing_but_one_class():
    assert _measure_agreement({0: {"Ann": ("a",)}, 1: {"Bob": ("a",)}}) is None
    found = _measure_agreement({0: {"Ann": ("a",), "Bob": ("a",)}})
    assert (found.kappa, found.agreed, found.by_class) == (None, 1.0, {"a": None})
    three = {0: {"Ann": ("a",), "Bob": ("a",), "Eve": ("a",)}, 1: {"Ann": ("a",)}}
    assert _measure_agreement(three).kappa is None


def test_several_labels_are_compared_class_by_class():
    votes = {
        0: {"Ann": ("a", "b"), "Bob": ("a",)},
        1: {"Ann": ("b",), "Bob": ("b",)},
        2: {"Ann": (), "Bob": ()},
        3: {"Ann": ("a",), "Bob": ("a",)},
    }
    found = _measure_agreement(votes, MultiLabel())
    assert found.by_class == {"a": 1.0, "b": pytest.approx(0.5)}
    assert found.kappa == pytest.approx(0.75)
    assert found.agreed == 0.75


def test_consensus(monkeypatch):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    # Two are nearly always right, three guess: alone, the majority would follow these.
    right = {"Ann": 0.97, "Bob": 0.97, "Cat": 0.3, "Dan": 0.3, "Eve": 0.3}
    votes = {
        image: {
            name: (str(true if rng.random() < p else rng.integers(0, 3)),)
            for name, p in right.items()
            if name == "Cat" or rng.random() < 0.4
        }
        for image, true in enumerate(truth)
    }
    proba = np.full((200, 3), 0.15)
    proba[np.arange(200), np.where(rng.random(200) < 0.9, truth, rng.integers(0, 3, 200))] = 0.7

    def accuracy() -> float:
        found = _consensus_labels(votes, proba, ("0", "1", "2"))
        assert found.keys() == votes.keys()
        return np.mean([found[image] == str(truth[image]) for image in votes])

    with_cleanlab = accuracy()
    monkeypatch.setattr("fewlabel.labelling.agreement.is_installed", lambda name: False)
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert with_cleanlab > accuracy() + 0.03
    assert accuracy() > 0.6
    # Of a tie, the one who agrees with the others most often is right.
    votes = {**votes, 0: {"Ann": ("1",), "Eve": ("2",)}, 1: {"Eve": ("2",), "Ann": ("1",)}}
    found = _consensus_labels(votes)
    assert (found[0], found[1]) == ("1", "1")


def test_votes_of_a_store(images, table):
    with open_store(images, table, repeats=2) as store:
        assert _measure_agreement(_Standing(store).votes) is None
        store.add([Answer(i, (name,), "Ann") for i, name in enumerate("aabb")])
        store.add([Answer(i, (name,), "Bob") for i, name in enumerate("aabx")])
        store.add([Answer(4, None, "Ann"), Answer(5, ("a",), "Ann", origin="review")])
        store.rename_class("x", "b")
        assert _Standing(store).votes[3] == {"Ann": ("b",), "Bob": ("b",)}
        assert 4 not in _Standing(store).votes
        found = _measure_agreement(_Standing(store).votes)
        assert (found.n_images, found.kappa) == (4, 1.0)
