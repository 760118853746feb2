"""What the rows train: a network from scratch, a probe, fine-tuning, self-training, fewlabel."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from fewlabel import FitSettings, fit_images
from fewlabel.nets import FineTuning

from ..protocol import Outcome
from . import pictures
from .curves import PRECISION, Point, epochs, rounds, to_csv
from .rounds import run_rounds
from .session import RANDOM, PhotoSession, weights_of


def scratch(session: PhotoSession) -> Outcome:
    """Train a large network from random weights, for a short run."""
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
        "majority": accuracy_score(session.y_test, np.full(len(session.y_test), majority)),
    }
    return _tested(session, "scratch", model, extra, epochs(model.history_))


def probe(session: PhotoSession) -> Outcome:
    """Train a linear head on frozen features."""
    model = _network(session, depth="head", augment=None)
    return _tested(session, "probe", model.fit(session.photos, session.labels(RANDOM).y))


def fine_tuned(session: PhotoSession, name: str, how: str) -> Outcome:
    """Fine-tune the pretrained network on the labeled photos."""
    model = _fine_tuned(session, how)
    extra = {"n_train": float(session.n_labeled)}
    return _tested(session, name, model, extra, epochs(model.history_))


def self_trained(session: PhotoSession, name: str, how: str) -> Outcome:
    """Fine-tune the same network in rounds, on labels and on its own confident predictions."""
    trained = run_rounds(session, how, _fine_tuned(session, how), _network(session))
    points = rounds(trained, session.y)
    at_the_end = {p.measure: p.value for p in points if p.step == len(trained.records) - 1}
    n_accepted = float(trained.records[-1].n_accepted)
    right = n_accepted * at_the_end.get(PRECISION, 0.0)
    n_train = session.n_labeled + n_accepted
    extra = {
        "n_train": n_train,
        "label_precision": (session.n_labeled + right) / n_train,
        "accepted": n_accepted,
        "accepted_right": right,
        "revoked": float(sum(record.n_revoked for record in trained.records)),
    }
    outcome = _tested(session, name, trained.network, extra, points)
    if session.draws and how == RANDOM:
        outcome.files.update(session.work.get("pictures", lambda: pictures.draw(session, trained)))
    return outcome


def on_network(session: PhotoSession, network: str, how: str) -> Outcome:
    """Train as fewlabel does with nothing set, on frozen features of one network or several."""
    features, test_rows = session.network_features(network)
    labels = session.labels(how)
    settings = FitSettings(seed=session.seed)
    result = fit_images(session.train, labels, settings, prepared=features)
    models = {"main": result.main, "baseline": result.baseline}
    reached = {
        name: accuracy_score(
            session.y_test, result.model.widen(each.predict_proba(test_rows)).argmax(axis=1)
        )
        for name, each in models.items()
    }
    return Outcome(reached["main"], {"supervised_baseline": reached["baseline"]})


def network_tuned(session: PhotoSession, network: str, how: str) -> Outcome:
    """Fine-tune networks on the labels; of several, the mean log-probability predicts."""
    y, logs = session.labels(how).y, []
    for name in network.split(","):
        weights = weights_of(session.config, name)

        def train(name: str = name, weights: str | None = weights) -> np.ndarray:
            model = _network(session, backbone=name, weights=weights, random_state=session.seed)
            model.fit(session.photos, y)
            return np.log(model.predict_proba(session.test_photos) + 1e-6)

        logs.append(session.work.get(f"fine-tuned {name} {how}", train))
    classes = np.unique(y[y >= 0])
    return Outcome(accuracy_score(session.y_test, classes[np.mean(logs, axis=0).argmax(axis=1)]))


def default(session: PhotoSession, how: str) -> Outcome:
    """Train as fewlabel does with nothing set, on frozen features."""
    return _fitted(session, how, FitSettings(seed=session.seed))


def best(session: PhotoSession, how: str) -> Outcome:
    """Train as fewlabel does with more time, by the method that the settings name."""
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
    extra = {"networks": float(result.n_networks)}
    if result.n_networks:
        test_rows = result.model.extractor.transform(session.test, progress=session.progress)
    else:
        baseline = result.model.widen(result.baseline.predict_proba(test_rows)).argmax(axis=1)
        extra["supervised_baseline"] = accuracy_score(session.y_test, baseline)
    reached = result.model.widen(result.model.fitted.predict_proba(test_rows)).argmax(axis=1)
    return Outcome(accuracy_score(session.y_test, reached), extra)


def _fine_tuned(session: PhotoSession, how: str) -> FineTuning:
    """Fine-tune on the given labels, once: self-training goes on from there."""
    y = session.labels(how).y

    def train() -> FineTuning:
        model = _network(session, progress=session.progress, random_state=session.seed)
        return model.fit(session.photos, y)

    return session.work.get(f"fine-tuned-{how}", train)


def _network(session: PhotoSession, **changed: Any) -> FineTuning:
    config = session.config
    names = ("depth", "n_epochs", "min_steps", "batch_size", "learning_rate", "augment")
    settings = {"backbone": config["backbone"], "weights": session.weights}
    settings |= {name: config[name] for name in names} | changed
    network = FineTuning(**settings)
    network.memory = session.memory
    return network


def _tested(
    session: PhotoSession,
    name: str,
    model: Any,
    extra: dict[str, float] | None = None,
    points: list[Point] | None = None,
) -> Outcome:
    """Measure on the held-out photos, and keep what is known of the training."""
    reached = accuracy_score(session.y_test, model.predict(session.test_photos))
    files = {}
    if points:
        files[f"training-{name}-seed{session.seed}.csv"] = to_csv(name, session.seed, points)
    return Outcome(reached, extra or {}, files)
