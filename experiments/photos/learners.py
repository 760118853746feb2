"""What the rows train: a network from scratch, a probe, fine-tuning, self-training, fewlabel."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel import FitSettings, SelfTraining, fit_images
from fewlabel.evaluate import accuracy
from fewlabel.nets import FineTuning

from ..protocol import Outcome
from . import pictures
from .curves import Point, epochs, rounds, to_csv
from .session import RANDOM, PhotoSession


def scratch(session: PhotoSession) -> Outcome:
    """Train a large network from random weights, for a short run.

    Parameters
    ----------
    session : PhotoSession
        The photos.

    Returns
    -------
    Outcome
        Accuracy on the held-out photos; ``final_loss``; and ``majority``, what the most
        frequent class among the labels would score.
    """
    config, y = session.config, session.labels(RANDOM).y
    model = FineTuning(
        config["scratch_backbone"],
        pretrained=False,
        depth="full",
        n_epochs=config["scratch_epochs"],
        min_steps=0,
        batch_size=config["batch_size"],
        learning_rate=config["learning_rate"],
        augment=config["augment"],
        progress=session.progress,
        random_state=session.seed,
    ).fit(session.photos, y)
    majority = np.bincount(y[y >= 0]).argmax()
    extra = {
        "final_loss": model.history_[-1]["loss"],
        "majority": accuracy(session.y_test, np.full(len(session.y_test), majority)),
    }
    return _tested(session, "scratch", model, extra, epochs(model.history_))


def probe(session: PhotoSession) -> Outcome:
    """Train a linear head on frozen features.

    Parameters
    ----------
    session : PhotoSession
        The photos.

    Returns
    -------
    Outcome
        Accuracy on the held-out photos.
    """
    model = _network(session, depth="head", augment=None)
    return _tested(session, "probe", model.fit(session.photos, session.labels(RANDOM).y))


def fine_tuned(session: PhotoSession, name: str, how: str) -> Outcome:
    """Fine-tune the pretrained network on the labelled photos.

    Parameters
    ----------
    session : PhotoSession
        The photos.
    name : str
        Name of the row.
    how : {"random", "selected"}
        How the labelled photos were chosen.

    Returns
    -------
    Outcome
        Accuracy on the held-out photos.
    """
    y = session.labels(how).y
    model = _network(session, progress=session.progress, random_state=session.seed)
    model.fit(session.photos, y)
    return _tested(session, name, model, {"n_train": float((y >= 0).sum())}, epochs(model.history_))


def self_trained(session: PhotoSession, name: str, how: str) -> Outcome:
    """Fine-tune the same network in rounds, on labels and on what it is sure of itself.

    Parameters
    ----------
    session : PhotoSession
        The photos.
    name : str
        Name of the row.
    how : {"random", "selected"}
        How the labelled photos were chosen.

    Returns
    -------
    Outcome
        Accuracy on the held-out photos; how many pseudo-labels the final network was trained
        on, and how many of these are right; and with random labels the pictures.
    """
    config, y = session.config, session.labels(how).y
    model = SelfTraining(
        _network(session),
        selection=config["selection"],
        # Labels that were chosen to show every kind of photo do not show how frequent each is.
        align=how == RANDOM,
        pseudo_weight=config["pseudo_weight"],
        max_rounds=config["max_rounds"],
        n_folds=config["n_folds"],
        progress=session.progress,
        random_state=session.seed,
    ).fit(session.photos, y)
    points = rounds(model, session.y)
    at_the_end = {p.measure: p.value for p in points if p.step == model.n_rounds_}
    n_labels, n_accepted = float((y >= 0).sum()), float(model.rounds_[-1].n_accepted)
    right = at_the_end.get("precision", 0.0)
    extra = {
        "n_train": n_labels + n_accepted,
        "label_precision": (n_labels + n_accepted * right) / (n_labels + n_accepted),
        "rounds": float(model.n_rounds_),
        "helped": float(model.helped_),
        "accepted": n_accepted,
        "accepted_right": n_accepted * right,
        "revoked": float(sum(record.n_revoked for record in model.rounds_)),
    }
    outcome = _tested(session, name, model, extra, points)
    if session.draws and how == RANDOM:
        outcome.files.update(session.work.get("pictures", lambda: pictures.draw(session, model)))
    return outcome


def default(session: PhotoSession, how: str) -> Outcome:
    """Let fewlabel's main job learn from frozen features.

    Parameters
    ----------
    session : PhotoSession
        The photos.
    how : {"random", "selected"}
        How the labelled photos were chosen.

    Returns
    -------
    Outcome
        Accuracy on the held-out photos, and ``labels_alone``: that of a linear model on the
        same features which had no unlabelled photos.
    """
    return _fitted(session, how, FitSettings(seed=session.seed))


def best(session: PhotoSession, how: str) -> Outcome:
    """Let fewlabel choose among all its methods by held-out labels, within a time.

    Parameters
    ----------
    session : PhotoSession
        The photos.
    how : {"random", "selected"}
        How the labelled photos were chosen.

    Returns
    -------
    Outcome
        Accuracy on the held-out photos; ``labels_alone``; and ``networks``, how many joined.
    """
    settings = FitSettings(
        method=session.config["best_method"],
        features=session.config["backbone"],
        weights=session.weights,
        seed=session.seed,
        time_budget=session.config["best_seconds"],
    )
    return _fitted(session, how, settings)


def _fitted(session: PhotoSession, how: str, settings: FitSettings) -> Outcome:
    features, test_rows = session.features(), session.test_features()
    result = fit_images(
        session.train,
        session.labels(how),
        settings,
        prepared=features,
        progress=session.progress,
    )
    codes = np.asarray(result.classifier.classes_)
    extra = {"networks": float(result.n_networks)}
    if result.n_networks:
        test_rows = result.extractor.transform(session.test, progress=session.progress)
    else:
        alone = result.classifier.supervised_proba(test_rows)
        extra["labels_alone"] = accuracy(session.y_test, codes[alone.argmax(axis=1)])
    reached = accuracy(session.y_test, result.classifier.predict(test_rows))
    return Outcome(reached, extra)


def _network(session: PhotoSession, **changed: Any) -> FineTuning:
    config = session.config
    names = ("depth", "n_epochs", "min_steps", "batch_size", "learning_rate", "augment")
    settings = {name: config[name] for name in names} | changed
    return FineTuning(config["backbone"], weights=session.weights, **settings)


def _tested(
    session: PhotoSession,
    name: str,
    model: Any,
    extra: dict[str, float] | None = None,
    points: list[Point] | None = None,
) -> Outcome:
    """Measure on the held-out photos, and keep what is known of the training."""
    reached = accuracy(session.y_test, model.predict(session.test_photos))
    files = {}
    if points:
        files[f"training-{name}-seed{session.seed}.csv"] = to_csv(name, session.seed, points)
    return Outcome(reached, extra or {}, files)
