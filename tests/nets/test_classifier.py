"""The network as a scikit-learn classifier, beyond the contract of tests/test_estimators.py."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from fewlabel import NetworkClassifier
from fewlabel.data import MultiLabel
from fewlabel.errors import ModelFormatError, TrainingError, UsageError
from fewlabel.persist import load_bundle, save_bundle

SMALL = {"widths": (32, 16), "dropout": 0.1}
ROWS, IMAGE = np.zeros((3, 4), np.float32), np.zeros((1, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def fitted(digits):
    X, y = digits
    return NetworkClassifier(options=SMALL, random_state=0).fit(X[:900], y[:900])


def test_it_beats_nine_in_ten_on_unseen_digits(fitted, digits):
    X, y = digits
    assert fitted.score(X[900:], y[900:]) > 0.88


@pytest.mark.parametrize("architecture", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("color", [False, True])
def test_every_architecture_learns_from_images(architecture, color, digits):
    X, y = digits
    images = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
    if color:
        images = np.repeat(images[..., None], 3, axis=3)
    options = SMALL if architecture == "mlp" else {"widths": (8, 16)}
    model = NetworkClassifier(architecture, options=options, min_steps=150, random_state=0)
    model.fit(images[:600], y[:600])
    assert model.score(images[900:], y[900:]) > 0.8
    assert model.embed(images[:5]).shape == (5, model.network_.head.in_features)


def test_unlabeled_rows_are_left_out(digits):
    X, y = digits
    few = np.where(np.arange(len(y)) < 300, y, -1)
    model = NetworkClassifier(options=SMALL, n_epochs=3, random_state=0)
    with_rest = model.fit(X, few).predict_proba(X[:9])
    alone = model.fit(X[:300], y[:300]).predict_proba(X[:9])
    np.testing.assert_array_equal(with_rest, alone)


def test_given_validation_rows_are_stopped_on(digits):
    X, y = digits
    model = NetworkClassifier(options=SMALL, n_epochs=200, patience=2, random_state=0)
    model.fit(X[:600], y[:600], validation=(X[600:900], y[600:900]))
    best = max(record["validation_accuracy"] for record in model.history_)
    assert model.score(X[600:900], y[600:900]) == pytest.approx(best)
    assert len(model.history_) < 200


def test_a_constant_feature_does_no_harm(digits):
    X, y = digits
    wide = np.column_stack([X, np.full(len(X), 1e6, np.float32)])
    model = NetworkClassifier(options=SMALL, random_state=0).fit(wide[:900], y[:900])
    assert model.score(wide[900:], y[900:]) > 0.85


@pytest.mark.parametrize(
    "forge",
    [
        lambda arrays, meta: arrays.pop("head.weight"),
        lambda arrays, meta: arrays.update({"head.bias": np.zeros(3, np.float32)}),
        lambda arrays, meta: meta.update(classes=[1, 2]),
        lambda arrays, meta: meta["network"].update(input_shape=[65]),
        lambda arrays, meta: meta["network"].update(n_outputs="ten"),
        lambda arrays, meta: meta.pop("network"),
        lambda arrays, meta: meta.pop("task"),
        # Would take terabytes, if it were built before it is checked.
        lambda arrays, meta: meta["network"]["options"].update(widths=[10**6, 10**6]),
    ],
)
def test_a_saved_network_that_does_not_fit_its_description_is_refused(fitted, forge):
    arrays, meta = fitted.to_state()
    meta["network"]["options"] = dict(meta["network"]["options"])
    forge(arrays, meta)
    with pytest.raises(ModelFormatError, match="does not fit its description"):
        NetworkClassifier.from_state(arrays, meta)


def test_images_of_another_size_are_refused(digits):
    X, y = digits
    images = X.reshape(-1, 8, 8).astype(np.uint8)
    model = NetworkClassifier(options=SMALL, n_epochs=1, min_steps=0).fit(images[:50], y[:50])
    with pytest.raises(UsageError, match=r"of shape \(1, 8, 8\) and got \(1, 9, 8\)"):
        model.predict(np.zeros((2, 9, 8), np.uint8))


def test_soft_targets_of_a_teacher_are_learned_from(fitted, digits):
    X, y = digits
    names = np.array(list("abcdefghij"))
    soft = np.full((900, 10), 0.02, np.float32)
    soft[np.arange(900), y[:900]] = 0.82
    model = NetworkClassifier(options=SMALL, random_state=0)
    model.fit_soft(X[:900], soft, sample_weight=np.ones(900), classes=names)
    assert np.mean(model.predict(X[900:]) == names[y[900:]]) > 0.88
    # It is no surer than it was taught to be.
    assert model.predict_proba(X[:900]).max() < 0.9 < fitted.predict_proba(X[:900]).max()


def test_hard_targets_given_as_soft_ones_train_the_same_network(digits):
    X, y = digits
    model = NetworkClassifier(options=SMALL, n_epochs=3, random_state=0)
    hard = model.fit(X[:300], y[:300]).predict_proba(X[:9])
    soft = model.fit_soft(X[:300], np.eye(10)[y[:300]]).predict_proba(X[:9])
    np.testing.assert_array_equal(hard, soft)


def test_a_network_of_timm_is_an_architecture(digits):
    images = np.kron(digits[0].reshape(-1, 8, 8)[:60], np.ones((4, 4))).astype(np.uint8)
    model = NetworkClassifier("timm/mobilenetv3_small_050", n_epochs=1, min_steps=1)
    model.fit(images, digits[1][:60])
    again = NetworkClassifier.from_state(*model.to_state())
    np.testing.assert_array_equal(again.predict_proba(images), model.predict_proba(images))


def test_a_network_trained_on_shifted_images_does_not_mind_a_shift(digits):
    X, y = digits
    images = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
    shifted = np.roll(images[900:], 1, axis=2)
    reached = {}
    for augment in (None, "weak"):
        model = NetworkClassifier(
            "cnn", options={"widths": (8, 16)}, augment=augment, min_steps=100, random_state=0
        )
        reached[augment] = model.fit(images[:300], y[:300]).score(shifted, y[900:])
    assert reached["weak"] > reached[None] + 0.03


QUICK = {
    "options": {"widths": (8, 16)},
    "n_epochs": 1,
    "min_steps": 120,
    "learning_rate": 5e-3,
    "random_state": 0,
}
SHORT = QUICK | {"min_steps": 20}


def pairs(n, seed):
    """Put two digits side by side, in images of 8 x 16: a table of which there are."""
    digits = load_digits()
    chosen = np.random.default_rng(seed).integers(len(digits.target), size=(n, 2))
    images = (digits.images * 15).astype(np.uint8)[chosen]
    Y = np.zeros((n, 10), dtype=int)
    np.put_along_axis(Y, digits.target[chosen], 1, axis=1)
    return np.concatenate([images[:, 0], images[:, 1]], axis=2), Y


@pytest.fixture(scope="module")
def table():
    return *pairs(400, 0), *pairs(200, 1)


@pytest.fixture(scope="module")
def several(table):
    return NetworkClassifier("cnn", **QUICK).fit(table[0], table[1])


def test_a_table_asks_for_several_labels(several, table):
    _, _, test, truth = table
    assert several.task_ == MultiLabel()
    assert several.score(test, truth) > 0.3
    assert several.predict(test).shape == (200, 10)
    proba = several.predict_proba(test)
    assert ((proba >= 0) & (proba <= 1)).all()
    np.testing.assert_array_equal(several.predict(test), proba >= 0.5)
    # Rows of which nothing is known count neither as right nor as wrong.
    some = np.where(np.arange(200)[:, None] < 100, truth, -1)
    assert several.score(test, some) == pytest.approx(several.score(test[:100], truth[:100]))
    assert np.isnan(several.score(test, np.full_like(truth, -1)))


def test_unknown_entries_teach_nothing(table):
    X, Y, test, truth = table
    known = np.where(np.random.default_rng(0).random(Y.shape) < 0.5, Y, -1)
    # Taken as absent, half of the present ones would teach the wrong.
    found = [
        NetworkClassifier("cnn", **QUICK).fit(X, y).predict(test)[truth == 1].mean()
        for y in (known, np.maximum(known, 0))
    ]
    assert found[0] > found[1] + 0.1


def test_a_mask_weighs_and_is_never_a_target(table):
    X, Y, test, _ = table
    mask = np.where(np.arange(10) < 5, 0.5, 0.0) * np.ones_like(Y)
    wild = np.where(mask > 0, Y, 1 - Y)
    # What stands where nothing is known changes nothing.
    model, again, unmasked = (
        NetworkClassifier("cnn", task=MultiLabel(), **SHORT).fit_soft(X, *soft).predict_proba(test)
        for soft in ((Y, mask), (wild, mask), (wild,))
    )
    np.testing.assert_array_equal(model, again)
    assert not np.allclose(model, unmasked, atol=0.05)


def test_a_row_of_weight_0_teaches_nothing(table):
    X, Y, _, _ = table
    weights = np.repeat([1.0, 0.0], 200)
    first = NetworkClassifier("cnn", task=MultiLabel(), **SHORT).fit(X, Y, sample_weight=weights)
    wrong = np.where(np.arange(400)[:, None] < 200, Y, 1 - Y)
    # Offsets at the start come of all labels, whatever their weight.
    second = clone(first).fit_soft(X, wrong, sample_weight=weights)
    third = clone(first).fit(X[:200], Y[:200])
    assert first.history_[-1]["loss"] == pytest.approx(second.history_[-1]["loss"], abs=0.1)
    assert first.history_[-1]["loss"] < third.history_[-1]["loss"]


def test_the_asymmetric_loss_finds_more_of_the_rare_labels(several, table):
    X, Y, test, truth = table
    model = NetworkClassifier("cnn", loss="asymmetric", **QUICK).fit(X, Y)
    assert model.predict(test)[truth == 1].mean() > several.predict(test)[truth == 1].mean()


def test_warm_start_goes_on(table):
    X, Y, _, _ = table
    model = NetworkClassifier("cnn", warm_start=True, **QUICK | {"min_steps": 40}).fit(X, Y)
    before = model.history_[-1]["loss"]
    assert model.fit(X, Y).history_[-1]["loss"] < before
    with pytest.raises(UsageError, match="set warm_start=False"):
        model.fit(X[:, :, :8], Y)


def test_an_augmentation_of_ones_own(table):
    seen = []

    def darken(batch, generator):
        seen.append(batch.shape[1:])
        return batch * 0.5

    NetworkClassifier("cnn", augment=darken, **SHORT).fit(*table[:2])
    assert set(map(tuple, seen)) == {(1, 8, 16)}


def test_labels_that_cannot_be_learned_are_named(table):
    X, Y, _, _ = table
    odd = np.where(np.arange(10) == 3, 0, Y)
    odd[:, 7] = -1
    with pytest.warns(UserWarning, match="learn it") as seen:
        NetworkClassifier("cnn", labels=list("abcdefghij"), **SHORT).fit(X, odd)
    texts = [str(warning.message) for warning in seen]
    assert "No image has the label d (always 0). NetworkClassifier cannot learn it" in texts[0]
    assert "The label h is never known (always -1)." in texts[1]
    assert len(texts) == 2


def test_an_image_without_any_label_is_absence(table):
    X, Y, _, _ = table
    first = np.arange(400) < 200
    model = NetworkClassifier("cnn", **QUICK)
    model.fit(np.where(first[:, None, None], 0, X).astype(np.uint8), Y * ~first[:, None])
    assert model.predict(np.zeros((1, 8, 16), np.uint8)).sum() == 0


def test_a_loss_that_is_no_number_is_reported(table):
    X, Y, _, _ = table
    model = NetworkClassifier(learning_rate=1e30, random_state=0)
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="lower the learning rate"):
        model.fit(X.reshape(400, -1) * 1e30, Y)


@pytest.mark.parametrize("data", ["digits", "table"])
def test_early_stopping_holds_labeled_rows_out(data, request):
    X, y, *_ = request.getfixturevalue(data)
    model = NetworkClassifier(options=SMALL, early_stopping=True, n_epochs=200, patience=3)
    model.set_params(random_state=0).fit(X[:400], y[:400])
    assert len(model.history_) < 200
    assert 0 <= model.history_[0]["validation_accuracy"] <= 1


@pytest.mark.parametrize(
    ("architecture", "data", "labels"),
    [("mlp", "digits", None), ("resnet", "table", [f"digit {k}" for k in range(10)])],
)
def test_a_saved_network_predicts_the_same(architecture, data, labels, request, tmp_path):
    X, y, *_ = request.getfixturevalue(data)
    model = NetworkClassifier(architecture, labels=labels, **SHORT).fit(X[:400], y[:400])
    arrays, meta = model.to_state()
    save_bundle(tmp_path / "model", kind="network", arrays=arrays, meta=meta)
    bundle = load_bundle(tmp_path / "model", kind="network")
    again = NetworkClassifier.from_state(bundle.arrays, bundle.meta, device="cpu")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.classes_.tolist() == (labels or list(range(10)))
    assert list(again.options["widths"]) == [8, 16]


@pytest.mark.parametrize(
    ("settings", "X", "y", "message"),
    [
        ({"early_stopping": True}, ROWS, [0, 1, 2], "set early_stopping=False or label more"),
        ({"validation_fraction": 1}, ROWS, [0, 1, 2], "'validation_fraction' parameter of Network"),
        ({"n_epochs": 0}, ROWS, [0, 1, 2], "'n_epochs' parameter of NetworkClassifier"),
        ({"learning_rate": 0}, IMAGE, [[1, 1]], "'learning_rate' parameter of NetworkClassifier"),
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
def test_bad_settings_and_labels_are_refused(settings, X, y, message):
    with pytest.raises(UsageError, match=message):
        NetworkClassifier(**settings).fit(X, y)


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
        model.fit_soft(ROWS, targets, **more)
