"""Fine-tuning: from what it starts, what it learns from, and what is refused."""

import itertools

import numpy as np
import pytest
import safetensors.torch
from sklearn.linear_model import LogisticRegression

from fewlabel.data import image_set_from_array
from fewlabel.errors import DataError, UsageError
from fewlabel.nets import FineTuning
from fewlabel.nets.photos import _as_images

SMALL = "mobilenetv3_small_050"


def colored(n=60, side=32, seed=0):
    """Noise with a tint: red, green or blue is the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    images = rng.integers(0, 130, (n, side, side, 3))
    images[np.arange(n), :, :, y] += 120
    return images.astype(np.uint8), np.array(["red", "green", "blue"])[y]


def tuned(weights, **parameters):
    defaults = {"n_epochs": 2, "min_steps": 4, "batch_size": 16, "augment": None}
    model = FineTuning(weights=weights, random_state=0, **(defaults | parameters))
    return model.fit(*colored())


def changes(weights, model):
    """Change of each weight and statistic of the body."""
    before = safetensors.torch.load_file(weights)
    after = model.network_.body.model.state_dict()
    shared = [name for name in after if "num_batches" not in name]
    return {name: float((after[name] - before[name]).abs().max()) for name in shared}


def is_statistic(name):
    return "running" in name


def test_a_head_alone_is_the_best_linear_one_on_frozen_features(weights, float32):
    # In bfloat16 what is embedded depends on the batch.
    model = tuned(weights, depth="head")
    assert model.history_ == []
    assert set(changes(weights, model).values()) == {0.0}
    images, y = colored()
    new, truth = colored(seed=1)
    linear = LogisticRegression(max_iter=1_000, tol=1e-6).fit(model.embed(images), y)
    np.testing.assert_allclose(
        model.predict_proba(new), linear.predict_proba(model.embed(new)), atol=5e-3
    )
    assert model.score(new, truth) == linear.score(model.embed(new), truth) > 0.8


def test_normalization_keeps_the_statistics_that_came_with_the_weights(weights):
    moved = changes(weights, tuned(weights))
    assert {change for name, change in moved.items() if is_statistic(name)} == {0.0}
    images, y = colored(24)
    scratch = FineTuning(SMALL, pretrained=False, n_epochs=1, min_steps=2, random_state=0)
    body = scratch.fit(images, y).network_.body.model
    assert all((m != 0).any() for name, m in body.named_buffers() if "running_mean" in name)


def test_it_fits_photos_that_a_head_alone_does_not_separate(weights):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    y = rng.permutation(np.arange(24) % 2)
    settings = {"n_epochs": 25, "min_steps": 0, "learning_rate": 5e-4, "label_smoothing": 0.0}
    model = FineTuning(weights=weights, augment=None, random_state=0, **settings).fit(images, y)
    losses = [record["loss"] for record in model.history_]
    assert losses[-1] < 0.7 * losses[0]
    assert model.score(images, y) == 1


def test_soft_targets_and_weights_of_photos_count(weights):
    images, y = colored()
    classes, codes = np.unique(y, return_inverse=True)
    soft = 0.1 + 0.7 * np.eye(3)[codes]
    model = FineTuning(weights=weights, depth="head", augment=None)
    model.fit_soft(images, soft, sample_weight=np.ones(len(y)), classes=classes)
    assert model.score(*colored(seed=1)) > 0.8
    assert model.predict_proba(images).max() < 0.98
    model.fit(images, y, np.where(y == "red", 1.0, 0.0))
    assert set(model.predict(images)) == {"red"}
    # Unlabeled photos of an image set are left out.
    photos, some = image_set_from_array(images), np.where(np.arange(len(y)) < 30, y, "-1")
    from_set = model.fit(photos, some).predict_proba(images)
    few = model.fit(images[:30], y[:30]).predict_proba(photos)
    np.testing.assert_array_equal(from_set, few)


@pytest.mark.parametrize("depth", ["head", "full"])
def test_photos_may_have_several_labels(weights, depth):
    images, y = colored()
    table = np.stack([y == "red", y != "blue"], axis=1).astype(int)
    table[::7, 1] = -1
    augment = None if depth == "head" else "mild"
    model = FineTuning(weights=weights, depth=depth, augment=augment, n_epochs=2, min_steps=4)
    model.fit(images, table)
    new, truth = colored(seed=1)
    score = model.score(new, np.stack([truth == "red", truth != "blue"], axis=1).astype(int))
    assert score > (0.8 if depth == "head" else 0.3)
    again = FineTuning.from_state(*model.to_state())
    np.testing.assert_array_equal(again.predict_proba(new), model.predict_proba(new))


@pytest.mark.parametrize("labels", [["a", "b", "b", "c", "c"], ["a"] * 5])
def test_a_class_with_one_label_and_a_single_class(weights, labels):
    images = colored(5)[0]
    model = FineTuning(weights=weights, n_epochs=1, min_steps=2).fit(images, np.array(labels))
    assert model.predict_proba(images).shape == (5, len(set(labels)))
    assert set(model.predict(images)) <= set(labels)


def test_gray_photos_and_photos_of_another_size(weights):
    images, y = colored()
    model = tuned(weights, depth="head")
    small = model.predict_proba(images[:5, ::2, ::2])
    assert small.shape == (5, 3)
    assert model.predict_proba(images[:5, :, :, 0]).shape == (5, 3)
    gray = FineTuning(weights=weights, depth="head", augment=None, size=40)
    gray.fit(images[:, :, :, 0], y)
    assert gray.network_.spec.input_shape == (1, 40, 40)


def test_an_interrupted_training_goes_on_to_the_same_weights(weights, tmp_path, monkeypatch):
    # Every look at the clock is ten minutes after the last: each epoch ends with a checkpoint.
    clock = itertools.count(step=600)
    monkeypatch.setattr("fewlabel.nets.callbacks.time.monotonic", lambda: float(next(clock)))

    def interrupt(stage, done, total):
        if done == 6:
            raise KeyboardInterrupt

    settings = {"n_epochs": 3, "augment": "mild", "checkpoint": tmp_path / "checkpoint"}
    with pytest.raises(KeyboardInterrupt):
        tuned(weights, progress=interrupt, **settings)
    assert (tmp_path / "checkpoint").exists()
    resumed = tuned(weights, **settings)
    whole = tuned(weights, **settings | {"checkpoint": None})
    assert len(resumed.history_) == 3
    images = colored(seed=1)[0]
    np.testing.assert_array_equal(resumed.predict_proba(images), whole.predict_proba(images))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"depth": "deep"}, "'depth' parameter of FineTuning must be one of head, partial, full"),
        ({"layer_decay": 0}, r"'layer_decay' parameter of FineTuning must be a float in \(0, 1\]"),
        ({"size": 0}, "'size' parameter of FineTuning must be a positive int"),
        ({"backbone": "resnet18"}, r"does not fit the timm model 'resnet18' \(.* missing"),
    ],
)
def test_bad_parameters(weights, parameters, message):
    with pytest.raises(UsageError, match=message):
        tuned(weights, **parameters)


@pytest.mark.parametrize("X", [np.full((1, 8, 8), -1.5), np.arange(64).reshape(1, 8, 8) - 9])
def test_arrays_need_a_scale_that_does_not_depend_on_the_others(X):
    with pytest.raises(DataError, match=r"0 to 255, 0 to 65535 or 0 to 1. Got -\d"):
        _as_images(X)
