"""How well a fitted classifier would do with fewer labels: the points of a learning curve.

The folds of the fit are reused: models are trained on the labels of a few folds and tested on
those of the others. Spreading is linear in the labels, so the graph's predictions are sums of
scores that the fit has computed already; only the linear models are trained anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.evaluate import LabelFolds, choose_candidate
from fewlabel.graph.candidates import blend, preferred_spread, setting_name
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.graph.linear_model import PENALTIES, LinearModel, confident_targets
from fewlabel.graph.propagation import CLASS_PRIORS

_PARTS = 8
"""Leave-one-out folds are dealt into so many parts."""

_MOST_FOLDS = 10
_SIZES = 4
_SETTING_ERRORS = 2.0
_STUDENT_SHARE = 0.5
_STUDENT_MOST = 2_000
"""Students are trained on a quarter of what the fit takes: their number is what costs time."""


@dataclass(frozen=True, eq=False)
class FewerLabels:
    """Predictions of the labelled images by models trained on fewer labels.

    Attributes
    ----------
    n_labeled : ndarray of shape (p,)
        Mean number of labels that the models of each size were trained on, increasing.
    right : ndarray of shape (t, p)
        For each tested image and size, the share of the models that predicted it right; none
        of them saw its label.
    tested : ndarray of shape (t,), int64
        The images.
    """

    n_labeled: np.ndarray
    right: np.ndarray
    tested: np.ndarray


def measure_fewer_labels(classifier: FewLabelClassifier, X: np.ndarray) -> FewerLabels:
    """Train the chosen candidate on growing parts of the labels, and test it on the others.

    The largest size is the cross-fitting of the fit itself. Like the fit, each size takes the
    ``alpha`` that suits its number of labels.

    Parameters
    ----------
    classifier : FewLabelClassifier
        Fitted in this process: a loaded one has no folds.
    X : ndarray of shape (n, d)
        The features it was fitted on.

    Returns
    -------
    FewerLabels
        A learning curve's points, image by image.

    Raises
    ------
    UsageError
        If the classifier was not cross-fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.full(len(y), -1)
    >>> few[:100] = y[:100]
    >>> points = measure_fewer_labels(FewLabelClassifier(random_state=0).fit(X, few), X)
    >>> points.n_labeled.tolist(), points.right.shape
    ([20.0, 40.0, 60.0, 80.0], (100, 4))
    """
    folds: LabelFolds | None = getattr(classifier, "folds_", None)
    if folds is None or not getattr(classifier, "_label_scores", None):
        raise UsageError(
            "A learning curve needs a classifier that was fitted and cross-fitted in this "
            "process: fit it on at least two different labelled images."
        )
    study = _Study(classifier, folds, np.asarray(X, dtype=np.float32))
    n, n_folds = len(study.codes), len(folds.folds)
    sizes, columns = [], []
    for size in study.sizes()[:-1]:
        mean_size, right = study.measure(size)
        sizes.append(mean_size)
        columns.append(right)
    sizes.append(n * (n_folds - 1) / n_folds)
    columns.append((classifier.cross_fitted_.argmax(axis=1) == study.codes).astype(float))
    tested = np.flatnonzero(~folds.unseen)
    return FewerLabels(np.array(sizes), np.stack(columns, axis=1)[tested], folds.labeled[tested])


class _Study:
    """One fitted classifier, retrained on parts of its labels."""

    def __init__(self, classifier: FewLabelClassifier, folds: LabelFolds, X: np.ndarray) -> None:
        self.method = classifier.method_
        self.settings = classifier.settings_
        self.unseen = folds.unseen
        self.labeled = folds.labeled
        self.at_labels = classifier._label_scores
        self.fold_scores = classifier._fold_scores
        first = next(iter(self.at_labels.values()))
        self.codes, self.fold_of = first.codes, first.fold_of
        self.n_classes = first.n_classes
        self.X = X
        self.part_of = self.fold_of
        if len(folds.folds) > _MOST_FOLDS:
            self.part_of = _deal_folds(self.codes, self.fold_of)
        self.n_parts = int(self.part_of.max()) + 1

    def sizes(self) -> list[int]:
        """Numbers of parts to train on, about evenly spaced on a logarithmic scale."""
        steps = np.geomspace(1, self.n_parts - 1, _SIZES)
        return np.unique(np.round(steps).astype(int)).tolist()

    def measure(self, size: int) -> tuple[float, np.ndarray]:
        """Mean number of labels, and the share of right predictions of each labelled image."""
        settings = self._spread_settings(size)
        hits, tests, n_train = np.zeros(len(self.codes)), np.zeros(len(self.codes)), []
        for train, held in self._windows(size):
            proba = self._predict(train, held, settings)
            hits[held] += proba.argmax(axis=1) == self.codes[held]
            tests[held] += 1
            n_train.append(len(train))
        return float(np.mean(n_train)), hits / tests

    def _windows(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Labels to train on and to test on: each part in turn, with those that follow it."""
        starts: list[int] = list(range(self.n_parts))
        if self.method == "student" and 2 * size <= self.n_parts:
            # Two that share no label test every image, and students take long to train.
            starts = [0, self.n_parts // 2]
        for start in starts:
            inside = (self.part_of - start) % self.n_parts < size
            yield np.flatnonzero(inside), np.flatnonzero(~inside)

    def _spread_settings(self, size: int) -> tuple[float, str]:
        """Choose how to spread so few labels, by the rule that the fit goes by."""
        chosen = float(self.settings["alpha"]), str(self.settings["class_prior"])
        if self.method in ("supervised", "student"):
            return chosen
        names = {}
        proba: dict[str, np.ndarray] = {}
        # Each image once, by the first model that did not see it: repeats are no evidence.
        for train, held in list(self._windows(size))[: size + 1][::-1]:
            for alpha, at_labels in self.at_labels.items():
                for prior in CLASS_PRIORS:
                    name = setting_name(alpha, prior)
                    names[name] = alpha, prior
                    out = proba.setdefault(name, np.zeros((len(self.codes), self.n_classes)))
                    out[held] = at_labels.predict(held, np.unique(self.fold_of[train]), prior)
        choice = choose_candidate(
            proba,
            self.codes,
            prefer=preferred_spread(
                size / self.n_parts * len(self.codes) / self.n_classes, tuple(self.at_labels)
            ),
            n_se=_SETTING_ERRORS,
            unseen=self.unseen,
        )
        return names[choice.name]

    def _predict(
        self, train: np.ndarray, held: np.ndarray, settings: tuple[float, str]
    ) -> np.ndarray:
        alpha, prior = settings
        if self.method == "student":
            return self._student(train, prior).predict_proba(self.X[self.labeled[held]])
        folds = np.unique(self.fold_of[train])
        if self.method == "graph":
            return self.at_labels[alpha].predict(held, folds, prior)
        rows = self.labeled[train]
        linear = LinearModel.fit(
            self.X[rows], self.codes[train], self.n_classes, C=self.settings["C"]
        ).predict_proba(self.X[self.labeled[held]])
        if self.method == "supervised":
            return linear
        return blend(self.at_labels[alpha].predict(held, folds, prior), linear)

    def _student(self, train: np.ndarray, prior: str) -> LinearModel:
        assert self.fold_scores is not None
        codes = np.full(len(self.X), -1)
        codes[self.labeled[train]] = self.codes[train]
        propagated = self.fold_scores.from_folds(np.unique(self.fold_of[train]), prior)
        rows, targets, weights = confident_targets(
            propagated, codes, share=_STUDENT_SHARE, most=_STUDENT_MOST
        )
        return LinearModel.fit(
            self.X[rows], targets, self.n_classes, C=PENALTIES[0], sample_weight=weights
        )


def _deal_folds(codes: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Deal many small folds into a few parts, class after class."""
    _, first, fold = np.unique(fold_of, return_index=True, return_inverse=True)
    part = np.empty(len(first), dtype=np.int64)
    part[np.argsort(codes[first], kind="stable")] = np.arange(len(first)) % _PARTS
    return part[fold]
