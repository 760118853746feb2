"""What a network learns from: labels, soft targets, weights, and what came before."""

import numpy as np
import pytest

from fewlabel import NetworkClassifier
from fewlabel.data import MultiLabel
from fewlabel.errors import UsageError
from tests.nets.examples import NEW_PAIRS, NEW_TABLE, PAIRS, QUICK, SHORT, SMALL, TABLE, X, Y


def test_unlabeled_rows_are_left_out_and_hard_targets_may_be_given_as_soft_ones():
    few = np.where(np.arange(len(Y)) < 300, Y, -1)
    model = NetworkClassifier(options=SMALL, n_epochs=3, random_state=0)
    with_rest = model.fit(X, few).predict_proba(X[:9])
    np.testing.assert_array_equal(with_rest, model.fit(X[:300], Y[:300]).predict_proba(X[:9]))
    soft = model.fit_soft(X[:300], np.eye(10)[Y[:300]]).predict_proba(X[:9])
    np.testing.assert_array_equal(with_rest, soft)


def test_given_validation_rows_are_stopped_on():
    model = NetworkClassifier(options=SMALL, n_epochs=200, patience=2, random_state=0)
    model.fit(X[:600], Y[:600], validation=(X[600:900], Y[600:900]))
    reached = [record["validation_accuracy"] for record in model.history_]
    # The best weights are kept.
    assert model.score(X[600:900], Y[600:900]) == pytest.approx(max(reached))
    assert len(reached) == int(np.argmax(reached)) + 1 + 2 < 200


def test_unknown_entries_teach_nothing():
    known = np.where(np.random.default_rng(0).random(TABLE.shape) < 0.5, TABLE, -1)
    # Taken as absent, half of the present ones would mislead.
    found, misled = (
        NetworkClassifier("cnn", **QUICK).fit(PAIRS, y).predict(NEW_PAIRS)[NEW_TABLE == 1].mean()
        for y in (known, np.maximum(known, 0))
    )
    assert found > misled + 0.1


def test_a_mask_weighs_and_is_never_a_target():
    mask = np.where(np.arange(10) < 5, 0.5, 0.0) * np.ones_like(TABLE)
    wild = np.where(mask > 0, TABLE, 1 - TABLE)
    network = NetworkClassifier("cnn", task=MultiLabel(), **SHORT)
    # What stands where nothing is known changes nothing.
    model, again, unmasked = (
        network.fit_soft(PAIRS, *soft).predict_proba(NEW_PAIRS)
        for soft in ((TABLE, mask), (wild, mask), (wild,))
    )
    np.testing.assert_array_equal(model, again)
    assert not np.allclose(model, unmasked, atol=0.05)


def test_an_image_without_any_label_is_absence():
    first = np.arange(400) < 200
    model = NetworkClassifier("cnn", **QUICK)
    model.fit(np.where(first[:, None, None], 0, PAIRS).astype(np.uint8), TABLE * ~first[:, None])
    assert model.predict(np.zeros((1, 8, 16), np.uint8)).sum() == 0


def test_warm_start_goes_on():
    model = NetworkClassifier("cnn", warm_start=True, **QUICK | {"min_steps": 40})
    before = model.fit(PAIRS, TABLE).history_[-1]["loss"]
    assert model.fit(PAIRS, TABLE).history_[-1]["loss"] < before
    with pytest.raises(UsageError, match="set warm_start=False"):
        model.fit(PAIRS[:, :, :8], TABLE)


def test_labels_that_cannot_be_learned_are_named():
    odd = np.where(np.arange(10) == 3, 0, TABLE)
    odd[:, 7] = -1
    with pytest.warns(UserWarning, match="learn it") as seen:
        NetworkClassifier("cnn", labels=list("abcdefghij"), **SHORT).fit(PAIRS, odd)
    first, second = (str(warning.message) for warning in seen)
    assert "No image has the label d (always 0). NetworkClassifier cannot learn it" in first
    assert "The label h is never known (always -1)." in second


@pytest.mark.parametrize(
    ("targets", "more", "message"),
    [
        (np.eye(3), {"classes": ["a", "b"]}, r"the K columns. Got \(3, 3\) and 2 classes"),
        (np.full((3, 2), np.nan), {}, "must be probabilities, from 0 to 1"),
        (-np.eye(3), {}, "must be probabilities, from 0 to 1"),
        (np.eye(2), {}, "Got 3 rows and 2 targets"),
        (np.eye(3, 2), {"mask": np.ones((3, 1))}, "'mask' of NetworkClassifier"),
        (np.eye(3, 2), {"mask": np.full((3, 2), 2)}, "'mask' of NetworkClassifier"),
    ],
)
def test_soft_targets_and_masks_that_are_no_fractions_are_refused(targets, more, message):
    model = NetworkClassifier(task=MultiLabel() if "mask" in more else None)
    with pytest.raises(UsageError, match=message):
        model.fit_soft(X[:3], targets, **more)
