"""Models of an ensemble that are trained in turn, each kept on disk with what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from fewlabel.errors import ModelFormatError
from fewlabel.persist import load_bundle, save_bundle
from fewlabel.semisupervised.soft_fit import class_probabilities, fit_soft

VOICE_KIND = "teacher-voice"
_SAID = "said.proba"
_AT_ONCE = 8_192


class Voices:
    """Models by name, and what each says of the rows that all are trained on.

    With a folder only one model is in memory at a time; those without ``to_state`` stay in
    memory all the same.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        Rows or images.
    classes : ndarray of shape (K,)
        Classes or labels.
    is_multilabel : bool
        Whether a row may have several labels.
    folder : Path or None
        Where to keep them; None keeps them in memory.
    about : str
        Digest of data and settings: models of another run are not taken.
    seed : int
        Seed of every training.
    progress : callable or None
        Called as ``progress(stage, done, total)``.
    """

    def __init__(
        self,
        X: np.ndarray,
        classes: np.ndarray,
        *,
        is_multilabel: bool,
        folder: Path | None,
        about: str,
        seed: int,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.X = X
        self.classes = classes
        self.is_multilabel = is_multilabel
        self.folder = folder
        self.about = about
        self.seed = seed
        self.progress = progress
        self.trained: list[str] = []
        self._templates: dict[str, Any] = {}
        self._models: dict[str, Any] = {}
        self._said: dict[str, np.ndarray] = {}

    def ensure(
        self,
        name: str,
        template: Any,
        sample: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    ) -> None:
        """Train a model, unless an interrupted run has kept it.

        Parameters
        ----------
        name : str
            Its name.
        template : estimator
            How it is made.
        sample : callable
            Gives row numbers, targets, mask and weights to train on.
        """
        self._templates[name] = template
        if self._load(name) is not None:
            return
        rows, targets, mask, weights = sample()
        model = self._new(name, template)
        if self.is_multilabel:
            model.fit_soft(self.X[rows], targets, mask, sample_weight=weights, classes=self.classes)
        else:
            model = fit_soft(model, self.X[rows], targets, weights, self.classes)
        _set(model, checkpoint=None, progress=None)
        self.trained.append(name)
        self._keep(name, model, self.ask(model, self.X))

    def said(self, name: str) -> np.ndarray:
        """Give what a model says of all rows.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        ndarray of shape (n, K), float32
            Probabilities.
        """
        if name in self._said:
            return self._said[name]
        loaded = self._load(name)
        assert loaded is not None
        return loaded[1]

    def model(self, name: str) -> Any:
        """Give a model, from disk where it is kept there.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        estimator
            The fitted model.

        Raises
        ------
        ModelFormatError
            If its file is gone or damaged.
        """
        if name in self._models:
            return self._models[name]
        loaded = self._load(name)
        if loaded is None:
            raise ModelFormatError(
                f"The model {name} is no longer in {self.folder}: call fit again, which trains "
                "what is missing."
            )
        return loaded[0]

    def ask(self, model: Any, X: np.ndarray) -> np.ndarray:
        """Ask a model for the probabilities of rows.

        Parameters
        ----------
        model : estimator
            A fitted model.
        X : ndarray of shape (m, ...)
            Rows or images.

        Returns
        -------
        ndarray of shape (m, K), float32
            Probabilities.
        """
        parts = []
        for start in range(0, len(X), _AT_ONCE):
            rows = X[start : start + _AT_ONCE]
            if self.is_multilabel:
                proba = model.predict_proba(rows)
            else:
                proba = class_probabilities(model, rows, self.classes)
            parts.append(proba.astype(np.float32))
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes)), np.float32)

    def _new(self, name: str, template: Any) -> Any:
        model = clone(template)
        _set(model, random_state=seed_of(self.seed, name))
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            _set(model, checkpoint=self.folder / f"{name}.training.safetensors")
        if self.progress is not None:
            told = self.progress
            _set(model, progress=lambda stage, done, total: told(f"teacher: {name}", done, total))
        return model

    def _keep(self, name: str, model: Any, said: np.ndarray) -> None:
        if self.folder is None or not hasattr(model, "to_state"):
            self._models[name], self._said[name] = model, said
            return
        arrays, network = model.to_state()
        save_bundle(
            self.folder / name,
            kind=VOICE_KIND,
            arrays=arrays | {_SAID: said},
            meta={"network": network, "about": self.about},
            force=True,
        )

    def _load(self, name: str) -> tuple[Any, np.ndarray] | None:
        """Read a model; None if it is not there, damaged, or of another run."""
        template = self._templates[name]
        if self.folder is None or not hasattr(template, "from_state"):
            return None
        try:
            bundle = load_bundle(self.folder / name, kind=VOICE_KIND)
            if bundle.meta["about"] != self.about:
                return None
            arrays = dict(bundle.arrays)
            said = arrays.pop(_SAID)
            device = getattr(template, "device", "auto")
            # A study may have a task of its own, which no file can name.
            own = {} if not getattr(template, "task", None) else {"task": template.task}
            network = bundle.meta["network"]
            loaded = type(template).from_state(arrays, network, device=device, **own)
        except (ModelFormatError, KeyError, TypeError):
            return None
        model = clone(template)
        for key, value in vars(loaded).items():
            if key.endswith("_") and not key.startswith("_"):
                setattr(model, key, value)
        model.history_ = []
        return model, said


def seed_of(seed: int, name: str) -> int:
    """Give the seed of one training.

    Parameters
    ----------
    seed : int
        Seed of the run.
    name : str
        Name of the training.

    Returns
    -------
    int
        Seed.

    Examples
    --------
    >>> seed_of(0, "member-1") != seed_of(0, "member-2")
    True
    """
    return int(np.random.default_rng([seed, *name.encode()]).integers(2**31))


def _set(model: Any, **values: Any) -> None:
    """Set the parameters that the model has."""
    has = model.get_params(deep=False)
    model.set_params(**{key: value for key, value in values.items() if key in has})
