import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.evaluate.outliers import _alarm_threshold, _label_probability


@pytest.mark.parametrize("n", [19, 50, 200])
def test_false_alarms_are_as_rare_as_promised_and_their_interval_covers(n):
    rng = np.random.default_rng(0)
    rates, inside = [], []
    for _ in range(1_000):
        found = _alarm_threshold(rng.exponential(size=n))
        rates.append(np.exp(-found.threshold))
        inside.append(found.low <= rates[-1] <= found.high)
    assert found.rate <= 0.05
    assert np.mean(rates) == pytest.approx(found.rate, abs=4 * np.std(rates) / 1_000**0.5)
    assert 0.93 <= np.mean(inside) <= 0.97


def test_words_call_an_excess_what_chance_does_not_give():
    found = _alarm_threshold(np.arange(100))
    assert ": all may be false alarms" in found.summary(50, 1_000)["in_words"]
    assert found.summary(0, 1_000)["in_words"].endswith("from 100 labels).")
    text = found.summary(300, 1_000)["in_words"]
    assert text.startswith("300 of 1,000 unlabeled images (30.0 %) are unlike anything labeled.")
    assert text.endswith(f"at least {np.ceil(300 - 1_000 * found.high):.0f} show something else.")


@pytest.mark.parametrize(
    ("task", "y", "expected"),
    [
        (SingleLabel(), [0, 0, 1], [0.6, 0.01, 0.2]),
        # Absent where it is probable is as doubtful as present where it is not.
        (MultiLabel(), [[1, 0], [0, 1], [-1, -1]], [0.6, 0.99, 1.0]),
    ],
)
def test_the_least_probable_label_of_an_image_counts(task, y, expected):
    proba = np.array([[0.6, 0.4], [0.01, 0.99], [0.8, 0.2]])
    np.testing.assert_allclose(_label_probability(task, np.array(y), proba), expected)
