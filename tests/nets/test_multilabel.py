"""A network with one output a label: two digits side by side, of which it names both."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from fewlabel import MultiLabelNetwork
from fewlabel.errors import TrainingError, UsageError
from fewlabel.extras import is_installed
from fewlabel.nets.multilabel_targets import most_likely_labels
from fewlabel.persist import load_bundle, save_bundle

TWO = ((0, 5), (5, 10))
QUICK = {
    "options": {"widths": (8, 16)},
    "n_epochs": 1,
    "min_steps": 120,
    "learning_rate": 5e-3,
    "random_state": 0,
}


def pairs(n, seed):
    """Pair a digit 0-4 with a digit 5-9, in images of 8 x 16: exactly one of each group."""
    digits = load_digits()
    rng = np.random.default_rng(seed)
    images = (digits.images * 15).astype(np.uint8)
    low = rng.choice(np.flatnonzero(digits.target < 5), n)
    high = rng.choice(np.flatnonzero(digits.target >= 5), n)
    Y = np.zeros((n, 10), dtype=int)
    Y[np.arange(n), digits.target[low]] = 1
    Y[np.arange(n), digits.target[high]] = 1
    return np.concatenate([images[low], images[high]], axis=2), Y


@pytest.fixture(scope="module")
def data():
    return *pairs(400, 0), *pairs(200, 1)


@pytest.fixture(scope="module")
def network(data):
    return MultiLabelNetwork("cnn", **QUICK).fit(data[0], data[1])


def test_it_names_both_digits(network, data):
    _, _, test, truth = data
    assert network.score(test, truth) > 0.6
    assert network.predict(test).shape == (200, 10)
    assert network.embed(test).shape == (200, 64)
    proba = network.predict_proba(test)
    assert ((proba >= 0) & (proba <= 1)).all()
    np.testing.assert_array_equal(network.predict(test), proba >= 0.5)
    # Rows of which nothing is known count neither as right nor as wrong.
    some = truth.copy()
    some[100:] = -1
    assert network.score(test, some) == pytest.approx(network.score(test[:100], truth[:100]))
    assert np.isnan(network.score(test, np.full_like(truth, -1)))


def test_the_structure_gives_exactly_one_of_each_group_and_helps(network, data):
    X, Y, test, truth = data
    knowing = MultiLabelNetwork("cnn", structure=TWO, **QUICK).fit(X, Y)
    predicted = knowing.predict(test)
    for start, stop in TWO:
        assert (predicted[:, start:stop].sum(axis=1) == 1).all()
        np.testing.assert_allclose(knowing.predict_proba(test)[:, start:stop].sum(axis=1), 1)
    assert knowing.score(test, truth) > network.score(test, truth)


@pytest.mark.parametrize("structure", [None, TWO])
def test_unknown_entries_teach_nothing(data, structure):
    X, Y, test, truth = data
    known = np.where(np.random.default_rng(0).random(Y.shape) < 0.5, Y, -1)
    model = MultiLabelNetwork("cnn", structure=structure, **QUICK).fit(X, known)
    # Taken as absent, half of the present ones would teach the wrong.
    zeros = MultiLabelNetwork("cnn", **QUICK).fit(X, np.maximum(known, 0))
    assert model.score(test, truth) > zeros.score(test, truth) + 0.1


def test_a_mask_weighs_and_is_never_a_target(data):
    X, Y, test, _ = data
    mask = np.where(np.arange(10) < 5, 0.5, 0.0) * np.ones_like(Y)
    settings = QUICK | {"min_steps": 40, "n_epochs": 1}
    model = MultiLabelNetwork("cnn", **settings).fit_soft(X, Y, mask)
    # What stands where nothing is known changes nothing.
    wild = np.where(mask > 0, Y, 1 - Y)
    again = MultiLabelNetwork("cnn", **settings).fit_soft(X, wild, mask)
    np.testing.assert_array_equal(model.predict_proba(test), again.predict_proba(test))
    unmasked = MultiLabelNetwork("cnn", **settings).fit_soft(X, wild)
    assert not np.allclose(model.predict_proba(test), unmasked.predict_proba(test), atol=0.05)


def test_a_row_of_weight_0_teaches_nothing(data):
    X, Y, _, _ = data
    weights = np.repeat([1.0, 0.0], 200)
    settings = QUICK | {"min_steps": 20, "n_epochs": 1}
    first = MultiLabelNetwork("cnn", **settings).fit(X, Y, sample_weight=weights)
    wrong = np.where(np.arange(400)[:, None] < 200, Y, 1 - Y)
    second = MultiLabelNetwork("cnn", **settings)
    # Offsets at the start come of all labels: the soft fit of a mask leaves the rest out.
    second.fit_soft(X, wrong, mask=np.ones_like(Y), sample_weight=weights)
    third = clone(first).fit(X[:200], Y[:200])
    assert first.history_[-1]["loss"] == pytest.approx(second.history_[-1]["loss"], abs=0.05)
    assert first.history_[-1]["loss"] < third.history_[-1]["loss"]


def test_the_asymmetric_loss_finds_more_of_the_rare_labels(network, data):
    X, Y, test, truth = data
    model = MultiLabelNetwork("cnn", loss="asymmetric", **QUICK).fit(X, Y)
    found = model.predict(test)[truth == 1].mean()
    assert found > network.predict(test)[truth == 1].mean()


def test_it_is_saved_and_loaded(data, tmp_path):
    X, Y, test, _ = data
    names = [f"digit {k}" for k in range(10)]
    settings = QUICK | {"min_steps": 10, "n_epochs": 1}
    model = MultiLabelNetwork("resnet", structure=TWO, labels=names, **settings).fit(X, Y)
    arrays, meta = model.to_state()
    save_bundle(tmp_path / "model", kind="test", arrays=arrays, meta=meta)
    bundle = load_bundle(tmp_path / "model", kind="test")
    loaded = MultiLabelNetwork.from_state(bundle.arrays, bundle.meta, device="cpu")
    assert loaded.classes_.tolist() == names
    np.testing.assert_allclose(loaded.predict_proba(test), model.predict_proba(test), atol=1e-6)


def test_an_interrupted_training_ends_the_same(data, tmp_path):
    X, Y, test, _ = data
    settings = QUICK | {"min_steps": 16, "augment": "mild"}
    whole = MultiLabelNetwork("cnn", **settings).fit(X, Y)

    def stop(stage, done, total):
        if done == 8:
            raise KeyboardInterrupt

    file = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        MultiLabelNetwork("cnn", checkpoint=file, progress=stop, **settings).fit(X, Y)
    again = MultiLabelNetwork("cnn", checkpoint=file, **settings).fit(X, Y)
    np.testing.assert_allclose(again.predict_proba(test), whole.predict_proba(test), atol=1e-6)


def test_warm_start_goes_on(data):
    X, Y, _, _ = data
    settings = QUICK | {"min_steps": 40, "n_epochs": 1}
    model = MultiLabelNetwork("cnn", warm_start=True, **settings).fit(X, Y)
    before = model.history_[-1]["loss"]
    assert model.fit(X, Y).history_[-1]["loss"] < before
    with pytest.raises(UsageError, match="set warm_start=False"):
        model.fit(X[:, :, :8], Y)


def test_an_augmentation_of_ones_own(data):
    seen = []

    def darken(batch, generator):
        seen.append(batch.shape[1:])
        return batch * 0.5

    MultiLabelNetwork("cnn", augment=darken, **QUICK | {"min_steps": 2, "n_epochs": 1}).fit(
        *data[:2]
    )
    assert set(map(tuple, seen)) == {(1, 8, 16)}


def test_labels_that_cannot_be_learnt_are_named(data):
    X, Y, _, _ = data
    odd = np.where(np.arange(10) == 3, 0, Y)
    odd[:, 7] = -1
    quick = QUICK | {"min_steps": 2, "n_epochs": 1}
    with pytest.warns(UserWarning, match="learn it") as told:
        MultiLabelNetwork("cnn", labels=list("abcdefghij"), **quick).fit(X, odd)
    texts = [str(warning.message) for warning in told]
    assert "No image has the label d (always 0). MultiLabelNetwork cannot learn it" in texts[0]
    assert "The label h is never known (always -1)." in texts[1]
    assert len(texts) == 2


def test_an_image_without_any_label_is_absence_or_a_contradiction(data):
    X, Y, _, _ = data
    empty = Y.copy()
    empty[:200] = 0
    blank = X.copy()
    blank[:200] = 0
    model = MultiLabelNetwork("cnn", **QUICK).fit(blank, empty)
    assert model.predict(np.zeros((1, 8, 16), np.uint8)).sum() == 0
    with pytest.raises(UsageError, match=r"labels 0 to 4, but row 0 has 0 \(200"):
        MultiLabelNetwork("cnn", structure=TWO, **QUICK).fit(blank, empty)


@pytest.mark.parametrize(
    ("settings", "labels", "message"),
    [
        ({}, [[1, 2]], r"must be 1 .present., 0 .absent. or -1 .not known.. Got 2 instead"),
        ({}, [1], r"shape \(1, L\)"),
        ({}, [[1, 0], [0, 1]], r"Got \(2, 2\) instead"),
        ({}, [[-1, -1]], "at least one row with a known label"),
        ({"loss": "hinge"}, [[1, 0]], "one of bce, asymmetric"),
        ({"structure": ((0, 3),)}, [[1, 0]], "'structure' parameter"),
        ({"structure": ((0, 2), (1, 3))}, [[1, 0, 0]], "do not overlap"),
        ({"structure": 3}, [[1, 0]], "'structure' parameter"),
        ({"labels": ["a"]}, [[1, 0]], "must name 2 labels"),
        ({"learning_rate": 0}, [[1, 1]], "'learning_rate' parameter of MultiLabelNetwork"),
    ],
)
def test_bad_input_is_refused(settings, labels, message):
    images = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(UsageError, match=message):
        MultiLabelNetwork("cnn", **settings).fit(images, labels)


def test_soft_targets_must_be_shares():
    images = np.zeros((2, 8, 8), np.uint8)
    with pytest.raises(UsageError, match="'targets' of MultiLabelNetwork"):
        MultiLabelNetwork().fit_soft(images, [[0.5, -1], [0, 1]])
    with pytest.raises(UsageError, match="'mask' of MultiLabelNetwork"):
        MultiLabelNetwork().fit_soft(images, [[0.5, 1], [0, 1]], [[1], [1]])


def test_a_loss_that_is_no_number_is_told(data):
    X, Y, _, _ = data
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="lower the learning rate"):
        MultiLabelNetwork("mlp", learning_rate=1e30, random_state=0).fit(
            X.reshape(400, -1) * 1e30, Y
        )


@pytest.mark.skipif(not is_installed("timm"), reason="timm is not installed")
def test_a_network_of_timm_takes_one_channel():
    images, Y = pairs(4, 0)
    images = images.repeat(4, axis=1).repeat(2, axis=2)
    model = MultiLabelNetwork("timm/resnet18", n_epochs=1, min_steps=1, random_state=0)
    with pytest.warns(UserWarning, match="No image has any of the labels"):
        model.fit(images, Y)
    assert model.predict_proba(images).shape == (4, 10)


def test_the_likeliest_labels():
    proba = np.array([[0.6, 0.7, 0.1], [0.1, 0.2, 0.9]])
    assert most_likely_labels(proba).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert most_likely_labels(proba, ((0, 2),)).tolist() == [[0, 1, 0], [0, 1, 1]]
