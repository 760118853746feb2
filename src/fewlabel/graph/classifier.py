"""The main job on features: labels and unlabeled rows in, a calibrated classifier out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from fewlabel.compute import as_generator
from fewlabel.data.checks import warn_of_unlearnable
from fewlabel.data.task import task_of
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import (
    Fitted,
    LabelFolds,
    calibrate_apart,
    choose_candidate,
    label_folds,
)
from fewlabel.graph import candidates
from fewlabel.graph.candidates import _CHOICE_ERRORS, _Predictor, _SharedFit
from fewlabel.params import check_parameters, choice, each, integer, number

METHODS = ("auto", *candidates.METHODS)
_ME = "FewLabelClassifier"


class FewLabelClassifier(ClassifierMixin, BaseEstimator):
    """Learn from a few labels and many unlabeled rows, and keep what cross-fitting favors.

    Candidates are logistic regression on the given labels (the supervised baseline), label
    spreading over a nearest-neighbor graph, logistic regression on the labels and the graph's
    confident ones, and the mean of graph and baseline in log-probability. All choices between
    settings and candidates, and the calibration, rest on cross-fitted predictions of the labeled
    rows. A row has one label, or any number of them: then ``y`` is a table, and entries that are
    unknown neither teach nor test.

    Parameters
    ----------
    method : {"auto", "graph", "blend", "propagated", "supervised"}
        ``"auto"`` chooses among all candidates, always the baseline among them.
    n_neighbors : int
        Neighbors of each row in the graph.
    alphas : tuple of float
        How much a row takes from its neighbors: the values to choose from.
    random_state : int, RandomState or None
        Seed of the folds and of the neighbor search.

    Attributes
    ----------
    task_ : Task
        One label a row, or several.
    classes_ : ndarray of shape (n_classes,)
        Classes; of a table the numbers of its columns.
    method_ : str
        The chosen candidate.
    choice_ : Choice or None
        Every candidate with its cross-fitted accuracy (or exact match), and why it was chosen or
        not; None where too few rows are labeled to cross-fit.
    settings_ : dict
        The chosen ``alpha``, ``class_prior`` and penalty ``C``.
    calibration_ : Temperature or Scaling
        Calibrates probabilities; fitted on cross-fitted predictions.
    folds_ : LabelFolds or None
        The folds; None where too few rows are labeled to cross-fit.
    oof_proba_ : ndarray of shape (n_labeled, n_classes)
        Uncalibrated predictions of each labeled row without its own fold.
    cross_fitted_ : ndarray of shape (n_labeled, n_classes)
        The same, calibrated.
    supervised_oof_proba_, supervised_cross_fitted_ : ndarray of shape (n_labeled, n_classes)
        Those of the supervised baseline.
    proba_ : ndarray of shape (n, n_classes)
        Uncalibrated probabilities of the rows seen in ``fit``.
    label_distributions_ : ndarray of shape (n, n_classes)
        The same, calibrated, and certain where a label is given.
    propagated_ : ndarray of shape (n, n_classes)
        The graph's probabilities, whichever candidate was chosen.
    transduction_ : ndarray of shape (n,) or (n, n_classes)
        Predictions of the rows seen in ``fit``.
    notes_ : list of str
        Of which columns of a table nothing can be learned.
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

    _parameter_constraints = {
        "method": [choice(METHODS)],
        "n_neighbors": [integer(1)],
        "alphas": [each(number(0, 1, closed="neither"))],
    }

    def __init__(
        self,
        *,
        method: str = "auto",
        n_neighbors: int = candidates.NEIGHBORS,
        alphas: tuple[float, ...] = candidates.ALPHAS,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.method = method
        self.n_neighbors = n_neighbors
        self.alphas = alphas
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> FewLabelClassifier:
        """Learn from labeled and unlabeled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : array-like of shape (n,) or (n, K)
            Labels, -1 where unlabeled; or a table of 1 (present), 0 (absent) and -1 (unknown).
        groups : array-like of shape (n,), optional
            The same number for exact duplicates, which then share a fold.

        Returns
        -------
        FewLabelClassifier
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, fewer than two classes are labeled, or nothing is.

        Warns
        -----
        UserWarning
            If a column of a table is always absent or never known; it is named.
        """
        check_parameters(self)
        X, y = self._check(X, y)
        task = self.task_ = task_of(y)
        self.classes_, codes = task.encode(y, len(X), _ME)
        if task.exclusive and len(self.classes_) < 2:
            raise UsageError(
                f"{_ME} needs labels of at least two classes. Got 1 class instead: "
                f"{self.classes_[0]!s}."
            )
        if self.method != "auto" and self.method not in candidates._names(task):
            raise UsageError(
                f"The 'method' parameter of {_ME} must be one of "
                f"{', '.join(('auto', *candidates._names(task)))} where a row may have several "
                f"labels. Got {self.method!r} instead."
            )
        self.notes_ = task.unlearnable(codes, self.classes_.tolist())
        warn_of_unlearnable(self.notes_, _ME)
        if groups is not None:
            check_consistent_length(X, groups)
        rng = as_generator(self.random_state)
        seed = int(rng.integers(2**31))
        self.folds_ = _deal(codes, groups, rng)
        shared = _SharedFit(
            task, X, codes, len(self.classes_), self.folds_, seed, n_neighbors=int(self.n_neighbors)
        )
        names = candidates._names(task) if self.method == "auto" else ("supervised", self.method)
        alphas = tuple(float(alpha) for alpha in self.alphas)
        self._choose(shared.fit(tuple(dict.fromkeys(names)), alphas), codes, names)
        self._finish(shared, codes, X)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict calibrated probabilities.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Float64; rows that sum to 1, or of a table each column by itself.
        """
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.calibration_.apply(self._predictor.predict_proba(X, self.method_))

    def supervised_proba(self, X: Any) -> np.ndarray:
        """Predict uncalibrated probabilities by the supervised baseline.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Float64.
        """
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._predictor.predict_proba(X, "supervised")

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes, or which labels are present.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m,) or (m, n_classes)
            Classes; or a table, int64, of 1 where the probability is at least one half, else 0.
        """
        proba = self.predict_proba(X)
        return self.task_.decode(self.task_.predict(proba), self.classes_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, or of a table the exact match of what is known.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Features.
        y : array-like of shape (m,) or (m, n_classes)
            Classes; or 1 present, 0 absent, -1 unknown.
        sample_weight : array-like of shape (m,), optional
            Weight of each row.

        Returns
        -------
        float
            From 0 to 1.
        """
        if self.task_.exclusive:
            return float(super().score(X, y, sample_weight))
        _, table = self.task_.encode(y, len(np.asarray(y)), _ME)
        rows = self.task_.labeled(table)
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        correct = self.task_.correct(table, self.predict_proba(X))[rows]
        return float(np.average(correct, weights=weights))

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting needs, for `fewlabel.persist.save_bundle`.

        Returns
        -------
        arrays : dict of str to ndarray
            A linear model, and for the graph its rows and their probabilities.
        meta : dict
            Task, method, classes and calibration, as JSON types.
        """
        arrays, meta = self._predictor.to_state(self.method_)
        return arrays, meta | {
            "classes": self.classes_.tolist(),
            "calibration": self.calibration_.to_dict(),
            "n_features": int(self.n_features_in_),
        }

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> FewLabelClassifier:
        """Return a classifier that predicts as the saved one did.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        FewLabelClassifier
            A classifier for ``predict`` and ``predict_proba``.

        Raises
        ------
        ModelFormatError
            If something is missing or does not fit together.
        """
        predictor = _Predictor.from_state(arrays, meta)
        try:
            model = cls(method=meta["method"], n_neighbors=meta.get("n_neighbors", 1))
            model.task_ = predictor.task
            model.classes_ = np.array(meta["classes"])
            model.calibration_ = predictor.task.calibration(meta["calibration"])
            model.n_features_in_ = int(meta["n_features"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFormatError(
                f"The saved classifier lacks {error}: the model is damaged; fit again, or copy "
                "it anew."
            ) from error
        shape = (model.n_features_in_, len(model.classes_))
        found = [linear.coef.shape for linear in predictor.linear.values()]
        if predictor.graph is not None and predictor.probabilities is not None:
            found.append((predictor.graph.rows.shape[1], predictor.probabilities.shape[1]))
        candidates._check_fit(set(found) == {shape})
        model._predictor = predictor
        model.method_ = meta["method"]
        return model

    def fitted(self, extractor: Any) -> Fitted:
        """Return the chosen candidate, as the search and the saved model take it.

        Parameters
        ----------
        extractor : object
            What turns images into such rows.

        Returns
        -------
        Fitted
            The candidate.
        """
        return self._fitted(self.method_, self.proba_, self.oof_proba_, extractor)

    def supervised(self, X: np.ndarray, extractor: Any) -> Fitted:
        """Return the supervised baseline in the same form.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            The rows seen in ``fit``.
        extractor : object
            What turns images into such rows.

        Returns
        -------
        Fitted
            The candidate.
        """
        oof = self.supervised_oof_proba_
        return self._fitted("supervised", self.supervised_proba(X), oof, extractor)

    def _fitted(
        self, name: str, proba: np.ndarray, oof_proba: np.ndarray, extractor: Any
    ) -> Fitted:
        return candidates._SharedFitted(
            self._predictor,
            name,
            proba=proba,
            tested=np.empty(0, np.int64) if self.folds_ is None else self.folds_.labeled,
            oof_proba=oof_proba,
            extractor=extractor,
            settings=dict(self.settings_),
        )

    def _check(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and labels; one column that is no table of 1, 0 and -1 holds classes."""
        given = np.asarray(y)
        if given.ndim == 2 and given.shape[1] == 1 and not np.isin(given, (-1, 0, 1)).all():
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected.",
                DataConversionWarning,
                stacklevel=3,
            )
            y = given = given.ravel()
        if given.ndim == 2:
            return validate_data(self, X, dtype=np.float32), given
        X, y = validate_data(self, X, y, dtype=np.float32)
        return X, y

    def _choose(self, shared: _SharedFit, codes: np.ndarray, names: Iterable[str]) -> None:
        """Choose a candidate and its calibration by the cross-fitted predictions."""
        task, folds = self.task_, self.folds_
        self.choice_, self.calibration_ = None, task.calibration()
        self.method_ = self.method if self.method != "auto" else "supervised"
        none = np.empty((0, len(self.classes_)))
        self.oof_proba_ = self.supervised_oof_proba_ = none
        self.cross_fitted_ = self.supervised_cross_fitted_ = none
        if folds is None:
            return
        y, seen = codes[folds.labeled], ~folds.unseen
        # Where calibration changes what is predicted, each fold is calibrated on the others.
        fold = None if task.exclusive else folds.number
        self.choice_ = choose_candidate(
            task,
            y,
            {name: shared.oof[name] for name in names},
            prefer=candidates._preferred_methods(task, len(y) / len(self.classes_)),
            n_se=_CHOICE_ERRORS if task.has_preferences else 1.0,
            unseen=folds.unseen,
            fold=fold,
            asked=None if self.method == "auto" else self.method,
        )
        self.method_ = self.choice_.name
        self.oof_proba_ = shared.oof[self.method_]
        self.supervised_oof_proba_ = shared.oof["supervised"]
        if not seen.any() and not task.exclusive:
            seen[:] = True
        if seen.any():
            self.calibration_ = task.calibrate(*task.check(y[seen], self.oof_proba_[seen]))
        if fold is None:
            self.cross_fitted_ = self.calibration_.apply(self.oof_proba_)
            self.supervised_cross_fitted_ = self.supervised_oof_proba_
        else:
            self.cross_fitted_ = calibrate_apart(task, y, self.oof_proba_, fold, folds.unseen)
            self.supervised_cross_fitted_ = calibrate_apart(
                task, y, self.supervised_oof_proba_, fold, folds.unseen
            )

    def _finish(self, shared: _SharedFit, codes: np.ndarray, X: np.ndarray) -> None:
        self._predictor = shared.predictor
        # For the learning curve.
        self._shared = shared
        if self.method_ != "propagated":
            shared.scores = None
        self.settings_ = shared.settings
        self.propagated_ = shared.propagated
        self.proba_ = shared.predictor.transduce(X, self.method_)
        calibrated = self.calibration_.apply(self.proba_)
        self.label_distributions_ = self.task_.keep_given(calibrated, codes)
        predicted = self.task_.predict(self.label_distributions_)
        self.transduction_ = self.task_.decode(predicted, self.classes_)


def _deal(codes: np.ndarray, groups: Any, rng: np.random.Generator) -> LabelFolds | None:
    """Return folds of the labeled rows; None where one distinct row is all there is."""
    task = task_of(codes)
    labeled = task.labeled(codes)
    distinct = len(labeled) if groups is None else len(np.unique(np.asarray(groups)[labeled]))
    return label_folds(task, codes, groups, None, rng) if distinct >= 2 else None


def deal_folds(y: np.ndarray, groups: Any, random_state: Any) -> LabelFolds | None:
    """Return the folds that `FewLabelClassifier` deals with a seed.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, K)
        Labels as codes; -1 where nothing is known.
    groups : array-like of shape (n,), optional
        The same number for exact duplicates.
    random_state : int, RandomState or None
        Seed.

    Returns
    -------
    LabelFolds or None
        Folds; None where too few rows are labeled to cross-fit.
    """
    rng = as_generator(random_state)
    rng.integers(2**31)  # The seed of the neighbor search.
    return _deal(y, groups, rng)
