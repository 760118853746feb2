import numpy as np
import pytest

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import Evidence, accept_at
from fewlabel.evaluate.selective import _saved_evidence


def draw(rng, n):
    """Calibrated predictions, of which about a tenth are wrong."""
    confidence = rng.beta(6, 0.7, n)
    return rng.random(n) < confidence, confidence


@pytest.mark.parametrize(("max_error", "n"), [(0.02, 149), (0.05, 59), (0.1, 29)])
def test_so_many_right_labels_are_enough_and_one_less_is_not(max_error, n):
    sure = np.linspace(0.8, 1, n)
    found = accept_at(np.ones(n, bool), sure, max_error)
    assert found.threshold == pytest.approx(0.8)
    assert (found.n_labels, found.n_accepted, found.n_wrong, found.n_missing) == (n, n, 0, 0)
    less = accept_at(np.ones(n - 1, bool), sure[1:], max_error)
    assert (less.threshold, less.n_missing) == (None, 1)
    assert "at least 1 more random label than" in less.why_not
    none = accept_at([], [], max_error)
    assert (none.threshold, none.n_labels, none.n_missing) == (None, 0, n)
    assert "of no label is it known" in none.why_not


def test_the_promise_holds_and_something_is_accepted():
    rng = np.random.default_rng(0)
    pool_right, pool_sure = draw(rng, 20_000)
    broken, shares = 0, []
    for _ in range(300):
        found = accept_at(*draw(rng, 200), 0.05)
        accepted = pool_sure >= (2 if found.threshold is None else found.threshold)
        shares.append(accepted.mean())
        broken += bool(shares[-1]) and (~pool_right[accepted]).mean() > 0.05
    assert broken <= 0.08 * 300
    assert np.mean(shares) > 0.15


def test_equal_confidences_are_accepted_together_or_not_at_all():
    right = np.r_[np.ones(60, bool), np.zeros(5, bool)]
    assert accept_at(right, np.full(65, 0.9), 0.05).threshold is None
    sure = np.r_[np.full(60, 0.9), np.full(5, 0.4)]
    assert accept_at(right, sure, 0.05).threshold == pytest.approx(0.9)


@pytest.mark.parametrize("max_error", [0, 1, float("nan")])
def test_a_promise_of_nothing_is_refused(max_error):
    with pytest.raises(UsageError, match="'max_error' parameter of accept_at must be"):
        accept_at([True], [0.9], max_error)


@pytest.mark.parametrize(
    "change",
    [
        {"correct": np.zeros(2, bool)},
        {"correct": np.zeros(3, np.int8)},
        {"confidence": np.array([0.1, 0.2, 1.5], np.float32)},
        {"confidence": np.array([0.1, 0.2, np.nan], np.float32)},
    ],
)
def test_saved_evidence_is_checked(change):
    saved = {"correct": np.ones(3, bool), "confidence": np.array([0.5, 0.6, 1], np.float32)}
    assert _saved_evidence(saved).confidence[2] == 1
    assert isinstance(_saved_evidence({}), Evidence)
    with pytest.raises(ModelFormatError):
        _saved_evidence(saved | change)


def test_what_is_nearly_sure_is_accepted_where_float32_says_sure():
    sure = np.full(60, 1 - 1e-8)
    assert sure.min() >= accept_at(np.ones(60, bool), sure.astype(np.float32), 0.05).threshold
