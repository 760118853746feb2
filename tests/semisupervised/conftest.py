"""Digits of which few are labeled, an estimator trained on them, and quick searches."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from fewlabel import BinaryExperts, NetworkClassifier, SelfTraining, TeacherStudent
from fewlabel.data import MultiLabel, SingleLabel, labels_from_truth, load_images
from fewlabel.evaluate import Problem
from fewlabel.features.pixels import Pixels
from fewlabel.graph import deal_folds, fit_main
from fewlabel.semisupervised import search
from fewlabel.semisupervised.consistency import Consistent
from fewlabel.semisupervised.graph_distillation import GraphDistillation
from fewlabel.semisupervised.models import _Models
from fewlabel.semisupervised.network_inputs import NetworkSettings
from fewlabel.semisupervised.self_training import SelfTrained


@pytest.fixture(scope="module", params=[SingleLabel(), MultiLabel()], ids=lambda task: task.name)
def task(request):
    return request.param


def few_digits():
    """Return rows with 150 labels, the labels, the truth, and rows to test on."""
    X, truth = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, truth = (X[order] / 16).astype(np.float32), truth[order]
    return X[:1_200], np.where(np.arange(1_200) < 150, truth[:1_200], -1), truth, X[1_200:]


@pytest.fixture(scope="session")
def few():
    return few_digits()


def _as_images(X):
    """Return rows of pixels as images."""
    return (X.reshape(-1, 8, 8) * 240).astype(np.uint8)


@cache
def sums_of_digits(n=1_500, n_train=1_200, n_labeled=200):
    """Return a digit 0-4 beside a digit 5-9: rows, few labels, all of them, rows to test on."""
    X, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    low = rng.choice(np.flatnonzero(truth < 5), n)
    high = rng.choice(np.flatnonzero(truth >= 5), n)
    Y = np.zeros((n, 10), dtype=int)
    Y[np.arange(n), truth[low]] = 1
    Y[np.arange(n), truth[high]] = 1
    X = np.concatenate([X[low], X[high]], axis=1).astype(np.float32) / 16
    known = np.where(np.arange(n_train)[:, None] < n_labeled, Y[:n_train], -1)
    return X[:n_train], known, Y, X[n_train:]


NETWORK = NetworkClassifier(options={"widths": (64, 32)}, min_steps=120, random_state=0)
SMALL = NetworkClassifier(
    options={"widths": (48,)}, n_epochs=1, min_steps=80, learning_rate=1e-2, random_state=0
)
SELF = {"max_rounds": 3, "n_folds": 3}
EXPERTS = {"retrain_steps": 80, "expert_epochs": 3, "max_rounds": 2}
TEACHER = {"n_members": 3, "max_rounds": 2, "precision": 0.95, "sample": "all"}
KINDS = {
    "self-training": (SelfTraining, LogisticRegression(max_iter=200), SELF),
    "experts": (BinaryExperts, NETWORK, EXPERTS),
    "teacher": (TeacherStudent, SMALL, TEACHER),
}


def made(name, network=None, **changes):
    """Return an estimator with quick settings."""
    kind, default, settings = KINDS[name]
    return kind(default if network is None else network, random_state=0, **settings | changes)


@cache
def train(name):
    """Return a model, and the rows that each of its networks was trained on, by name."""
    rows, fit = {}, _Models.fit

    def watched(self, training, **settings):
        rows[training.name] = set(training.rows.tolist())
        return fit(self, training, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Models, "fit", watched)
        return made(name).fit(*few_digits()[:2]), rows


QUICK = NetworkSettings("cnn", n_steps=45, batch_size=64, augment="weak")


@cache
def digits():
    """Images to learn from, and new ones."""
    images = load_images("digits")
    return images.subset(range(900)), images.subset(range(900, 1797))


@cache
def features():
    extractor = Pixels(n_components=32, random_state=0).fit(digits()[0])
    return extractor, extractor.transform(digits()[0])


def labels_of(images, task):
    """The digit, or whether it is odd and large."""
    truth = labels_from_truth(images).y
    return truth if task == SingleLabel() else np.stack([truth % 2, truth >= 5], axis=1)


def start(task, every=5):
    """Return the problem of a search, of whose images every fifth is labeled, and its graph."""
    truth = labels_of(digits()[0], task)
    y = task.without(truth.astype(np.int64), np.flatnonzero(np.arange(900) % every))
    extractor, rows = features()
    problem = Problem(
        task=task,
        images=digits()[0],
        extractor=extractor,
        rows=rows,
        y=y,
        n_classes=10 if y.ndim == 1 else 2,
        groups=np.arange(900),
        folds=deal_folds(y, None, 0),
    )
    return problem, fit_main(problem)


def follow(task, method="graph-distillation", *, every=5, seconds=60.0, settings=QUICK, **changes):
    """Run a search."""
    problem, main = start(task, every)
    problem = replace(problem, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkSettings, "for_features", lambda extractor, device: settings)
        return search._search(problem, main, method, seconds)


def watch(monkeypatch):
    """Return a list that fills with the name and the labels of every training."""
    seen = []
    for method in (GraphDistillation, SelfTrained, Consistent):

        def watched(self, inputs, pseudo, train=method.train):
            seen.append((inputs.name, inputs.y))
            return train(self, inputs, pseudo)

        monkeypatch.setattr(method, "train", watched)
    return seen
