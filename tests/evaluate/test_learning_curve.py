"""What twice the labels bring is predicted honestly: on curves that are known."""

import json

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.evaluate import fit_learning_curve, why_no_curve

SIZES = np.array([0.2, 0.4, 0.6, 0.8])


def error_at(n, a, b, c):
    return a * n**-b + c


def simulate(n_now, a, b, c, seed):
    """Images of different difficulty: the harder ones stay wrong longer, with some luck."""
    rng = np.random.default_rng(seed)
    hardness = rng.random((n_now, 1))
    luck = rng.normal(scale=0.02, size=(n_now, len(SIZES)))
    return SIZES * n_now, hardness + luck > error_at(SIZES * n_now, a, b, c)


def fitted(n_now=400, a=1.5, b=0.5, c=0.02, seed=0, **options):
    sizes, right = simulate(n_now, a, b, c, seed)
    return fit_learning_curve(sizes, right, n_now=n_now, **({"is_random_sample": True} | options))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside, gain_inside, widths = [], [], []
    for seed in range(120):
        n_now = int(rng.choice([60, 200, 600]))
        b, c = rng.uniform(0.1, 0.7), rng.choice([0.0, 0.05])
        a = rng.uniform(0.05, 0.3) * n_now**b
        curve = fitted(n_now, a, b, c, seed)
        truth = 1 - error_at(2 * n_now, a, b, c)
        gain = truth - (1 - error_at(n_now, a, b, c))
        inside.append(curve.low <= truth <= curve.high)
        gain_inside.append(curve.gain.low <= gain <= curve.gain.high)
        widths.append(curve.high - curve.low)
    assert 0.83 <= np.mean(inside) <= 0.98
    assert np.mean(gain_inside) >= 0.85
    assert np.mean(widths) < 0.16


def test_many_images_give_narrow_intervals_and_the_gain_is_known_better():
    few, many = fitted(100), fitted(4_000)
    assert many.high - many.low < (few.high - few.low) / 2
    for curve in (few, many):
        assert curve.gain.high - curve.gain.low < curve.high - curve.low
    truth = 1 - error_at(8_000, 1.5, 0.5, 0.02)
    assert many.expected == pytest.approx(truth, abs=0.01)


def test_a_steep_curve_is_worth_labels_and_a_flat_one_is_not():
    steep, flat = fitted(a=4.0, b=0.6, c=0.0), fitted(a=0.1, b=0.0)
    assert steep.worth_it
    assert not flat.worth_it
    assert flat.gain.expected < 0.01 < 0.02 < steep.gain.expected


def test_the_curve_rises_and_agrees_with_its_own_figures():
    curve = fitted()
    values = [curve.at(n).expected for n in (50, 100, 200, 400, 800, 1_600)]
    assert values == sorted(values)
    assert curve.at(400) == curve.now
    assert curve.at(800) == (curve.expected, curve.low, curve.high)
    with pytest.raises(UsageError, match=r"must be above 0\. Got 0"):
        curve.at(0)
    # Sizes below a label a class are left out.
    sizes, right = simulate(400, 1.5, 0.5, 0.02, 0)
    without = fit_learning_curve(sizes[1:], right[:, 1:], n_now=400, n_classes=100)
    with_it = fit_learning_curve(sizes, right, n_now=400, n_classes=100)
    assert with_it.expected == without.expected
    assert len(with_it.n_labeled) == 4


def test_representatives_are_taken_to_be_easier_and_the_interval_is_wider():
    random, chosen = fitted(), fitted(is_random_sample=False)
    assert random.shift == 0
    assert 0.01 < chosen.shift < 0.03
    assert chosen.expected < random.expected - 0.01
    assert chosen.high - chosen.low > random.high - random.low
    # Where almost all images are labeled, they are no choice.
    everything = fitted(is_random_sample=False, unlabeled_fraction=0.01)
    assert everything.expected == pytest.approx(random.expected, abs=0.005)


def test_the_curve_is_laid_through_an_accuracy_that_is_known_better():
    chosen = fitted(is_random_sample=False)
    audited = fitted(is_random_sample=False, audit=(850, 1_000))
    assert audited.now.expected == pytest.approx(0.85, abs=0.001)
    assert 0.82 < audited.now.low < 0.84
    assert audited.now.high - audited.now.low < chosen.now.high - chosen.now.low
    # The part by which errors fall is that of the points.
    fall, known = ((1 - c.expected) / (1 - c.now.expected) for c in (chosen, audited))
    assert known == pytest.approx(fall, abs=0.03)
    perfect = fitted(is_random_sample=False, audit=(50.0, 50.0))
    assert perfect.now.low < perfect.now.expected <= 1


def test_no_mistake_among_few_images_does_not_mean_that_there_are_none():
    curve = fit_learning_curve([10, 20, 32], np.ones((40, 3)), n_now=40, is_random_sample=True)
    assert curve.now.low < 0.97
    assert curve.now.low < curve.low < curve.high <= 1
    assert np.isfinite(curve.draws).all()


def test_it_is_the_same_each_time_and_json_takes_it():
    curve = fitted()
    assert curve.to_dict() == fitted().to_dict()
    found = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    assert found["next_n"] == 800
    assert found["gain"]["low"] <= found["gain"]["expected"] <= found["gain"]["high"]
    assert len(found["n_labeled"]) == len(found["accuracies"]) == len(found["standard_errors"])


def test_what_is_too_little_is_named():
    assert why_no_curve([0, 1] * 10) == ""
    assert "from 20 testable labels on; there are 19" in why_no_curve([0, 1] * 9 + [0])
    assert "two classes have two labels" in why_no_curve([0] * 30 + [1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_labeled": [10, 5, 20]}, r"increasing numbers above 0, or more\. Got \[10\.0, 5\.0"),
        ({"n_labeled": [10]}, "two increasing numbers"),
        ({"right": np.ones((40, 2))}, r"and 3 columns\. Got shape \(40, 2\)"),
        ({"right": np.full((40, 3), 1.5)}, r"shares in \[0, 1\]"),
        ({"n_now": 15}, "must be at least 20, the largest of 'n_labeled'"),
        ({"level": 1.0}, "must lie between 0 and 1"),
        ({"audit": (5, 4)}, r"how many are right of how many, at least one\. Got \(5, 4\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
    good = {"n_labeled": [5, 10, 20], "right": np.ones((40, 3)), "n_now": 40}
    with pytest.raises(UsageError, match=message):
        fit_learning_curve(**(good | changes))
