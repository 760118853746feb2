"""The main job on features: labels and unlabelled rows in, a calibrated classifier out."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from fewlabel.compute import as_generator
from fewlabel.data.targets import encode_labels
from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    LabelFolds,
    apply_temperature,
    as_asked,
    choose_candidate,
    fit_temperature,
    label_folds,
)
from fewlabel.graph.candidates import Candidates, Fitted, preferred_methods
from fewlabel.graph.graph_model import GraphModel

METHODS = ("auto", "graph", "student", "blend", "supervised")

_CHOICE_ERRORS = 2.0
"""Chosen labels are typical of their clusters: linear models predict them better than others."""


class FewLabelClassifier(ClassifierMixin, BaseEstimator):
    """Learn from a few labels and many unlabelled rows, and keep what cross-fitting favours.

    Candidates are logistic regression on the labels alone (the supervised baseline), label
    spreading over a nearest-neighbor graph, a student (logistic regression on the labels and
    the graph's confident labels), and the geometric mean of graph and baseline. All choices
    between settings and candidates, and the temperature, rest on cross-fitted predictions of
    the labelled rows.

    Parameters
    ----------
    method : {"auto", "graph", "student", "blend", "supervised"}
        ``"auto"`` chooses among all candidates, always the baseline among them.
    n_neighbors : int
        Neighbors of each row in the graph.
    alphas : tuple of float
        How much a row takes from its neighbors: the values to choose from.
    random_state : int, RandomState or None
        Seed of the folds and of the neighbor search.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    method_ : str
        The chosen candidate.
    choice_ : Choice
        Every candidate with its cross-fitted accuracy, and why it was chosen or not.
    settings_ : dict
        The chosen ``alpha``, ``class_prior`` and penalties ``C``.
    temperature_ : float
        Divides the logarithms of the probabilities; fitted on cross-fitted predictions.
    folds_ : LabelFolds or None
        The folds; None where too few rows are labelled to cross-fit.
    cross_fitted_ : ndarray of shape (n_labeled, n_classes)
        Calibrated predictions of each labelled row without its own fold.
    supervised_cross_fitted_ : ndarray of shape (n_labeled, n_classes)
        The same of the supervised baseline.
    label_distributions_ : ndarray of shape (n, n_classes)
        Calibrated class probabilities of the rows seen in ``fit``; 1 for given labels.
    propagated_ : ndarray of shape (n, n_classes)
        The graph's class probabilities, whichever candidate was chosen.
    transduction_ : ndarray of shape (n,)
        Most probable classes of the rows seen in ``fit``.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.full(len(y), -1)
    >>> few[:100] = y[:100]
    >>> model = FewLabelClassifier(random_state=0).fit(X, few)
    >>> bool(model.score(X[100:], y[100:]) > 0.9)
    True
    """

    def __init__(
        self,
        *,
        method: str = "auto",
        n_neighbors: int = 10,
        alphas: tuple[float, ...] = (0.9, 0.97, 0.99),
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.method = method
        self.n_neighbors = n_neighbors
        self.alphas = alphas
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> FewLabelClassifier:
        """Learn from labelled and unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : array-like of shape (n,)
            Labels; -1 where unlabelled.
        groups : array-like of shape (n,), optional
            The same number for exact duplicates, which then share a fold.

        Returns
        -------
        FewLabelClassifier
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range or fewer than two classes are labelled.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_, codes = encode_labels(y, "FewLabelClassifier")
        if len(self.classes_) < 2:
            raise UsageError(
                "FewLabelClassifier needs labels of at least two classes. Got 1 class instead: "
                f"{self.classes_[0]!s}."
            )
        if groups is not None:
            check_consistent_length(X, groups)
        rng = as_generator(self.random_state)
        graph = GraphModel(X, int(self.n_neighbors), int(rng.integers(2**31)))
        self.folds_ = _folds(codes, groups, rng)
        candidates = Candidates(X, codes, len(self.classes_), graph, self.folds_)
        names = list(Candidates.NAMES) if self.method == "auto" else ["supervised", self.method]
        fitted = candidates.fit(tuple(dict.fromkeys(names)), self.alphas)
        self._choose(fitted, codes)
        self._finish(fitted, codes, X)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict calibrated class probabilities.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Rows that sum to 1, float64.
        """
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return apply_temperature(self._predictor.predict_proba(X, self.method_), self.temperature_)

    def supervised_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities by the baseline, trained on the labels alone.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Rows that sum to 1, float64, not calibrated.
        """
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._predictor.predict_proba(X, "supervised")

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m,)
            Classes.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting needs, for `fewlabel.persist.save_bundle`.

        Returns
        -------
        arrays : dict of str to ndarray
            Linear models, and for the graph its rows and their probabilities.
        meta : dict
            Method, classes and temperature, for JSON.
        """
        from fewlabel.graph.state import classifier_state

        return classifier_state(self, self._rows)

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> FewLabelClassifier:
        """Rebuild a classifier that predicts as the saved one did.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        FewLabelClassifier
            For ``predict`` and ``predict_proba``.
        """
        from fewlabel.graph.state import classifier_from_state

        return classifier_from_state(arrays, meta)

    def _choose(self, fitted: Fitted, codes: np.ndarray) -> None:
        """Choose a candidate and its temperature by the cross-fitted predictions."""
        self.choice_ = None
        self.temperature_ = 1.0
        self.method_ = self.method if self.method != "auto" else "supervised"
        self.cross_fitted_ = fitted.cross_fitted.get(self.method_, np.empty((0, 0)))
        self.supervised_cross_fitted_ = fitted.cross_fitted.get("supervised", np.empty((0, 0)))
        if self.folds_ is None:
            return
        y_true = codes[self.folds_.labeled]
        seen = ~self.folds_.unseen
        self.choice_ = choose_candidate(
            fitted.cross_fitted,
            y_true,
            prefer=preferred_methods(len(y_true) / len(self.classes_)),
            n_se=_CHOICE_ERRORS,
            unseen=self.folds_.unseen,
        )
        if self.method == "auto":
            self.method_ = self.choice_.name
        else:
            self.choice_ = as_asked(self.choice_, self.method)
        proba = fitted.cross_fitted[self.method_]
        if seen.any():
            self.temperature_ = fit_temperature(proba[seen], y_true[seen])
        self.cross_fitted_ = apply_temperature(proba, self.temperature_)

    def _finish(self, fitted: Fitted, codes: np.ndarray, X: np.ndarray) -> None:
        self._predictor = fitted.predictor
        self._rows = X
        # For the learning curve; the student alone needs the scores of all rows for it.
        self._label_scores = fitted.label_scores
        self._fold_scores = fitted.scores if self.method_ == "student" else None
        self.settings_ = fitted.settings
        self.propagated_ = fitted.propagated
        proba = fitted.predictor.transduce(X, self.method_)
        self.label_distributions_ = apply_temperature(proba, self.temperature_)
        labeled = np.flatnonzero(codes >= 0)
        self.label_distributions_[labeled] = 0
        self.label_distributions_[labeled, codes[labeled]] = 1
        self.transduction_ = self.classes_[self.label_distributions_.argmax(axis=1)]

    def _check_parameters(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"The 'method' parameter of FewLabelClassifier must be one of "
                f"{', '.join(METHODS)}. Got {self.method!r} instead."
            )
        if not isinstance(self.n_neighbors, numbers.Integral) or self.n_neighbors < 1:
            raise UsageError(
                "The 'n_neighbors' parameter of FewLabelClassifier must be an int of at least 1. "
                f"Got {self.n_neighbors!r} instead."
            )
        alphas: Any = list(self.alphas) if isinstance(self.alphas, Iterable) else []
        if not alphas or not all(isinstance(a, numbers.Real) and 0 < a < 1 for a in alphas):
            raise UsageError(
                "The 'alphas' parameter of FewLabelClassifier must hold floats in (0, 1). "
                f"Got {self.alphas!r} instead."
            )


def _folds(codes: np.ndarray, groups: Any, rng: np.random.Generator) -> LabelFolds | None:
    """Folds of the labelled rows; None where one distinct row is all there is."""
    labeled = np.flatnonzero(codes >= 0)
    distinct = len(labeled) if groups is None else len(np.unique(np.asarray(groups)[labeled]))
    return label_folds(codes, groups, None, rng) if distinct >= 2 else None
