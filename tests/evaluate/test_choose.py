"""The choice follows accuracy where it is clear, log loss where it is not, then the order."""

from functools import partial

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.data.calibration import Temperature
from fewlabel.errors import UsageError
from fewlabel.evaluate import choose_candidate as choose
from tests.evaluate.test_reliability import several


def make_proba(y, wrong, confidence=0.7, k=3):
    """Predictions of one confidence, wrong on the images ``wrong``."""
    predicted = np.asarray(y).copy()
    predicted[wrong] = (predicted[wrong] + 1) % k
    proba = np.full((len(y), k), (1 - confidence) / (k - 1))
    proba[np.arange(len(y)), predicted] = confidence
    return proba


Y = np.arange(40) % 3
choose_single = partial(choose, SingleLabel())
choose_several = partial(choose, MultiLabel())


def test_a_clear_winner_wins_even_with_a_worse_log_loss():
    # Hardly sure, but where it is wrong.
    best = make_proba(Y, [0], 0.4)
    best[0] = make_proba(Y, [0], 0.99)[0]
    # Wrong ten times, and sure only where it is right.
    modest = make_proba(Y, range(10), 0.99)
    modest[:10] = make_proba(Y, range(10), 0.3401)[:10]
    # The order of the candidates does not matter without a tie.
    assert choose_single(Y, {"best": best, "modest": modest}).name == "best"
    choice = choose_single(Y, {"modest": modest, "best": best})
    assert choice.name == "best"
    rows = {row.name: row for row in choice.table}
    assert rows["modest"].log_loss < rows["best"].log_loss
    assert (rows["best"].why, rows["best"].se) == ("most accurate", 0)
    assert rows["modest"].why == "less accurate than best by more than the error allows"
    assert [row.chosen for row in choice.table] == [False, True]


def test_a_near_tie_goes_to_the_least_log_loss():
    # Wrong twice, and unsure just there; the other is wrong once and as sure as ever.
    knows, lucky = make_proba(Y, [5, 6], 0.95), make_proba(Y, [9], 0.99)
    knows[[5, 6]] = np.sqrt(knows[[5, 6]]) / np.sqrt(knows[[5, 6]]).sum(axis=1, keepdims=True)
    lucky[20:] = make_proba(Y, [9], 0.4)[20:]
    assert choose_single(Y, {"knows": knows, "lucky": lucky}).name == "knows"
    choice = choose_single(Y, {"lucky": lucky, "knows": knows})
    rows = {row.name: row for row in choice.table}
    assert rows["lucky"].accuracy > rows["knows"].accuracy
    assert rows["knows"].log_loss < rows["lucky"].log_loss
    assert choice.name == "knows"
    assert "least log loss among the 2" in rows["knows"].why
    assert "but knows comes first" in rows["lucky"].why


def test_the_standard_error_is_of_the_paired_difference():
    # Both wrong on the same ten images, one on two more: paired, the error is small.
    a, b = make_proba(Y, range(10)), make_proba(Y, range(12))
    row = {row.name: row for row in choose_single(Y, {"a": a, "b": b}).table}["b"]
    difference = np.zeros(40)
    difference[10:12] = 1
    assert row.se == pytest.approx(difference.std(ddof=1) / np.sqrt(40))
    assert row.accuracy == pytest.approx(0.7)


def test_a_unsure_candidate_does_not_lose_for_being_unsure():
    rng = np.random.default_rng(0)
    logits = 3 * np.eye(3)[Y] + rng.normal(size=(40, 3))
    sharp = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    unsure = Temperature(4.0).apply(sharp)
    baseline = Temperature().apply(0.8 * sharp + 0.2 * rng.dirichlet(np.ones(3), 40))
    choice = choose_single(Y, {"baseline": baseline, "unsure": unsure})
    assert choice.name == "unsure"
    assert choice.table[1].calibration["temperature"] < 0.6


def test_a_full_tie_goes_to_the_preferred_then_to_the_first():
    proba = make_proba(Y, [0, 1])
    candidates = {"a": proba, "b": proba.copy(), "c": proba.copy()}
    assert choose_single(Y, candidates).name == "a"
    choice = choose_single(Y, candidates, prefer=["absent", "c", "b"])
    assert choice.name == "c"
    assert choice.table[2].why == "preferred among the 3 that are as accurate within the error"
    assert choice.table[0].why == "as accurate within the error, but c comes first"


def test_preference_outweighs_a_difference_within_the_error_and_no_more():
    better, worse = make_proba(Y, [0, 1]), make_proba(Y, [0, 2, 3, 4, 5])
    candidates = {"better": better, "worse": worse}
    assert choose_single(Y, candidates, prefer=["worse"]).name == "better"
    assert choose_single(Y, candidates, prefer=["worse"], n_se=2.0).name == "worse"
    assert choose_single(Y, candidates, n_se=2.0).n_se == 2.0


def test_labels_that_cannot_be_tested_are_left_out():
    unseen = np.arange(40) < 8
    a, b = make_proba(Y, range(8)), make_proba(Y, range(8, 14))
    assert choose_single(Y, {"a": a, "b": b}).name == "b"
    choice = choose_single(Y, {"a": a, "b": b}, unseen=unseen)
    assert choice.name == "a"
    assert choice.table[0].accuracy == 1
    all_unseen = choose_single(Y, {"a": a, "b": b}, unseen=np.ones(40, bool))
    assert all_unseen.name == "b"
    assert {row.why for row in all_unseen.table} == {"could not be tested: no class has two labels"}
    # One candidate and one label are enough.
    choice = choose_single([0], {"only": [[0.6, 0.4]]})
    assert choice.name == "only"
    assert choice.table[0].se == 0


def test_the_best_exact_match_of_several_labels_is_chosen():
    y, good = several(scale=4.0)
    noise = np.random.default_rng(1).random(good.shape)
    choice = choose_several(y, {"noise": noise, "good": good})
    table = {row.name: row for row in choice.table}
    assert choice.name == "good"
    assert table["good"].accuracy > table["noise"].accuracy
    assert table["good"].calibration["scale"] == pytest.approx(0.25, rel=0.3)
    assert "less accurate than good" in table["noise"].why
    # Entries that are unknown count for nothing.
    y[::2, 0] = -1
    other = good.copy()
    other[::2, 0] = 0.5
    one, two = (choose_several(y, {"good": proba}).table[0] for proba in (good, other))
    assert one == two


def test_what_was_asked_for_is_marked_and_no_other_reason_is_given():
    candidates = {
        "good": make_proba(Y, [0]),
        "near": make_proba(Y, [1, 2]),
        "bad": make_proba(Y, range(20)),
    }
    free = choose_single(Y, candidates, prefer=["near"])
    assert (free.name, free.favored) == ("near", "near")
    for asked in candidates:
        choice = choose_single(Y, candidates, prefer=["near"], asked=asked)
        assert (choice.name, choice.favored) == (asked, "near")
        assert [row.name for row in choice.table if row.chosen] == [asked]
        assert [row.name for row in choice.table if row.why == "asked for"] == [asked]


@pytest.mark.parametrize(
    ("y", "probas", "options", "text"),
    [
        ([0], {}, {}, "at least one candidate"),
        ([0, 1], {"a": np.eye(2), "b": np.eye(3)}, {}, r"Got a \(2, 2\), b \(3, 3\) instead"),
        ([0], {"a": np.eye(2)}, {}, "Got 1 and 1 and 2 instead"),
        ([0, 1], {"a": 2 * np.eye(2)}, {}, "summing to 1"),
        ([0, 2], {"a": np.eye(2)}, {}, r"from 0 to 1\. Got 2"),
        ([0, 1], {"a": np.eye(2)}, {"unseen": [True]}, "'unseen'"),
        ([0, 1], {"a": np.eye(2)}, {"asked": "b"}, r"one of a\. Got 'b'"),
    ],
)
def test_bad_input_is_named(y, probas, options, text):
    with pytest.raises(UsageError, match=text):
        choose_single(y, probas, **options)
