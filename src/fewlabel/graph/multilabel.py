"""The main job on features where an image may have several labels."""

from __future__ import annotations

import numbers
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from fewlabel.compute import as_generator
from fewlabel.data.checks import check_table, warn_of_unlearnable
from fewlabel.data.task import MultiLabel
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import (
    LabelFolds,
    LabelScaling,
    as_asked,
    choose_label_candidate,
    fit_scaling,
    label_folds,
    scale_apart,
)
from fewlabel.evaluate.label_scaling import log_odds
from fewlabel.graph.graph_model import GraphModel
from fewlabel.graph.label_graph import neighbor_labels, spread_labels
from fewlabel.graph.linear_model import PENALTIES
from fewlabel.graph.sigmoid_model import LabeledRows, SigmoidModel

METHODS = ("auto", "graph", "blend", "supervised")
_ME = "MultiLabelClassifier"


class MultiLabelClassifier(ClassifierMixin, BaseEstimator):
    """Learn several labels a row from a few labels and many unlabelled rows.

    Candidates are a logistic regression a label, on the labels alone (the supervised baseline),
    each label's presence and absence spread over a nearest-neighbor graph, and the mean of the
    log-odds of both. Settings, candidate and calibration rest on cross-fitted predictions of
    the labelled rows; single labels that are not known neither teach nor test.

    Parameters
    ----------
    method : {"auto", "graph", "blend", "supervised"}
        ``"auto"`` chooses among all candidates by their exact match.
    labels : array-like of shape (K,), optional
        Name of each label; by default their numbers.
    n_neighbors : int
        Neighbors of each row in the graph.
    alphas : tuple of float
        How much a row takes from its neighbors: the values to choose from.
    random_state : int, RandomState or None
        Seed of the folds and of the neighbor search.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Names of the labels.
    method_ : str
        The chosen candidate.
    choice_ : Choice or None
        Every candidate with its cross-fitted exact match, and why it was chosen or not; None
        where too few rows are labelled to cross-fit.
    settings_ : dict
        The chosen ``alpha`` and penalty ``C``.
    scaling_ : LabelScaling
        Makes the probabilities honest; fitted on cross-fitted predictions.
    folds_ : LabelFolds or None
        The folds, dealt by the rarest label of each row.
    cross_fitted_ : ndarray of shape (n_labeled, K)
        Calibrated predictions of each labelled row without its own fold.
    supervised_cross_fitted_ : ndarray of shape (n_labeled, K)
        The same of the baseline.
    label_distributions_ : ndarray of shape (n, K)
        Calibrated probabilities of the rows seen in ``fit``; 0 or 1 where a label is given.
    propagated_ : ndarray of shape (n, K)
        The graph's probabilities, whichever candidate was chosen; the baseline's where the
        method is ``"supervised"`` by choice of the caller.
    notes_ : list of str
        What the user must know.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> Y = np.column_stack([y >= 5, y % 2 == 1]).astype(int)  # large, odd
    >>> few = np.where(np.arange(len(Y))[:, None] < 150, Y, -1)
    >>> model = MultiLabelClassifier(random_state=0).fit(X, few)
    >>> bool(model.score(X[150:], Y[150:]) > 0.85)
    True
    """

    def __init__(
        self,
        *,
        method: str = "auto",
        labels: Any = None,
        n_neighbors: int = 10,
        alphas: tuple[float, ...] = (0.9, 0.97, 0.99),
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.method = method
        self.labels = labels
        self.n_neighbors = n_neighbors
        self.alphas = alphas
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.target_tags.two_d_labels = True
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> MultiLabelClassifier:
        """Learn from labelled and unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : array-like of shape (n, K)
            1 present, 0 absent, -1 not known.
        groups : array-like of shape (n,), optional
            The same number for exact duplicates, which then share a fold.

        Returns
        -------
        MultiLabelClassifier
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or nothing is known.

        Warns
        -----
        UserWarning
            If a label is always absent or never known; it is named.
        """
        self._check_parameters()
        X = validate_data(self, X, dtype=np.float32)
        Y = check_table(y, len(X), _ME)
        labeled = np.flatnonzero((Y >= 0).any(axis=1))
        if not len(labeled):
            raise UsageError(f"{_ME} needs at least one known label: all are -1.")
        names = np.arange(Y.shape[1]) if self.labels is None else np.asarray(list(self.labels))
        if len(names) != Y.shape[1]:
            raise UsageError(
                f"The 'labels' parameter of {_ME} must name {Y.shape[1]} labels, one a column. "
                f"Got {len(names)} instead."
            )
        if groups is not None:
            check_consistent_length(X, groups)
        self.classes_ = names
        self.notes_ = MultiLabel().unlearnable(Y, names.tolist())
        warn_of_unlearnable(self.notes_, _ME)
        rng = as_generator(self.random_state)
        seed = int(rng.integers(2**31))
        self.folds_ = _folds(Y, labeled, groups, rng)
        self._fit_candidates(X, Y, labeled, seed)
        self._choose(Y)
        self._finish(X, Y, labeled)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the calibrated probability of every label.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, K)
            Float64; each label by itself.
        """
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.scaling_.apply(self._predict(X, self.method_))

    def supervised_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities by the baseline, trained on the labels alone.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, K)
            Float64, not calibrated.
        """
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._predict(X, "supervised")

    def predict(self, X: Any) -> np.ndarray:
        """Predict which labels are present.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, K), int64
            1 where the probability is at least one half, else 0.
        """
        return (self.predict_proba(X) >= 0.5).astype(np.int64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the share of rows of which every known label is predicted right.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.
        y : array-like of shape (m, K)
            1 present, 0 absent, -1 not known.
        sample_weight : array-like of shape (m,), optional
            Weight of each row.

        Returns
        -------
        float
            Exact match, from 0 to 1.
        """
        proba = self.predict_proba(X)
        table = check_table(y, len(proba), _ME)
        rows = MultiLabel().labeled(table)
        if not len(rows):
            return float("nan")
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        return float(np.average(MultiLabel().correct(table[rows], proba[rows]), weights=weights))

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what predicting needs, for `fewlabel.persist.save_bundle`.

        Returns
        -------
        arrays : dict of str to ndarray
            The regressions, and for the graph its rows and their labels.
        meta : dict
            Method, labels and calibration, for JSON.
        """
        arrays: dict[str, np.ndarray] = {}
        if self.method_ != "graph":
            arrays |= {"coef": self._linear.coef, "intercept": self._linear.intercept}
        if self.method_ != "supervised":
            arrays["graph.rows"] = self._graph_rows
            arrays["graph.labels"] = self._spread.astype(np.float32)
        meta = {
            "method": self.method_,
            "labels": [str(name) for name in self.classes_.tolist()],
            "scaling": asdict(self.scaling_),
            "n_neighbors": int(self.n_neighbors),
            "n_features": int(self.n_features_in_),
            "seed": self._seed,
        }
        return arrays, meta

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]
    ) -> MultiLabelClassifier:
        """Rebuild a classifier that predicts as the saved one did.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        MultiLabelClassifier
            A classifier for ``predict`` and ``predict_proba``.

        Raises
        ------
        ModelFormatError
            If something is missing or does not fit together.
        """
        method = str(meta.get("method"))
        if method not in METHODS[1:]:
            raise ModelFormatError(f"The saved method {method!r} is not known: upgrade fewlabel.")
        model = cls(method=method, labels=meta["labels"], n_neighbors=int(meta["n_neighbors"]))
        model.classes_ = np.arange(len(meta["labels"]))
        model.scaling_ = LabelScaling(**{k: float(v) for k, v in meta["scaling"].items()})
        model.n_features_in_ = int(meta["n_features"])
        model._seed = int(meta["seed"])
        shape = (model.n_features_in_, len(model.classes_))
        fits = True
        if method != "graph":
            model._linear = SigmoidModel(arrays["coef"], arrays["intercept"])
            fits &= model._linear.coef.shape == shape
            fits &= model._linear.intercept.shape == shape[1:]
        if method != "supervised":
            rows, labels = arrays["graph.rows"], arrays["graph.labels"]
            fits &= rows.ndim == 2 and rows.shape[1] == shape[0]
            fits &= labels.shape == (len(rows), shape[1])
        if not fits:
            raise ModelFormatError(
                "The shapes of the saved arrays do not fit together: the model is damaged; fit "
                "again, or copy it anew."
            )
        if method != "supervised":
            model._graph_rows, model._spread = rows, labels
            model._graph = GraphModel.for_prediction(rows, model.n_neighbors, model._seed)
        model.method_ = method
        return model

    def _fit_candidates(self, X: np.ndarray, Y: np.ndarray, labeled: np.ndarray, seed: int) -> None:
        """Fit every candidate on all labels, and cross-fit it."""
        self._seed = seed
        self.settings_: dict[str, Any] = {}
        self._crossed: dict[str, np.ndarray] = {}
        self._fit_linear(X, Y, labeled)
        self._spread = self._linear.predict_proba(X)
        if self.method == "supervised":
            return
        self._graph = GraphModel(X, int(self.n_neighbors), seed)
        self._graph_rows = X
        self._fit_graph(Y, labeled)
        if self.folds_ is not None:
            odds = log_odds(self._crossed["supervised"]) + log_odds(self._crossed["graph"])
            self._crossed["blend"] = _from_odds(odds / 2)

    def _fit_linear(self, X: np.ndarray, Y: np.ndarray, labeled: np.ndarray) -> None:
        rows = LabeledRows(X[labeled], Y[labeled])
        best = PENALTIES[len(PENALTIES) // 2]
        if self.folds_ is not None:
            held_out = {}
            for C in PENALTIES:
                held_out[C] = np.empty((len(labeled), Y.shape[1]))
                for train, held in self.folds_.folds:
                    at = np.searchsorted(labeled, held)
                    held_out[C][at] = rows.predict_held(np.searchsorted(labeled, train), at, C)
            best = min(PENALTIES, key=lambda C: _loss(Y[labeled], held_out[C]))
            self._crossed["supervised"] = held_out[best]
        self.settings_["C"] = best
        self._linear = rows.fit(np.arange(len(labeled)), best)

    def _fit_graph(self, Y: np.ndarray, labeled: np.ndarray) -> None:
        alone = LabelFolds((), labeled, np.zeros(len(labeled), bool), ())
        found = {
            alpha: spread_labels(self._graph, Y, self.folds_ or alone, float(alpha))
            for alpha in (self.alphas if self.folds_ is not None else self.alphas[:1])
        }
        best = min(found, key=lambda alpha: _loss(Y[labeled], found[alpha][1]))
        self.settings_["alpha"] = best
        self._spread, crossed = found[best]
        # A new image is like its neighbors, and what is known of them holds.
        self._spread[Y >= 0] = Y[Y >= 0]
        if self.folds_ is not None:
            self._crossed["graph"] = crossed

    def _choose(self, Y: np.ndarray) -> None:
        """Choose a candidate, and calibrate it, by the cross-fitted predictions."""
        self.method_ = "graph" if self.method == "auto" else self.method
        self.choice_, self.scaling_ = None, LabelScaling()
        empty = np.empty((0, Y.shape[1]))
        self.cross_fitted_ = self.supervised_cross_fitted_ = empty
        if self.folds_ is None:
            return
        truth, unseen = Y[self.folds_.labeled], self.folds_.unseen
        names = METHODS[1:] if self.method == "auto" else (self.method, "supervised")
        tried = {name: self._crossed[name] for name in dict.fromkeys(names)}
        fold = np.zeros(len(truth), dtype=np.int64)
        for number, (_, held) in enumerate(self.folds_.folds):
            fold[np.searchsorted(self.folds_.labeled, held)] = number
        self.choice_ = choose_label_candidate(tried, truth, unseen=unseen, parts=fold)
        if self.method == "auto":
            self.method_ = self.choice_.name
        else:
            self.choice_ = as_asked(self.choice_, self.method)
        # Fitted on the rows that could have been predicted; what is tested is scaled by others.
        seen = ~unseen if not unseen.all() else ~np.zeros_like(unseen)
        self.scaling_ = fit_scaling(truth[seen], tried[self.method_][seen])
        self.cross_fitted_ = scale_apart(truth, tried[self.method_], fold)
        self.supervised_cross_fitted_ = scale_apart(truth, tried["supervised"], fold)

    def _finish(self, X: np.ndarray, Y: np.ndarray, labeled: np.ndarray) -> None:
        proba = self.scaling_.apply(self._transduce(X))
        proba[Y >= 0] = Y[Y >= 0]
        self.label_distributions_ = proba
        self.propagated_ = self._spread
        del self._crossed

    def _transduce(self, X: np.ndarray) -> np.ndarray:
        if self.method_ == "supervised":
            return self._linear.predict_proba(X)
        if self.method_ == "graph":
            return self._spread
        odds = log_odds(self._linear.predict_proba(X)) + log_odds(self._spread)
        return _from_odds(odds / 2)

    def _predict(self, X: np.ndarray, method: str) -> np.ndarray:
        if method == "supervised":
            return self._linear.predict_proba(X)
        near = neighbor_labels(self._graph, X, self._spread)
        if method == "graph":
            return near
        return _from_odds((log_odds(self._linear.predict_proba(X)) + log_odds(near)) / 2)

    def _check_parameters(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"The 'method' parameter of {_ME} must be one of {', '.join(METHODS)}. "
                f"Got {self.method!r} instead."
            )
        if not isinstance(self.n_neighbors, numbers.Integral) or self.n_neighbors < 1:
            raise UsageError(
                f"The 'n_neighbors' parameter of {_ME} must be an int of at least 1. "
                f"Got {self.n_neighbors!r} instead."
            )
        alphas = list(self.alphas) if isinstance(self.alphas, tuple | list) else []
        if not alphas or not all(isinstance(a, numbers.Real) and 0 < a < 1 for a in alphas):
            raise UsageError(
                f"The 'alphas' parameter of {_ME} must hold floats in (0, 1). "
                f"Got {self.alphas!r} instead."
            )


def rarest_labels(Y: np.ndarray) -> np.ndarray:
    """Give the rarest label that each row has.

    Parameters
    ----------
    Y : ndarray of shape (n, K)
        1 present, 0 absent, -1 not known.

    Returns
    -------
    ndarray of shape (n,), int64
        Its column; K where a row is known to have none, -1 where nothing is known.

    Examples
    --------
    >>> rarest_labels(np.array([[1, 1], [1, 0], [0, 0], [-1, -1]])).tolist()
    [1, 0, 2, -1]
    """
    count = (Y == 1).sum(axis=0)
    n_labels = Y.shape[1]
    weighed = np.where(Y == 1, count, len(Y) + 1)
    codes = np.where((Y == 1).any(axis=1), weighed.argmin(axis=1), n_labels)
    return np.where((Y >= 0).any(axis=1), codes, -1).astype(np.int64)


def _folds(
    Y: np.ndarray, labeled: np.ndarray, groups: Any, rng: np.random.Generator
) -> LabelFolds | None:
    distinct = len(labeled) if groups is None else len(np.unique(np.asarray(groups)[labeled]))
    if distinct < 2:
        return None
    folds = label_folds(rarest_labels(Y), groups, None, rng)
    unseen = np.zeros(len(folds.labeled), dtype=bool)
    for train, held in folds.folds:
        taught = (Y[train] == 1).any(axis=0)
        at = np.searchsorted(folds.labeled, held)
        unseen[at] = ((Y[held] == 1) & ~taught).any(axis=1)
    return LabelFolds(folds.folds, folds.labeled, unseen, ())


def _loss(Y: np.ndarray, proba: np.ndarray) -> float:
    odds, known = log_odds(proba), Y >= 0
    return float((np.logaddexp(0, odds) - (Y == 1) * odds)[known].sum())


def _from_odds(odds: np.ndarray) -> np.ndarray:
    # Written with tanh: no exponential overflows.
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)))
