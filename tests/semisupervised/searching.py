"""Quick searches on 900 digits, of which every fifth is labeled."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from fewlabel.data import SingleLabel, labels_from_truth, load_images
from fewlabel.evaluate import Problem
from fewlabel.features.pixels import Pixels
from fewlabel.graph import deal_folds, fit_main
from fewlabel.semisupervised import search
from fewlabel.semisupervised.consistency import Consistent
from fewlabel.semisupervised.graph_distillation import GraphDistillation
from fewlabel.semisupervised.network_inputs import NetworkSettings
from fewlabel.semisupervised.self_training import SelfTrained

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


def follow(
    task,
    method="graph-distillation",
    *,
    every=5,
    seconds=60.0,
    settings=QUICK,
    seed=0,
    checkpoints=None,
):
    problem, main = start(task, every)
    problem = replace(problem, seed=seed, checkpoints=checkpoints)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkSettings, "for_features", lambda extractor, device: settings)
        return search.search(problem, main, method, seconds)


def watch(monkeypatch):
    """Return a list that fills with the name and the labels of every training."""
    seen = []
    for method in (GraphDistillation, SelfTrained, Consistent):

        def watched(self, inputs, pseudo, train=method.train):
            seen.append((inputs.name, inputs.y))
            return train(self, inputs, pseudo)

        monkeypatch.setattr(method, "train", watched)
    return seen
