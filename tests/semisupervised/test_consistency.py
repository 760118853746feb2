"""Consistency training as an estimator: it helps, resumes, keeps the truth out, and is saved."""

import functools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from fewlabel.errors import UsageError
from fewlabel.nets import NetworkClassifier, TrainSettings
from fewlabel.nets.augment import Augmentation
from fewlabel.semisupervised import consistency
from fewlabel.semisupervised.consistency import ConsistencyTraining
from fewlabel.semisupervised.consistency_rules import METHODS
from fewlabel.semisupervised.history import AcceptedPrecision

NET = {"architecture": "cnn", "options": {"widths": (16, 32), "dropout": 0.0}}
QUICK = NET | {"n_steps": 12, "steps_per_epoch": 4, "batch_size": 8, "mu": 2, "random_state": 0}


def digits(n_labeled, seed=0, n=1_000):
    """Images, truth, and labels of a few that stand for all classes."""
    data = load_digits()
    images = (data.images * 15).astype(np.uint8)
    order = np.random.default_rng(seed).permutation(len(images))[:n]
    images, truth = images[order], data.target[order]
    chosen = [np.flatnonzero(truth == code)[: n_labeled // 10] for code in range(10)]
    y = np.full(len(truth), -1)
    y[np.concatenate(chosen)] = truth[np.concatenate(chosen)]
    return images, truth, y


@pytest.fixture(scope="module")
def small():
    return digits(20, n=120)


def test_it_beats_the_same_network_without_unlabeled_images():
    gains = []
    for seed in range(2):
        images, truth, y = digits(20, seed)
        rest = y == -1
        settings = {"batch_size": 16, "random_state": seed} | NET
        alone = NetworkClassifier(augment="weak", min_steps=200, **settings).fit(images, y)
        both = ConsistencyTraining(n_steps=200, mu=4, strong="mild", **settings).fit(images, y)
        gains.append(both.score(images[rest], truth[rest]) - alone.score(images[rest], truth[rest]))
    assert np.mean(gains) > 0.03, gains


@pytest.mark.parametrize(
    ("method", "changes"), [*((method, {}) for method in METHODS), ("softmatch", {"lambda_u": 0.5})]
)
def test_an_interrupted_run_of_the_same_settings_goes_on_to_the_same_weights(
    method, changes, small, tmp_path, monkeypatch
):
    # A checkpoint is written after every epoch.
    eager = functools.partial(TrainSettings, checkpoint_seconds=0.0)
    monkeypatch.setattr(consistency, "TrainSettings", eager)
    steps = []

    def progress(stage, done, total):
        steps.append(done)
        if len(steps) == 10:
            raise KeyboardInterrupt

    images, truth, y = small
    settings = QUICK | {"method": method, "threshold": 0.15, "alignment": "uniform"}
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        ConsistencyTraining(**settings, checkpoint=file, progress=progress).fit(images, y)
    whole = ConsistencyTraining(**settings | changes)
    whole.fit(images, y, callback=AcceptedPrecision(truth))
    again = ConsistencyTraining(**settings | changes, checkpoint=file, progress=progress)
    again.fit(images, y, callback=AcceptedPrecision(truth))
    assert steps[10:] == list(range(1 if changes else 9, 13))
    np.testing.assert_array_equal(whole.predict_proba(images), again.predict_proba(images))
    figures = {"loss", "labeled_loss", "unlabeled_loss", "accepted", "threshold"}
    for epoch, (one, other) in enumerate(zip(whole.history_, again.history_, strict=True)):
        assert figures <= one.keys()
        both = one["labeled_loss"] + whole.lambda_u * one["unlabeled_loss"]
        assert (one["epoch"], one["loss"]) == (epoch, pytest.approx(both, rel=1e-4))
        assert 0 <= one.get("accepted_precision", 0) <= 1
        # Before the interruption nobody watched.
        former = {"accepted_precision": 0, "seconds": 0}
        assert one | former == other | former
    assert "accepted_precision" in one


def test_truth_that_a_callback_knows_changes_nothing_and_the_seed_does(small):
    images, truth, y = small

    class Meddler(AcceptedPrecision):
        def on_pseudo_labels(self, rows, labels, weights):
            super().on_pseudo_labels(rows, labels, weights)
            assert (y[rows] == -1).all()
            labels[:], weights[:] = truth[rows], 1

    alone = ConsistencyTraining(**QUICK).fit(images, y)
    watched = ConsistencyTraining(**QUICK).fit(images, y, callback=Meddler(truth))
    np.testing.assert_array_equal(alone.predict_proba(images), watched.predict_proba(images))
    other = clone(alone).set_params(random_state=1).fit(images, y)
    assert not np.array_equal(alone.predict_proba(images), other.predict_proba(images))


def test_propagated_labels_are_learned_from(small):
    images, truth, y = small
    rest = y == -1
    propagated = np.full((len(y), 10), 0.02)
    propagated[np.arange(len(y)), truth] = 0.82
    settings = QUICK | {"n_steps": 60, "strong": "weak", "batch_size": 16}
    without = ConsistencyTraining(**settings).fit(images, y)
    model = ConsistencyTraining(**settings, propagated_fraction=2.0)
    model.fit(images, y, propagated=propagated)
    assert model.score(images[rest], truth[rest]) > without.score(images[rest], truth[rest]) + 0.1
    # Zeros say nothing.
    silent = ConsistencyTraining(**settings).fit(images, y, propagated=np.zeros((len(y), 10)))
    np.testing.assert_array_equal(silent.predict_proba(images), without.predict_proba(images))


def test_classes_may_be_texts_images_colored_and_all_of_them_labeled(small):
    images, truth, _ = small
    color = np.repeat(images[..., None], 3, axis=3)
    names = np.array([f"digit {label}" for label in truth])
    model = ConsistencyTraining(**QUICK).fit(color, names)
    assert set(model.predict(color)) <= set(names)
    again = ConsistencyTraining.from_state(*model.to_state())
    np.testing.assert_array_equal(again.predict_proba(color), model.predict_proba(color))


def test_bad_input_is_named(small):
    images, _, y = small
    model = ConsistencyTraining(**QUICK)
    with pytest.raises(UsageError, match=r"float32 of shape \(120, 64\) instead: for rows of fea"):
        model.fit(images.reshape(120, -1).astype(np.float32), y)
    with pytest.raises(UsageError, match=r"\(120, 10\)\. Got \(120, 3\) instead"):
        model.fit(images, y, propagated=np.zeros((120, 3)))
    with pytest.raises(UsageError, match="must hold probabilities, from 0 to 1"):
        model.fit(images, y, propagated=np.full((120, 10), np.nan))


def test_ones_own_augmentations_say_themselves_whether_they_mirror(small):
    images, _, y = small
    mirror, plain = Augmentation(flip=True, shift=0.1), Augmentation(shift=0.1)
    first, *others = [
        ConsistencyTraining(**QUICK, strong=strong, flip=flip).fit(images, y).predict_proba(images)
        for strong, flip in [(plain, False), (plain, True), (mirror, False)]
    ]
    # With flip=True only the weak view, given by name, is mirrored.
    assert not any(np.array_equal(first, other) for other in others)
