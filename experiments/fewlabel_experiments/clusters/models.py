"""Trained models under plain names: saved, listed, and loaded again.

A folder of models holds one folder a model, such as ``lr-2000-medoids-seed0``, and
``models.json``: what each is and what it scored when it was saved.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from fewlabel import KMeans
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.files import atomic_file
from fewlabel.persist import load_bundle, save_bundle

if TYPE_CHECKING:
    from fewlabel import NetworkClassifier

INDEX_FILE = "models.json"


@dataclass(frozen=True)
class ModelKind:
    """How models of a kind are saved and loaded."""

    name: str  # name of the kind
    save: Callable[[Any, Path], None]  # takes the model and a folder to write
    load: Callable[[Path], Any]  # takes such a folder and gives the model


class ModelStore:
    """A folder that models are saved into or loaded from."""

    def __init__(self, save_to: Path | None = None, load_from: Path | None = None) -> None:
        self.save_to = save_to
        self.load_from = load_from
        self._index: dict[str, dict[str, Any]] = {}
        folder = save_to or load_from
        if folder is None:
            return
        if (folder / INDEX_FILE).is_file():
            self._index = _read_index(folder / INDEX_FILE)
        elif load_from is not None:
            raise UsageError(
                f"{folder} holds no saved models ({INDEX_FILE} is missing): give the folder that "
                "--save-models wrote."
            )
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"{folder} exists and holds no models of a study: give another folder with "
                "--save-models."
            )

    @property
    def loading(self) -> bool:
        """True where models are loaded in place of training."""
        return self.load_from is not None

    def is_saved(self, name: str) -> bool:
        """Return whether a model need not be made to be saved."""
        return self.save_to is None or name in self._index

    def save(self, name: str, kind: ModelKind, model: Any, **about: Any) -> None:
        """Save a model, if models are to be saved; an earlier one of that name is replaced."""
        if self.save_to is None:
            return
        kind.save(model, self.save_to / name)
        self._index[name] = {"kind": kind.name, **about}
        with atomic_file(self.save_to / INDEX_FILE) as file:
            file.write_text(json.dumps(self._index, indent=1) + "\n", encoding="utf-8")

    def load(self, name: str, kind: ModelKind) -> tuple[Any, dict[str, Any]]:
        """Load a model."""
        assert self.load_from is not None
        if name not in self._index:
            raise UsageError(
                f"{self.load_from} holds no model {name!r}: save it with `--save-models`, with the "
                "same study, seeds and --quick."
            )
        return kind.load(self.load_from / name), self._index[name]


def _read_index(path: Path) -> dict[str, dict[str, Any]]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFormatError(f"{path} is damaged ({error}): save the models again.") from error
    if not isinstance(index, dict) or not all(isinstance(e, dict) for e in index.values()):
        raise ModelFormatError(f"{path} is not a list of models: save the models again.")
    return index


def save_logistic(model: LogisticRegression, folder: Path) -> None:
    """Save a logistic regression as numbers."""
    save_bundle(
        folder,
        kind="logistic-regression",
        arrays={
            "coef": model.coef_,
            "intercept": model.intercept_,
            "classes": np.asarray(model.classes_, np.int64),
            "n_iter": np.asarray(model.n_iter_, np.int64),
        },
        meta={"C": float(model.C), "max_iter": int(model.max_iter), "tol": float(model.tol)},
        force=True,
    )


def load_logistic(folder: Path) -> LogisticRegression:
    """Load a logistic regression that `save_logistic` wrote."""
    bundle = load_bundle(folder, kind="logistic-regression")
    coef, intercept, classes, n_iter = _arrays(
        folder, bundle.arrays, "coef", "intercept", "classes", "n_iter"
    )
    fits = coef.ndim == 2 and classes.ndim == 1 and len(classes) >= 3
    if not fits or coef.shape[0] != len(classes) or intercept.shape != classes.shape:
        raise _damaged(folder, "the shapes of the arrays do not fit together")
    model = LogisticRegression(**bundle.meta)
    model.coef_, model.intercept_, model.classes_ = coef, intercept, classes
    model.n_iter_, model.n_features_in_ = n_iter, coef.shape[1]
    return model


def save_kmeans(model: KMeans, folder: Path) -> None:
    """Save a clustering as numbers."""
    save_bundle(
        folder,
        kind="kmeans",
        arrays={
            "centers": model.cluster_centers_,
            "labels": np.asarray(model.labels_, np.int32),
            "inertia": np.asarray(model.inertia_, np.float64),
        },
        meta={
            "n_iter": int(model.n_iter_),
            "parameters": {
                "max_iter": int(model.max_iter),
                "tol": float(model.tol),
                "spherical": bool(model.spherical),
                "random_state": model.random_state,
            },
        },
        force=True,
    )


def load_kmeans(folder: Path) -> KMeans:
    """Load a clustering that `save_kmeans` wrote."""
    bundle = load_bundle(folder, kind="kmeans")
    centers, labels, inertia = _arrays(folder, bundle.arrays, "centers", "labels", "inertia")
    if centers.ndim != 2 or labels.ndim != 1 or not (labels < len(centers)).all():
        raise _damaged(folder, "the shapes of the arrays do not fit together")
    try:
        model = KMeans(len(centers), **bundle.meta["parameters"])
        model.n_iter_ = int(bundle.meta["n_iter"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, f"the manifest lacks {error}") from error
    model.cluster_centers_, model.labels_ = centers, labels.astype(np.int64)
    model.inertia_, model.n_features_in_ = float(inertia), centers.shape[1]
    model._n_features_out = len(centers)
    return model


def _arrays(folder: Path, arrays: dict[str, np.ndarray], *names: str) -> list[np.ndarray]:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise _damaged(folder, f"the array {missing[0]!r} is missing")
    return [arrays[name] for name in names]


def _damaged(folder: Path, why: str) -> ModelFormatError:
    return ModelFormatError(f"{folder}: {why}: the model is damaged; save it again.")


def save_network(model: NetworkClassifier, folder: Path) -> None:
    """Save a network as numbers."""
    arrays, meta = model.to_state()
    save_bundle(folder, kind="network", arrays=arrays, meta=meta, force=True)


def load_network(folder: Path) -> NetworkClassifier:
    """Load a network that `save_network` wrote."""
    from fewlabel import NetworkClassifier

    bundle = load_bundle(folder, kind="network")
    return NetworkClassifier.from_state(bundle.arrays, bundle.meta)


LOGISTIC = ModelKind("logistic regression", save_logistic, load_logistic)
KMEANS = ModelKind("k-means", save_kmeans, load_kmeans)
NETWORK = ModelKind("network", save_network, load_network)
