"""The candidates that cross-fitting chooses between, fitted and cross-fitted together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewlabel.evaluate import LabelFolds, choose_candidate, cross_fit
from fewlabel.graph.fold_scores import FoldScores, LabelScores
from fewlabel.graph.graph_model import GraphModel
from fewlabel.graph.linear_model import PENALTIES, LinearModel, confident_targets
from fewlabel.graph.propagation import CLASS_PRIORS

_STUDENT_SHARE = 0.5
_STUDENT_MOST = 8_000
_FEW_A_CLASS = 20
_SETTING_ERRORS = 2.0
"""Six settings are compared: by luck alone one of them is often a standard error ahead."""


@dataclass
class Predictor:
    """What predicts: the graph with its probabilities, and the two linear models.

    Attributes
    ----------
    graph : GraphModel or None
        The neighbor search over the rows seen in ``fit``.
    probabilities : ndarray of shape (n, K) or None
        Class probabilities of those rows by the graph.
    linear : dict of str to LinearModel
        ``"supervised"`` and ``"student"``.
    """

    graph: GraphModel | None
    probabilities: np.ndarray | None
    linear: dict[str, LinearModel]

    def predict_proba(self, X: np.ndarray, method: str) -> np.ndarray:
        """Predict new rows by one candidate.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Features.
        method : str
            Name of the candidate.

        Returns
        -------
        ndarray of shape (m, K)
            Class probabilities, not calibrated.
        """
        if method in self.linear:
            return self.linear[method].predict_proba(X)
        assert self.graph is not None
        assert self.probabilities is not None
        return self._with_graph(X, method, self.graph.predict(X, self.probabilities))

    def transduce(self, X: np.ndarray, method: str) -> np.ndarray:
        """Predict the rows seen in ``fit``, which stand in the graph themselves.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Features of those rows.
        method : str
            Name of the candidate.

        Returns
        -------
        ndarray of shape (n, K)
            Class probabilities, not calibrated.
        """
        if method in self.linear:
            return self.linear[method].predict_proba(X)
        assert self.probabilities is not None
        return self._with_graph(X, method, self.probabilities)

    def _with_graph(self, X: np.ndarray, method: str, by_graph: np.ndarray) -> np.ndarray:
        if method == "graph":
            return by_graph
        return blend(by_graph, self.linear["supervised"].predict_proba(X))


@dataclass
class Fitted:
    """The outcome of fitting the candidates.

    Attributes
    ----------
    predictor : Predictor
        Models fitted on all labels.
    cross_fitted : dict of str to ndarray of shape (n_labeled, K)
        Cross-fitted probabilities of each candidate.
    propagated : ndarray of shape (n, K)
        The graph's probabilities of all rows.
    settings : dict
        Chosen settings.
    scores : FoldScores
        The spread that ``propagated`` comes from, by fold.
    label_scores : dict of float to LabelScores
        By ``alpha``, the spread at the labelled images.
    """

    predictor: Predictor
    cross_fitted: dict[str, np.ndarray]
    propagated: np.ndarray
    settings: dict[str, Any]
    scores: FoldScores
    label_scores: dict[float, LabelScores]


class Candidates:
    """Fits the candidates on all labels, and cross-fits them.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    codes : ndarray of shape (n,)
        Classes, -1 where unlabelled.
    n_classes : int
        Number of classes.
    graph : GraphModel
        The neighbor graph of ``X``.
    folds : LabelFolds or None
        Folds of the labelled rows; None skips all cross-fitting.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("graph", "blend", "student", "supervised")

    def __init__(
        self,
        X: np.ndarray,
        codes: np.ndarray,
        n_classes: int,
        graph: GraphModel,
        folds: LabelFolds | None,
    ) -> None:
        self.X = X
        self.codes = codes
        self.n_classes = n_classes
        self.graph = graph
        self.folds = folds
        self.settings: dict[str, Any] = {}
        self.label_scores: dict[float, LabelScores] = {}

    def fit(self, names: tuple[str, ...], alphas: tuple[float, ...]) -> Fitted:
        """Fit the named candidates.

        Parameters
        ----------
        names : tuple of str
            Which; ``"supervised"`` is always fitted.
        alphas : tuple of float
            Values of ``alpha`` to choose from.

        Returns
        -------
        Fitted
            Models and cross-fitted predictions.
        """
        scores = self._spread(alphas)
        propagated = scores.full(self.settings["class_prior"])
        linear, cross_fitted = {}, {}
        linear["supervised"], cross_fitted["supervised"] = self._supervised()
        if self.folds is not None:
            cross_fitted["graph"] = scores.cross_fitted(self.settings["class_prior"])
            cross_fitted["blend"] = blend(cross_fitted["graph"], cross_fitted["supervised"])
        if "student" in names:
            linear["student"], cross_fitted["student"] = self._student(scores, propagated)
        kept = {name: cross_fitted[name] for name in names if name in cross_fitted}
        predictor = Predictor(self.graph, propagated, linear)
        return Fitted(predictor, kept, propagated, self.settings, scores, self.label_scores)

    def _spread(self, alphas: tuple[float, ...]) -> FoldScores:
        """Spread the labels with the ``alpha`` and the prior that cross-fitting favours."""
        folds = self.folds
        if folds is None:
            return self._spread_as_one_fold(alphas[0])
        names: dict[str, tuple[float, str]] = {}
        cross_fitted: dict[str, np.ndarray] = {}
        y_true = self.codes[folds.labeled]
        prefer = preferred_spread(len(y_true) / self.n_classes, alphas)
        # Only the best spread so far is kept: each holds n × folds × K numbers.
        kept: tuple[float, FoldScores] | None = None
        for alpha in alphas:
            scores = self.graph.solve(self.codes, folds, self.n_classes, alpha)
            self.label_scores[float(alpha)] = scores.at_labels
            for prior in CLASS_PRIORS:
                names[setting_name(alpha, prior)] = alpha, prior
                cross_fitted[setting_name(alpha, prior)] = scores.cross_fitted(prior)
            choice = choose_candidate(
                cross_fitted, y_true, prefer=prefer, n_se=_SETTING_ERRORS, unseen=folds.unseen
            )
            chosen, prior = names[choice.name]
            if chosen == alpha:
                kept = alpha, scores
        self.settings |= {"alpha": float(chosen), "class_prior": prior}
        if kept is not None and kept[0] == chosen:
            return kept[1]
        # A later value has brought back an earlier one that had been dropped.
        return self.graph.solve(self.codes, folds, self.n_classes, chosen)

    def _spread_as_one_fold(self, alpha: float) -> FoldScores:
        labeled = np.flatnonzero(self.codes >= 0)
        unseen = np.zeros(len(labeled), dtype=bool)
        folds = LabelFolds(((labeled[:0], labeled),), labeled, unseen, ())
        self.settings |= {"alpha": float(alpha), "class_prior": CLASS_PRIORS[0]}
        return self.graph.solve(self.codes, folds, self.n_classes, alpha)

    def _supervised(self) -> tuple[LinearModel, np.ndarray]:
        labeled = np.flatnonzero(self.codes >= 0)
        if self.folds is None:
            model = LinearModel.fit(self.X[labeled], self.codes[labeled], self.n_classes, C=1.0)
            return model, np.empty((0, self.n_classes))
        by_penalty = {f"{C:g}": self._cross_fit_linear(C) for C in PENALTIES}
        choice = choose_candidate(
            by_penalty, self.codes[self.folds.labeled], unseen=self.folds.unseen
        )
        self.settings["C"] = float(choice.name)
        model = LinearModel.fit(
            self.X[labeled], self.codes[labeled], self.n_classes, C=self.settings["C"]
        )
        return model, by_penalty[choice.name]

    def _cross_fit_linear(self, C: float) -> np.ndarray:
        def predict(train: np.ndarray, held: np.ndarray) -> np.ndarray:
            model = LinearModel.fit(self.X[train], self.codes[train], self.n_classes, C=C)
            return model.predict_proba(self.X[held])

        assert self.folds is not None
        return cross_fit(predict, self.codes, self.folds)

    def _student(
        self, scores: FoldScores, propagated: np.ndarray
    ) -> tuple[LinearModel, np.ndarray]:
        prior = self.settings["class_prior"]
        if self.folds is None:
            return self._train_student(propagated, self.codes), np.empty((0, self.n_classes))

        def predict(train: np.ndarray, held: np.ndarray) -> np.ndarray:
            codes = np.full_like(self.codes, -1)
            codes[train] = self.codes[train]
            number = int(scores.fold_of[held[0]])
            model = self._train_student(scores.without(number, prior), codes)
            return model.predict_proba(self.X[held])

        cross_fitted = cross_fit(predict, self.codes, self.folds)
        return self._train_student(propagated, self.codes), cross_fitted

    def _train_student(self, proba: np.ndarray, codes: np.ndarray) -> LinearModel:
        rows, targets, weights = confident_targets(
            proba, codes, share=_STUDENT_SHARE, most=_STUDENT_MOST
        )
        return LinearModel.fit(
            self.X[rows], targets, self.n_classes, C=PENALTIES[0], sample_weight=weights
        )


def preferred_methods(labels_per_class: float) -> tuple[str, ...]:
    """Order the candidates by what is known beforehand.

    With few labels a class the graph does best, since the baseline hardly has anything to
    learn from; with more the two together do. See docs/decisions/0005.

    Parameters
    ----------
    labels_per_class : float
        Mean number of labels a class.

    Returns
    -------
    tuple of str
        Names, best first.

    Examples
    --------
    >>> preferred_methods(2)[0], preferred_methods(50)[0]
    ('graph', 'blend')
    """
    if labels_per_class <= _FEW_A_CLASS:
        return ("graph", "blend", "student", "supervised")
    return ("blend", "graph", "student", "supervised")


def preferred_spread(labels_per_class: float, alphas: tuple[float, ...]) -> tuple[str, ...]:
    """Order the settings of the spread by what is known beforehand.

    The fewer labels, the farther each must reach, and the nearer to 1 ``alpha`` has to be.

    Parameters
    ----------
    labels_per_class : float
        Mean number of labels a class.
    alphas : tuple of float
        Values to choose from.

    Returns
    -------
    tuple of str
        Names as in ``Candidates``: ``"ALPHA PRIOR"``, best first.

    Examples
    --------
    >>> preferred_spread(2, (0.9, 0.97, 0.99))[0]
    '0.99 uniform'
    """
    wanted = 0.99 if labels_per_class <= 5 else 0.97 if labels_per_class <= _FEW_A_CLASS else 0.9
    by_nearness = sorted(alphas, key=lambda alpha: abs(np.log((1 - alpha) / (1 - wanted))))
    return tuple(setting_name(alpha, prior) for prior in CLASS_PRIORS for alpha in by_nearness)


def setting_name(alpha: float, prior: str) -> str:
    """Name a setting of the spread.

    Parameters
    ----------
    alpha : float
        How much a row takes from its neighbors.
    prior : str
        What class-mass normalisation aims at.

    Returns
    -------
    str
        ``"ALPHA PRIOR"``.

    Examples
    --------
    >>> setting_name(0.99, "uniform")
    '0.99 uniform'
    """
    return f"{float(alpha)} {prior}"


def blend(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Geometric mean of two predictions, scaled to sum to 1.

    Parameters
    ----------
    a : ndarray of shape (n, K)
        Class probabilities.
    b : ndarray of shape (n, K)
        Class probabilities.

    Returns
    -------
    ndarray of shape (n, K)
        Rows that sum to 1.

    Examples
    --------
    >>> blend(np.array([[0.8, 0.2]]), np.array([[0.2, 0.8]])).tolist()
    [[0.5, 0.5]]
    """
    floor = 1e-6
    mean = np.sqrt(np.maximum(a, floor) * np.maximum(b, floor))
    return mean / mean.sum(axis=1, keepdims=True)
