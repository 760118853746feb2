"""The choice follows accuracy where it is clear, log loss where it is not, then the order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.evaluate import apply_temperature, choose_candidate


def make_proba(y, wrong, confidence=0.7, k=3):
    """Predictions of one confidence, wrong on the images ``wrong``."""
    predicted = np.asarray(y).copy()
    predicted[wrong] = (predicted[wrong] + 1) % k
    proba = np.full((len(y), k), (1 - confidence) / (k - 1))
    proba[np.arange(len(y)), predicted] = confidence
    return proba


Y = np.arange(40) % 3


def test_a_clear_winner_wins_even_with_a_worse_log_loss():
    sure_and_right = make_proba(Y, [0], 0.9)
    # Wrong ten times, and sure only where it is right.
    modest = make_proba(Y, range(10), 0.99)
    modest[:10] = [0.34, 0.33, 0.33]
    modest[np.arange(10), (Y[:10] + 1) % 3] = 0.3401
    modest /= modest.sum(axis=1, keepdims=True)
    choice = choose_candidate({"modest": modest, "best": sure_and_right}, Y)
    assert choice.name == "best"
    rows = {row.name: row for row in choice.table}
    assert rows["best"].why == "most accurate"
    assert rows["best"].se == 0
    assert rows["modest"].why == "less accurate than best by more than the error allows"
    assert [row.chosen for row in choice.table] == [False, True]


def test_a_near_tie_goes_to_the_least_log_loss():
    # Wrong twice, but unsure just there; the other is wrong once and as sure as ever.
    knows = make_proba(Y, [5, 6], 0.95)
    knows[[5, 6]] = 0.8 * knows[[5, 6]] + 0.2 * make_proba(Y, [], 0.95)[[5, 6]]
    knows[[5, 6]] = np.sqrt(knows[[5, 6]]) / np.sqrt(knows[[5, 6]]).sum(axis=1, keepdims=True)
    lucky = make_proba(Y, [9], 0.4)
    lucky[:20] = make_proba(Y, [9], 0.99)[:20]
    choice = choose_candidate({"lucky": lucky, "knows": knows}, Y)
    rows = {row.name: row for row in choice.table}
    assert rows["lucky"].accuracy > rows["knows"].accuracy
    assert rows["knows"].log_loss < rows["lucky"].log_loss
    assert choice.name == "knows"
    assert "least log loss among the 2" in rows["knows"].why
    assert "but knows comes first" in rows["lucky"].why


def test_the_standard_error_is_of_the_paired_difference():
    # Both wrong on the same ten images, one on two more: paired, the error is small.
    a, b = make_proba(Y, range(10)), make_proba(Y, range(12))
    row = {row.name: row for row in choose_candidate({"a": a, "b": b}, Y).table}["b"]
    difference = np.zeros(40)
    difference[10:12] = 1
    assert row.se == pytest.approx(difference.std(ddof=1) / np.sqrt(40))
    assert row.accuracy == pytest.approx(0.7)


def test_a_timid_candidate_does_not_lose_for_being_timid():
    rng = np.random.default_rng(0)
    logits = 3 * np.eye(3)[Y] + rng.normal(size=(40, 3))
    sharp = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    timid = apply_temperature(sharp, 4.0)
    baseline = apply_temperature(0.8 * sharp + 0.2 * rng.dirichlet(np.ones(3), 40), 1.0)
    choice = choose_candidate({"baseline": baseline, "timid": timid}, Y)
    assert choice.name == "timid"
    assert choice.table[1].temperature < 0.6


def test_a_full_tie_goes_to_the_preferred_then_to_the_first():
    proba = make_proba(Y, [0, 1])
    candidates = {"a": proba, "b": proba.copy(), "c": proba.copy()}
    assert choose_candidate(candidates, Y).name == "a"
    choice = choose_candidate(candidates, Y, prefer=["absent", "c", "b"])
    assert choice.name == "c"
    assert choice.table[2].why == "preferred among the 3 that are as accurate within the error"
    assert choice.table[0].why == "as accurate within the error, but c comes first"


def test_preference_outweighs_a_difference_within_the_error_and_no_more():
    better, worse = make_proba(Y, [0, 1]), make_proba(Y, [0, 2, 3, 4, 5])
    candidates = {"better": better, "worse": worse}
    assert choose_candidate(candidates, Y, prefer=["worse"]).name == "better"
    assert choose_candidate(candidates, Y, prefer=["worse"], n_se=2.0).name == "worse"
    assert choose_candidate(candidates, Y).n_se == 1.0
    assert choose_candidate(candidates, Y, n_se=2.0).n_se == 2.0


def test_the_order_of_the_candidates_does_not_matter_without_a_tie():
    rng = np.random.default_rng(0)
    candidates = {
        name: 0.5 * make_proba(Y, rng.choice(40, 8, replace=False))
        + 0.5 * rng.dirichlet(np.ones(3), 40)
        for name in "abc"
    }
    names = {
        choose_candidate({name: candidates[name] for name in order}, Y).name
        for order in itertools.permutations("abc")
    }
    assert len(names) == 1


def test_labels_that_cannot_be_tested_are_left_out():
    unseen = np.arange(40) < 8
    a, b = make_proba(Y, range(8)), make_proba(Y, range(8, 14))
    assert choose_candidate({"a": a, "b": b}, Y).name == "b"
    choice = choose_candidate({"a": a, "b": b}, Y, unseen=unseen)
    assert choice.name == "a"
    assert choice.table[0].accuracy == 1
    all_unseen = choose_candidate({"a": a, "b": b}, Y, unseen=np.ones(40, bool))
    assert all_unseen.name == "b"


def test_weights_decide_which_images_matter():
    heavy = np.where(np.arange(40) < 5, 20.0, 1.0)
    a, b = make_proba(Y, range(5)), make_proba(Y, range(20, 32))
    assert choose_candidate({"a": a, "b": b}, Y).name == "a"
    choice = choose_candidate({"a": a, "b": b}, Y, weights=heavy)
    assert choice.name == "b"
    assert choice.table[1].accuracy == pytest.approx(1 - 12 / 135)


def test_one_candidate_and_one_label_are_enough():
    choice = choose_candidate({"only": [[0.6, 0.4]]}, [0])
    assert choice.name == "only"
    assert choice.table[0].se == 0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: choose_candidate({}, [0]), "at least one candidate"),
        (
            lambda: choose_candidate({"a": np.eye(2), "b": np.eye(3)}, [0, 1]),
            r"Got a \(2, 2\), b \(3, 3\) instead",
        ),
        (lambda: choose_candidate({"a": np.eye(2)}, [0]), "Got 1 and 2 instead"),
        (lambda: choose_candidate({"a": 2 * np.eye(2)}, [0, 1]), r"candidates\['a'\]"),
        (lambda: choose_candidate({"a": np.eye(2)}, [0, 2]), "from 0 to 1. Got 2"),
        (lambda: choose_candidate({"a": np.eye(2)}, [0, 1], unseen=[True]), "'unseen'"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
