"""The network as a scikit-learn classifier, beyond the contract of tests/test_estimators.py."""

import numpy as np
import pytest

from fewlabel import NetworkClassifier
from fewlabel.data import MultiLabel
from fewlabel.errors import UsageError
from tests.nets.examples import (
    IMAGES,
    NEW_PAIRS,
    NEW_TABLE,
    PAIRS,
    QUICK,
    SMALL,
    TABLE,
    X,
    Y,
)


@pytest.mark.parametrize("architecture", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("color", [False, True])
def test_every_architecture_learns_from_images(architecture, color):
    images = np.repeat(IMAGES[..., None], 3, axis=3) if color else IMAGES
    options = SMALL if architecture == "mlp" else {"widths": (8, 16)}
    model = NetworkClassifier(architecture, options=options, min_steps=150, random_state=0)
    model.fit(images[:600], Y[:600])
    assert model.score(images[900:], Y[900:]) > 0.8
    assert model.embed(images[:5]).shape == (5, model.network_.head.in_features)


def test_rows_with_a_constant_feature_are_learned_from():
    wide = np.column_stack([X, np.full(len(X), 1e6, np.float32)])
    model = NetworkClassifier(options=SMALL, random_state=0).fit(wide[:900], Y[:900])
    assert model.score(wide[900:], Y[900:]) > 0.85
    assert model.fit(X[:900], Y[:900]).score(X[900:], Y[900:]) > 0.88


def test_what_augmentation_shifts_or_leaves_is_trained_on():
    shifted = np.roll(IMAGES[900:], 1, axis=2)
    settings = {"options": {"widths": (8, 16)}, "min_steps": 100, "random_state": 0}
    seen = []

    def own(batch, generator):
        seen.append(tuple(batch.shape[1:]))
        return batch

    plain, weak, same = (
        NetworkClassifier("cnn", augment=augment, **settings).fit(IMAGES[:300], Y[:300])
        for augment in (None, "weak", own)
    )
    assert weak.score(shifted, Y[900:]) > plain.score(shifted, Y[900:]) + 0.03
    assert set(seen) == {(1, 8, 8)}
    np.testing.assert_array_equal(same.predict_proba(shifted), plain.predict_proba(shifted))


@pytest.mark.parametrize(("rows", "y"), [(X, Y), (PAIRS, TABLE)], ids=["rows", "table"])
def test_early_stopping_holds_labeled_rows_out(rows, y):
    model = NetworkClassifier(options=SMALL, early_stopping=True, n_epochs=200, patience=3)
    model.set_params(random_state=0).fit(rows[:400], y[:400])
    assert len(model.history_) < 200
    assert 0 <= model.history_[0]["validation_accuracy"] <= 1


def test_a_table_asks_for_several_labels_and_the_asymmetric_loss_finds_more_of_the_rare():
    model = NetworkClassifier("cnn", **QUICK).fit(PAIRS, TABLE)
    assert model.task_ == MultiLabel()
    assert model.score(NEW_PAIRS, NEW_TABLE) > 0.3
    proba, predicted = model.predict_proba(NEW_PAIRS), model.predict(NEW_PAIRS)
    assert predicted.shape == (200, 10)
    assert ((proba >= 0) & (proba <= 1)).all()
    np.testing.assert_array_equal(predicted, proba >= 0.5)
    # Rows of which nothing is known count neither as right nor as wrong.
    some = np.where(np.arange(200)[:, None] < 100, NEW_TABLE, -1)
    expected = model.score(NEW_PAIRS[:100], NEW_TABLE[:100])
    assert model.score(NEW_PAIRS, some) == pytest.approx(expected)
    assert np.isnan(model.score(NEW_PAIRS, np.full_like(NEW_TABLE, -1)))
    rare = NetworkClassifier("cnn", loss="asymmetric", **QUICK).fit(PAIRS, TABLE)
    assert rare.predict(NEW_PAIRS)[NEW_TABLE == 1].mean() > predicted[NEW_TABLE == 1].mean()


ROWS, IMAGE = np.zeros((3, 4), np.float32), np.zeros((1, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("settings", "rows", "y", "message"),
    [
        ({"early_stopping": True}, ROWS, [0, 1, 2], "set early_stopping=False or label more"),
        ({"augment": "weak"}, ROWS, [0, 1, 2], "augment='weak' with rows of features: leave it"),
        ({"augment": "wild"}, ROWS, [0, 1, 2], "must be one of none, weak, mild, strong"),
        ({}, IMAGE, [0, 1, 2], "Got 3 labels for 1 images"),
        ({}, IMAGE, [[1, 2]], r"must be 1 .present., 0 .absent. or -1 .unknown.. Got 2 instead"),
        ({}, IMAGE, [[1, 0], [0, 1]], r"Got \(2, 2\) instead"),
        ({}, IMAGE, [[-1, -1]], "at least one known label"),
        ({"task": MultiLabel()}, IMAGE, [1], r"shape \(1, K\)"),
        ({"loss": "hinge"}, IMAGE, [[1, 1]], "one of bce, asymmetric"),
        ({"labels": ["a"]}, IMAGE, [[1, 0]], "must name 2 labels"),
    ],
)
def test_bad_settings_and_labels_are_refused(settings, rows, y, message):
    with pytest.raises(UsageError, match=message):
        NetworkClassifier(**settings).fit(rows, y)
