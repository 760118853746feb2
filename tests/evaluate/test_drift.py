import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel, image_set_from_array
from fewlabel.errors import ModelFormatError
from fewlabel.evaluate import Evidence
from fewlabel.evaluate.drift import (
    _appearance,
    _clustered,
    _find_drift,
    _make_reference,
    _Reference,
)

K = 4
SHARES = np.array([0.4, 0.3, 0.2, 0.1])


def batch(task, n, shares, seed, *, strange=0.0, novelty=0.0):
    """Draw what is true of ``n`` images, calibrated probabilities, looks and features."""
    rng = np.random.default_rng(seed)
    true = rng.choice(K, n, p=shares)
    # Exact probabilities in the mix of the fit: Gaussians one apart in every direction.
    x = rng.normal(size=(n, K)) + 2.5 * np.eye(K)[true]
    proba = SHARES * np.exp(2.5 * x - 2.5**2 / 2)
    if task.exclusive:
        proba /= proba.sum(axis=1, keepdims=True)
    else:
        proba /= proba + (1 - SHARES)
    looks = rng.normal(size=(n, 4))
    looks[:, 0] += novelty
    new = slice(round(strange * n))
    # What is new is taken for the first class.
    proba[new] = [0.7, 0.1, 0.1, 0.1]
    features = np.eye(8)[true]
    features[new] = np.eye(8)[K]
    return true, proba, looks, rng.normal(size=(n, 8)) + 4 * features


@pytest.fixture(scope="module", params=[SingleLabel(), MultiLabel()], ids=str)
def task(request):
    return request.param


def drift(task, shares=SHARES, n=400, seed=1, **changes):
    _, old, looks, rows_of_fit = batch(task, 1_500, SHARES, 0)
    shown = np.stack([old.mean(axis=0), task.decided(old).mean(axis=0)])
    true, proba, _, _ = batch(task, 150, SHARES, 99)
    y = true if task.exclusive else np.eye(K, dtype=np.int8)[true]
    confidence = task.confidence(proba).astype(np.float32)
    evidence = Evidence(task.correct(y, proba), confidence)
    reference = _Reference(old[:1_000], looks[:1_000], shown, 1_500, 150)
    true, new, looks, rows = batch(task, n, shares, seed, **changes)
    y = true if task.exclusive else np.eye(K, dtype=np.int8)[true]
    right = task.correct(y, new).mean()
    return _find_drift(task, reference, evidence, new, looks, rows, rows_of_fit), right


@pytest.mark.parametrize("n", [60, 400])
def test_images_of_the_same_source_seldom_alarm(task, n):
    found = [drift(task, n=n, seed=seed) for seed in range(1, 31)]
    assert sum(one.verdict != "like" for one, _ in found) <= 3
    inside = [one.accuracy.low <= right <= one.accuracy.high for one, right in found]
    assert np.mean(inside) >= 0.9


def test_another_mix_of_classes_is_no_alarm_of_the_looks_and_its_accuracy_is_predicted(task):
    shares = np.array([0.05, 0.15, 0.2, 0.6])
    one, right = drift(task, shares)
    assert one.verdict == "mix"
    assert one.moved.tolist() == [True, True, False, True]
    assert one.accuracy.low <= right <= one.accuracy.high
    assert abs(one.accuracy.value - right) < 0.05
    low, high = one.shares[2:]
    assert ((low - 0.02 <= shares) & (shares <= high + 0.02)).all()


@pytest.mark.parametrize(("strange", "n"), [(0.3, 400), (0.1, 500), (0.1, 2_000)])
def test_a_new_class_that_hides_in_another_lies_apart(task, strange, n):
    one, _ = drift(task, strange=strange, n=n)
    assert one.verdict == "unlike"
    assert not one.many_beyond
    # Of 2,000 as many are looked at as there are images of the fit.
    assert (one.clustered < strange * n).sum() >= 0.5 * strange * n
    assert (one.clustered < strange * n).mean() >= 0.9


def test_other_shares_of_the_classes_and_what_has_no_features_are_no_new_class(task):
    one, _ = drift(task, np.array([0.05, 0.15, 0.1, 0.7]))
    assert not len(one.clustered)
    some = np.zeros((50, 8))
    assert not len(_clustered(some, some[:0], np.ones(50)))


def test_what_is_farther_from_everything_is_unlike(task):
    one, _ = drift(task, novelty=1.5)
    assert one.verdict == "unlike"
    assert one.many_beyond
    assert {shift.name for shift in one.shifts if shift.is_alarm} == {"novelty"}


def test_appearance_tells_brightness_contrast_and_sharpness():
    rng = np.random.default_rng(0)
    X = rng.integers(60, 120, (3, 64, 64)).astype(np.uint8)
    brighter, flat = X + 100, np.full_like(X, 90)
    one, two, three = (
        _appearance(image_set_from_array(of)).mean(axis=0) for of in (X, brighter, flat)
    )
    assert two[0] > one[0] + 90
    np.testing.assert_allclose(one[1:], two[1:], rtol=0.01)
    np.testing.assert_allclose(three, [90, 0, 0], atol=1)


def test_a_reference_is_small_and_of_few_images_there_is_none():
    task, images = SingleLabel(), image_set_from_array(np.zeros((1_200, 8, 8), np.uint8))
    proba, scores = np.full((1_200, 300), 1 / 300), np.zeros(1_200)
    assert len(_make_reference(task, images, proba, scores, 50, 0).proba) == 666
    assert _make_reference(task, images, proba[:19], scores[:19], 50, 0) is None


def test_a_damaged_reference_is_refused():
    reference = _Reference(np.ones((30, K)), np.ones((30, 4)), np.ones((2, K)), 30, 5)
    arrays, meta = reference.to_state()
    assert _Reference.from_state(arrays, meta, K).n_images == 30
    for wrong in ({"proba": np.ones((30, 3), np.float32)}, {"looks": np.full((30, 4), np.nan)}):
        with pytest.raises(ModelFormatError, match=r"reference\."):
            _Reference.from_state(arrays | wrong, meta, K)
    with pytest.raises(ModelFormatError, match="n_images"):
        _Reference.from_state(arrays, meta | {"n_images": 0}, K)
