"""The models that the clustering studies train, and fewlabel's default beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fewlabel import (
    FitSettings,
    extract_features,
    fit_images,
    load_run,
    save_run,
    select_images,
)
from fewlabel.data import Labels

from ..protocol import Outcome
from .models import LOGISTIC, NETWORK, ModelKind
from .session import ClusterSession, TrainingSet

if TYPE_CHECKING:
    from fewlabel import NetworkClassifier

LR = "logistic regression"
NET = "7-layer network"
DEFAULT = "fewlabel's default"

_MANY = 5_000

Rows = Callable[[], TrainingSet]


def logistic(session: ClusterSession, name: str, rows: Rows) -> Outcome:
    """Train logistic regression on pixels, or load it, and test it."""
    return session.score(name, LOGISTIC, _fit_logistic(session.config), rows)


def logistic_on_distances(session: ClusterSession, name: str, n_clusters: int) -> Outcome:
    """Train logistic regression on the distances to the centers, with all labels."""
    kmeans = session.kmeans(n_clusters)

    def rows() -> TrainingSet:
        return TrainingSet(kmeans.transform(session.X), session.y, session.y)

    X_test = kmeans.transform(session.X_test)
    return session.score(name, LOGISTIC, _fit_scaled(session.config), rows, X_test)


def network(session: ClusterSession, name: str, rows: Rows) -> Outcome:
    """Train the seven-layer network on pixels, or load it, and test it."""
    return session.score(name, NETWORK, _fit_network(session), rows)


def default(session: ClusterSession, name: str, n_labeled: int) -> Outcome:
    """Train as fewlabel does with nothing set, on labels that it chose."""
    saved = f"{name}-seed{session.seed}"
    if session.models.loading:
        run, about = session.models.load(saved, RUN)
        predicted = _codes(session, run.classes)[run.predict(session.test).label]
        return session.checked(saved, about, accuracy_score(session.y_test, predicted))
    train, seed = session.train, session.seed
    prepared = session.work.get(
        "features", lambda: extract_features(train, seed=seed, progress=session.progress)
    )
    test_rows = session.work.get(
        "test features", lambda: prepared.extractor.transform(session.test)
    )
    chosen = select_images(train, n_labeled, seed=seed, prepared=prepared)
    y = np.full(len(train), -1, dtype=np.int64)
    y[chosen.indices] = session.y[chosen.indices]
    purposes = np.full(len(train), "", dtype=object)
    purposes[chosen.indices] = chosen.purpose
    labels = Labels(y, session.labels.classes, tuple(purposes.tolist()))
    result = fit_images(train, labels, FitSettings(seed=seed), prepared=prepared)
    kept, baseline = (
        result.model.widen(each.predict_proba(test_rows)).argmax(axis=1)
        for each in (result.model.fitted, result.baseline)
    )
    outcome = Outcome(
        accuracy_score(session.y_test, kept),
        {"supervised_baseline": accuracy_score(session.y_test, baseline)},
    )
    about = {"row": name, "seed": seed, "accuracy": outcome.accuracy, "extra": outcome.extra}
    session.models.save(saved, RUN, (result, train), **about)
    return outcome


def _codes(session: ClusterSession, classes: tuple[str, ...]) -> np.ndarray:
    """Our class of each class of a loaded model; -2, never right, for one we do not have."""
    own = {name: code for code, name in enumerate(session.labels.classes)}
    return np.array([own.get(name, -2) for name in classes])


def _fit_logistic(config: dict[str, Any]) -> Callable[[TrainingSet], LogisticRegression]:
    def fit(rows: TrainingSet) -> LogisticRegression:
        model = LogisticRegression(C=config["logistic_C"], max_iter=config["logistic_max_iter"])
        # The products of ten classes are thin: more threads would mostly wait for each other,
        # and on a busy machine for many times as long.
        with warnings.catch_warnings(), threadpool_limits(1):
            # The number of iterations is a setting of the study: scikit-learn's own.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(rows.X, rows.y)

    return fit


def _fit_scaled(config: dict[str, Any]) -> Callable[[TrainingSet], LogisticRegression]:
    """Train on standardized columns, and put the scaling into the weights.

    Distances are alike and far from 0: on them as they are the solver is still far from its
    goal when its iterations are used up.
    """

    def fit(rows: TrainingSet) -> LogisticRegression:
        scaler = StandardScaler().fit(rows.X)
        scaled = TrainingSet(scaler.transform(rows.X), rows.y, rows.truth)
        settings = config | {"logistic_max_iter": config["distances_max_iter"]}
        model = _fit_logistic(settings)(scaled)
        model.coef_ = model.coef_ / scaler.scale_
        model.intercept_ = model.intercept_ - model.coef_ @ scaler.mean_
        return model

    return fit


def _fit_network(session: ClusterSession) -> Callable[[TrainingSet], NetworkClassifier]:
    # Here and not above, so that study A needs no torch for its own rows.
    from fewlabel import NetworkClassifier

    def fit(rows: TrainingSet) -> NetworkClassifier:
        n_epochs = session.config["network_spread_epochs" if rows.is_spread else "network_epochs"]
        model = NetworkClassifier(
            architecture="mlp",
            options={"dropout": session.config["network_dropout"]},
            n_epochs=n_epochs,
            min_steps=session.config["network_min_steps"],
            batch_size=session.config["network_batch"] if len(rows.y) >= _MANY else 128,
            learning_rate=session.config["network_rate"],
            weight_decay=session.config["network_decay"],
            progress=session.progress,
            random_state=session.seed,
        )
        return model.fit(rows.X, rows.y)

    return fit


def _save_run(model: Any, folder: Path) -> None:
    result, images = model
    save_run(result, images, folder, force=True)


RUN = ModelKind("run of fewlabel", _save_run, load_run)
