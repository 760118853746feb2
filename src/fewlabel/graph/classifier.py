"""The main job on features: labels and unlabeled rows in, a calibrated classifier out."""

from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from fewlabel.data.checks import _warn_of_unlearnable
from fewlabel.data.scores import LabelClassifier
from fewlabel.data.task import task_of
from fewlabel.errors import UsageError
from fewlabel.evaluate import BASELINE, Problem, fit_calibration
from fewlabel.evaluate.reliability import _saved_calibration
from fewlabel.graph.candidates import _loaded, _names, _SharedFitted, deal_folds, fit_main
from fewlabel.graph.predictor import METHODS as MAIN_METHODS
from fewlabel.graph.predictor import _Predictor
from fewlabel.graph.shared_fit import ALPHAS, NEIGHBORS
from fewlabel.params import check_parameters, choice, each, integer, number
from fewlabel.persist.schema import (
    _OBJECT,
    _PLAIN,
    Saved,
    State,
    _among,
    _check_fields,
    _Fields,
    _listed,
)

METHODS = ("auto", *MAIN_METHODS)
_ME = "FewLabelClassifier"


@dataclass(eq=False, repr=False)
class FewLabelClassifier(LabelClassifier, Saved, ClassifierMixin, BaseEstimator):
    """Learn from a few labels and many unlabeled rows, and keep what cross-fitting favors.

    Candidates are logistic regression on the given labels (the supervised baseline), label
    spreading over a nearest-neighbor graph, the same once more over edges weighed by a
    discriminant of the spread labels, logistic regression on the labels and the graph's
    confident ones, and the mean of refined graph and baseline in log-probability. All choices
    between settings and candidates, and the calibration, rest on cross-fitted predictions of the
    labeled rows. A row has one label, or any number of them: then ``y`` is a table, and entries
    that are unknown neither teach nor test.

    Parameters
    ----------
    method : {"auto", "graph", "refined", "blend", "propagated", "supervised"}
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
        Classes; of a table the numbers of its columns.
    method_ : str
        The chosen candidate.
    fitted_ : Fitted
        The same, as networks and saved models take it.
    main_ : MainFit
        All candidates as they were compared, for a learning curve.
    choice_ : Choice or None
        Every candidate with its cross-fitted accuracy (or exact match), and why it was chosen or
        not; None where too few rows are labeled to cross-fit.
    settings_ : dict
        The chosen ``alpha``, ``class_prior`` and penalty ``C``, and whether given labels stay as
        they are in the refined graph (``clamp``).
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

    _: KW_ONLY
    method: str = "auto"
    n_neighbors: int = NEIGHBORS
    alphas: tuple[float, ...] = ALPHAS
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "method": [choice(METHODS)],
        "n_neighbors": [integer(1)],
        "alphas": [each(number(0, 1, closed="neither"))],
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> Self:
        """Learn from labeled and unlabeled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : array-like of shape (n,) or (n, K)
            Labels; -1, None, NaN, pandas.NA or blank where unlabeled. Or a table of 1 (present),
            0 (absent) and, where that is unknown, any of these.
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
        X = validate_data(self, X, dtype=np.float32)
        task = self.task_ = task_of(y, as_column=True)
        self.classes_, codes = task.encode(y, len(X), _ME)
        if len(self.classes_) < task.min_classes:
            raise UsageError(
                f"{_ME} needs labels of at least two classes. Got 1 class instead: "
                f"{self.classes_[0]!s}."
            )
        if self.method != "auto" and self.method not in _names(task):
            raise UsageError(
                f"The 'method' parameter of {_ME} must be one of "
                f"{', '.join(('auto', *_names(task)))} where a row may have several "
                f"labels. Got {self.method!r} instead."
            )
        self.notes_ = task.unlearnable(codes, self.classes_.tolist())
        _warn_of_unlearnable(self.notes_, _ME)
        if groups is not None:
            check_consistent_length(X, groups)
            groups = np.asarray(groups)
        # A problem has a number for a seed, from which its folds and its graph are drawn.
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        problem = Problem(
            task,
            images=None,
            extractor=None,
            rows=X,
            y=codes,
            n_classes=len(self.classes_),
            groups=groups,
            folds=deal_folds(codes, groups, int(seed)),
            seed=int(seed),
        )
        alphas = tuple(float(alpha) for alpha in self.alphas)
        self.main_ = fit_main(
            problem, self.method, n_neighbors=int(self.n_neighbors), alphas=alphas
        )
        self._set_results(problem)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict calibrated probabilities."""
        check_is_fitted(self, "method_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.calibration_.apply(self.fitted_.predict_proba(X))

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
        return self._predictor().predict_proba(X, BASELINE)

    def to_state(self) -> State:
        """Return what predicting needs."""
        arrays, meta = self.fitted_.to_state()
        return arrays, meta | {
            "classes": self.classes_.tolist(),
            "calibration": self.calibration_.to_dict(),
            "n_features": int(self.n_features_in_),
        }

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Self:
        """Return a classifier that predicts as the saved one did."""
        predictor = _Predictor.from_state(arrays, meta)
        # A file that was put together of two models would predict, and wrongly.
        n_features, n_classes = predictor.shape
        fields: _Fields = {
            "classes": [_listed(_PLAIN, n_classes, n_classes)],
            "n_features": [_among((n_features,))],
            "calibration": [_OBJECT],
        }
        _check_fields(meta, fields, "classifier")
        model = cls(method=meta["method"], n_neighbors=meta.get("n_neighbors", 1))
        model.task_, model.n_features_in_ = predictor.task, n_features
        model.classes_ = np.array(list(meta["classes"]))
        model.calibration_ = _saved_calibration(model.task_, meta["calibration"], "classifier")
        model.fitted_, model.method_ = _loaded(meta["method"], predictor), meta["method"]
        return model

    def _set_results(self, problem: Problem) -> None:
        """Keep what the fit found under the names that scikit-learn's users look for."""
        task, compared = self.task_, self.main_.comparison
        self.folds_, self.fitted_, self.method_ = problem.folds, compared.kept, compared.kept.name
        self.choice_ = None if problem.folds is None else compared.choice
        self.settings_, self.proba_ = compared.kept.settings, compared.kept.proba
        self.propagated_ = self.main_.propagated
        self.oof_proba_ = compared.oof_proba[self.method_]
        self.supervised_oof_proba_ = compared.oof_proba[BASELINE]
        y, oof_proba = compared.y, self.oof_proba_
        if len(y):
            # Rows that sum to 1 to the last bit, as when the candidates were compared.
            y, oof_proba = task.check(y, oof_proba)
        self.calibration_ = fit_calibration(task, y, oof_proba, compared.unseen)
        self.cross_fitted_ = compared.calibrated(self.method_, self.calibration_)
        self.supervised_cross_fitted_ = compared.calibrated(BASELINE)
        calibrated = self.calibration_.apply(self.proba_)
        self.label_distributions_ = task.keep_given(calibrated, problem.y)
        predicted = task.predict(self.label_distributions_)
        self.transduction_ = task.decode(predicted, self.classes_)

    def _predictor(self) -> _Predictor:
        assert isinstance(self.fitted_, _SharedFitted)
        return self.fitted_.predictor
