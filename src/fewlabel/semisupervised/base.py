"""What the estimators of this package have in common: what they take, predict and score."""

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.compute import _as_generator
from fewlabel.data.scores import LabelClassifier
from fewlabel.data.task import Task, task_of
from fewlabel.errors import UsageError
from fewlabel.params import check_parameters, integer
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.models import _predict_classes
from fewlabel.semisupervised.rounds import Round, _Track


class SemiSupervisedClassifier(LabelClassifier, ClassifierMixin, BaseEstimator):
    """A classifier of rows or images that one fitted model predicts.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.
    """

    _model_name = "estimator_"
    _parameter_constraints = {
        "max_rounds": [integer(0)],
        "checkpoint": [str, Path, None],
        "progress": [callable, None],
        "random_state": ["random_state"],
    }
    classes_: np.ndarray
    task_: Task
    rounds_: list[Round]
    ledger_: PseudoLabelLedger

    @abstractmethod
    def fit(self, X: Any, y: Any, *, groups: Any = None) -> Self:
        """Train on labeled and unlabeled rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or uint8 images of shape (n, H, W) or (n, H, W, C)
            All rows or images.
        y : array-like of shape (n,) or (n, K)
            Labels; -1, None, NaN, pandas.NA or blank is unlabeled. Or a table: 1 present, 0
            absent, -1 and the like unknown.
        groups : array-like of shape (n,), optional
            The same number for exact duplicates, which are then held out together.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or too little is labeled.
        TrainingError
            If a loss is no longer a number.
        """

    def _begin(
        self, X: Any, y: Any, model: Any
    ) -> tuple[np.ndarray, np.ndarray, np.random.Generator, int]:
        """Check parameters and data; return rows, codes of the labels, and what is random."""
        check_parameters(self)
        X, self.task_, self.classes_, codes = _check_inputs(self, X, y, model)
        if len(self.classes_) < self.task_.min_classes:
            raise UsageError(
                f"{type(self).__name__} needs labels of at least two classes. Got 1 class "
                f"instead: {self.classes_[0]!s}. Label rows of another one."
            )
        # Drawn first, so that the seed of the trainings does not depend on how folds are dealt.
        rng = _as_generator(self.random_state)
        return X, codes, rng, int(rng.integers(2**31))

    def _settings(self, *left_out: str) -> dict[str, Any]:
        """Return the parameters that decide what is trained in a round."""
        # An interrupted run may go on with more rounds, and report its progress otherwise.
        left_out = ("checkpoint", "progress", "max_rounds", *left_out)
        return {k: v for k, v in self.get_params(deep=False).items() if k not in left_out}

    def _keep_round(self, track: _Track, best: int) -> None:
        """Keep the records of a track, and the ledger up to its best round."""
        self.n_rounds_, self.helped_ = best, best > 0
        self.rounds_, self.ledger_ = track.rounds, track.ledger(best)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities."""
        check_is_fitted(self, self._model_name)
        model = getattr(self, self._model_name)
        return _predict_classes(model, _check_rows(self, X), self.classes_, np.float64)


def _are_images(X: Any) -> bool:
    """Return whether X is a uint8 array of images, (n, H, W) or (n, H, W, C)."""
    return isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim in (3, 4)


def _check_rows(estimator: Any, X: Any) -> Any:
    """Return rows to predict as float32; images pass as they are."""
    return X if _are_images(X) else validate_data(estimator, X, dtype=np.float32, reset=False)


def _check_inputs(
    estimator: Any, X: Any, y: Any, model: Any = None
) -> tuple[np.ndarray, Task, np.ndarray, np.ndarray]:
    """Return rows or images, and what their labels mean."""
    given = getattr(model, "task", None)
    task = given if isinstance(given, Task) else task_of(y, as_column=True)
    if not _are_images(X):
        X = validate_data(estimator, X, dtype=np.float32)
    classes, codes = task.encode(y, len(X), type(estimator).__name__)
    return X, task, classes, codes


def _check_takes(task: Task, models: Sequence[Any], who: str) -> None:
    """Name the task to models that ask for it; raise if one cannot leave out labels of a row."""
    for model in models:
        if "task" in model.get_params(deep=False):
            model.set_params(task=model.task or task)
            continue
        fit = getattr(model, "fit_soft", None)
        takes_masks = fit is not None and "mask" in inspect.signature(fit).parameters
        if not task.exclusive and not takes_masks:
            raise UsageError(
                f"{who} was given {type(model).__name__} and a table of several labels: give a "
                "NetworkClassifier."
            )
