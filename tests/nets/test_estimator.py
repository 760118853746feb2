"""The network as a scikit-learn classifier, beyond the contract of tests/test_estimators.py."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel import NetworkClassifier
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.persist import load_bundle, save_bundle

SMALL = {"widths": (32, 16), "dropout": 0.1}


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
@pytest.mark.parametrize("colour", [False, True])
def test_every_architecture_learns_from_images(architecture, colour, digits):
    X, y = digits
    images = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
    if colour:
        images = np.repeat(images[..., None], 3, axis=3)
    options = SMALL if architecture == "mlp" else {"widths": (8, 16)}
    model = NetworkClassifier(architecture, options=options, min_steps=150, random_state=0)
    model.fit(images[:600], y[:600])
    assert model.score(images[900:], y[900:]) > 0.8
    assert model.embed(images[:5]).shape == (5, model.network_.head.in_features)


def test_unlabelled_rows_are_left_out(digits):
    X, y = digits
    few = np.where(np.arange(len(y)) < 300, y, -1)
    model = NetworkClassifier(options=SMALL, n_epochs=3, random_state=0)
    with_rest = model.fit(X, few).predict_proba(X[:9])
    alone = model.fit(X[:300], y[:300]).predict_proba(X[:9])
    np.testing.assert_array_equal(with_rest, alone)


def test_names_of_classes_may_be_texts(digits):
    X, y = digits
    names = np.array([f"digit {label}" for label in y])
    model = NetworkClassifier(options=SMALL, random_state=0).fit(X[:900], names[:900])
    assert np.mean(model.predict(X[900:]) == names[900:]) > 0.88


def test_early_stopping_holds_labelled_rows_out(digits):
    X, y = digits
    model = NetworkClassifier(
        options=SMALL, early_stopping=True, n_epochs=200, patience=3, random_state=0
    ).fit(X[:900], y[:900])
    assert len(model.history_) < 200
    assert "validation_accuracy" in model.history_[0]


def test_given_validation_rows_are_stopped_on(digits):
    X, y = digits
    model = NetworkClassifier(options=SMALL, n_epochs=200, patience=2, random_state=0)
    model.fit(X[:600], y[:600], validation=(X[600:900], y[600:900]))
    best = max(record["validation_accuracy"] for record in model.history_)
    assert model.score(X[600:900], y[600:900]) == pytest.approx(best)
    assert len(model.history_) < 200


def test_too_few_rows_to_hold_out(digits):
    X, _ = digits
    model = NetworkClassifier(options=SMALL, early_stopping=True)
    with pytest.raises(UsageError, match="set early_stopping=False or label more"):
        model.fit(X[:3], [0, 1, 2])


def test_a_constant_feature_does_no_harm(digits):
    X, y = digits
    wide = np.column_stack([X, np.full(len(X), 1e6, np.float32)])
    model = NetworkClassifier(options=SMALL, random_state=0).fit(wide[:900], y[:900])
    assert model.score(wide[900:], y[900:]) > 0.85


def test_a_saved_network_predicts_the_same(fitted, digits, tmp_path):
    arrays, meta = fitted.to_state()
    save_bundle(tmp_path / "model", kind="network", arrays=arrays, meta=meta)
    bundle = load_bundle(tmp_path / "model", kind="network")
    again = NetworkClassifier.from_state(bundle.arrays, bundle.meta)
    np.testing.assert_array_equal(again.predict_proba(digits[0]), fitted.predict_proba(digits[0]))
    assert list(again.options["widths"]) == [32, 16]


@pytest.mark.parametrize(
    "forge",
    [
        lambda arrays, meta: arrays.pop("head.weight"),
        lambda arrays, meta: arrays.update({"head.bias": np.zeros(3, np.float32)}),
        lambda arrays, meta: meta.update(classes=[1, 2]),
        lambda arrays, meta: meta["network"].update(input_shape=[65]),
        lambda arrays, meta: meta["network"].update(n_outputs="ten"),
        lambda arrays, meta: meta.pop("network"),
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


def test_one_label_an_image(digits):
    images = digits[0].reshape(-1, 8, 8).astype(np.uint8)
    with pytest.raises(UsageError, match="Got 3 labels for 4 images"):
        NetworkClassifier().fit(images[:4], [0, 1, 2])


def test_a_parameter_out_of_range_is_named(digits):
    X, y = digits
    with pytest.raises(UsageError, match="'validation_fraction' parameter of NetworkClassifier"):
        NetworkClassifier(validation_fraction=1).fit(X, y)
    with pytest.raises(UsageError, match="'n_epochs' parameter of NetworkClassifier"):
        NetworkClassifier(n_epochs=0).fit(X, y)


def test_soft_targets_of_a_teacher_are_learnt_from(fitted, digits):
    X, y = digits
    names = np.array(list("abcdefghij"))
    soft = np.full((900, 10), 0.02, np.float32)
    soft[np.arange(900), y[:900]] = 0.82
    model = NetworkClassifier(options=SMALL, random_state=0)
    model.fit_soft(X[:900], soft, np.ones(900), classes=names)
    assert np.mean(model.predict(X[900:]) == names[y[900:]]) > 0.88
    # It is no surer than it was taught to be.
    assert model.predict_proba(X[:900]).max() < 0.9 < fitted.predict_proba(X[:900]).max()


def test_hard_targets_given_as_soft_ones_train_the_same_network(digits):
    X, y = digits
    model = NetworkClassifier(options=SMALL, n_epochs=3, random_state=0)
    hard = model.fit(X[:300], y[:300]).predict_proba(X[:9])
    soft = model.fit_soft(X[:300], np.eye(10)[y[:300]]).predict_proba(X[:9])
    np.testing.assert_array_equal(hard, soft)


@pytest.mark.parametrize(
    ("targets", "classes", "message"),
    [
        (np.eye(3), ["a", "b"], r"class for each of the K columns. Got \(3, 3\) and 2 classes"),
        (np.full((3, 2), np.nan), None, "must be probabilities, from 0 to 1"),
        (-np.eye(3), None, "must be probabilities, from 0 to 1"),
        (np.eye(2), None, "Got 3 rows and 2 targets"),
    ],
)
def test_targets_that_are_no_probabilities_are_refused(targets, classes, message):
    with pytest.raises(UsageError, match=message):
        NetworkClassifier().fit_soft(np.zeros((3, 4)), targets, classes=classes)


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


def test_augmentation_is_for_images_alone(digits):
    X, y = digits
    with pytest.raises(UsageError, match="augment='weak' with rows of features: leave it out"):
        NetworkClassifier(augment="weak").fit(X[:50], y[:50])
    with pytest.raises(UsageError, match="must be one of none, weak, mild, strong"):
        NetworkClassifier(augment="wild").fit(X[:50], y[:50])
