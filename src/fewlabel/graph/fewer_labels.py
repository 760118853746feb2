"""How well a fitted classifier would do with fewer labels: the points of a learning curve.

The folds of the fit are reused: models are trained on the labels of a few folds and tested on
those of the others. Spreading is linear in the labels, so the graph's predictions are sums of
scores that the fit has computed already; refined graphs and linear models are fitted anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.graph.candidates import MainFit
from fewlabel.graph.shared_fit import _SETTING_ERRORS, _preferred_spread, _setting_name

# Leave-one-out folds are dealt into so many parts.
_PARTS = 10

_MAX_FOLDS = 10
_SIZES = 4
# A quarter of what the fit takes: the number of rows is what costs time.
_PROPAGATED_MAX = 2_000


@dataclass(frozen=True, eq=False)
class _FewerLabels:
    """Predictions of the labeled images by models trained on fewer labels."""

    n_labeled: np.ndarray  # (p,), the mean number of labels of each size, increasing
    right: np.ndarray  # (t, p), share of the models of a size that are right; none saw it
    tested: np.ndarray  # (t,) int64, the images


def _measure_fewer_labels(main: MainFit) -> _FewerLabels:
    """Train the chosen candidate on growing parts of the labels, and test it on the others."""
    folds, compared = main.shared.folds, main.comparison
    if folds is None:
        raise UsageError(
            "A learning curve needs labels that were cross-fitted: label at least two different "
            "images."
        )
    study = _Study(main)
    n, n_folds = len(study.y), len(folds.folds)
    sizes, columns = [], []
    for size in study.sizes()[:-1]:
        mean_size, right = study.measure(size)
        sizes.append(mean_size)
        columns.append(right)
    # The largest size costs nothing: it is the cross-fitting of the fit.
    sizes.append(n * (n_folds - 1) / n_folds)
    correct = study.task.correct(study.y, compared.calibrated(compared.kept.name))
    columns.append(correct.astype(float))
    tested = np.flatnonzero(~folds.unseen)
    return _FewerLabels(np.array(sizes), np.stack(columns, axis=1)[tested], folds.labeled[tested])


class _Study:
    """One fitted classifier, retrained on parts of its labels."""

    def __init__(self, main: MainFit) -> None:
        shared = main.shared
        assert shared.folds is not None
        self.task = shared.task
        self.method = main.kept.name
        self.calibration = main.comparison.calibration()
        self.shared = shared
        # These learn from propagated labels, anew for each part of them.
        by_refined = ("refined", "blend") if shared.predictor.refined is not None else ()
        self.is_retrained = self.method in ("propagated", *by_refined)
        self.labeled = shared.labeled
        self.y = shared.y[self.labeled]
        self.fold_of = self.part_of = shared.folds.number
        if len(shared.folds.folds) > _MAX_FOLDS:
            self.part_of = _deal_folds(self.task.stratify(self.y), self.fold_of)
        self.n_parts = int(self.part_of.max()) + 1

    def sizes(self) -> list[int]:
        """Return numbers of parts to train on, about evenly spaced on a logarithmic scale."""
        steps = np.geomspace(1, self.n_parts - 1, _SIZES)
        return np.unique(np.round(steps).astype(int)).tolist()

    def measure(self, size: int) -> tuple[float, np.ndarray]:
        """Return the mean number of labels, and how often each labeled image is predicted right."""
        # Like the fit: fewer labels have to reach farther, and want an alpha nearer to 1.
        settings = self._spread_settings(size)
        windows = list(self._windows(size))
        hits, tests = np.zeros(len(self.y)), np.zeros(len(self.y))
        for (train, held), refined in zip(windows, self._refined(windows), strict=True):
            proba = self.calibration.apply(self._predict(train, held, *settings, refined))
            hits[held] += self.task.correct(self.y[held], proba)
            tests[held] += 1
        return float(np.mean([len(train) for train, _ in windows])), hits / tests

    def _windows(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield labels to train on and to test on: each part in turn, with those that follow."""
        starts: list[int] = list(range(self.n_parts))
        if self.is_retrained and 2 * size <= self.n_parts:
            # Two that share no label test every image, and these models take long to train.
            starts = [0, self.n_parts // 2]
        for start in starts:
            inside = (self.part_of - start) % self.n_parts < size
            yield np.flatnonzero(inside), np.flatnonzero(~inside)

    def _spread_settings(self, size: int) -> tuple[float, str]:
        """Return how to spread so few labels, by the rule of the fit."""
        settings: dict[str, Any] = self.shared.settings
        if self.method == "supervised" or self.is_retrained:
            return settings["alpha"], settings["class_prior"]
        names = {}
        proba: dict[str, np.ndarray] = {}
        scores, priors = self.shared.label_scores, self.task.class_priors
        # Each image once, by the first model that did not see it: repeats are no evidence.
        for train, held in list(self._windows(size))[: size + 1][::-1]:
            for alpha, at_labels in scores.items():
                for prior in priors:
                    name = _setting_name(alpha, prior)
                    names[name] = alpha, prior
                    empty = np.zeros((len(self.y), self.shared.n_classes))
                    out = proba.setdefault(name, empty)
                    out[held] = at_labels.predict(held, np.unique(self.fold_of[train]), prior)
        per_class = size / self.n_parts * len(self.y) / self.shared.n_classes
        prefer = _preferred_spread(per_class, tuple(scores), priors)
        return names[self.shared.best(proba, prefer=prefer, n_se=_SETTING_ERRORS)]

    def _refined(self, windows: list[tuple[np.ndarray, np.ndarray]]) -> Sequence[np.ndarray | None]:
        """Return what refined graphs predict in each window; None where there are none."""
        if not self.is_retrained or self.method == "propagated":
            return [None] * len(windows)

        def refine(window: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            train, held = window
            return self.shared.refine(*self._from(train)).probabilities[self.labeled[held]]

        return self.shared.each(windows, refine)

    def _from(self, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return what `_SharedFit.refine` takes, of some of the labels."""
        shared = self.shared
        assert shared.scores is not None
        y = self.task.without(shared.y, np.setdiff1d(self.labeled, self.labeled[train]))
        folds = np.unique(self.fold_of[train])
        proba = shared.scores.from_folds(folds, shared.settings["class_prior"])
        return proba, y, shared.scores.summed(folds)

    def _predict(
        self,
        train: np.ndarray,
        held: np.ndarray,
        alpha: float,
        prior: str,
        refined: np.ndarray | None,
    ) -> np.ndarray:
        if refined is not None:
            return refined if self.method == "refined" else self._blend(refined, train, held)
        folds, shared = np.unique(self.fold_of[train]), self.shared
        if self.is_retrained:
            model = shared.train_propagated(*self._from(train)[:2], _PROPAGATED_MAX)
            return model.predict_proba(shared.X[self.labeled[held]])
        if self.method == "graph":
            return shared.label_scores[alpha].predict(held, folds, prior)
        if self.method == "supervised":
            return shared.rows.predict_held(train, held, shared.settings["C"])
        return self._blend(shared.label_scores[alpha].predict(held, folds, prior), train, held)

    def _blend(self, by_graph: np.ndarray, train: np.ndarray, held: np.ndarray) -> np.ndarray:
        linear = self.shared.rows.predict_held(train, held, self.shared.settings["C"])
        return self.task.combine(by_graph, linear)


def _deal_folds(codes: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Deal many small folds into a few parts, class after class."""
    _, first, fold = np.unique(fold_of, return_index=True, return_inverse=True)
    part = np.empty(len(first), dtype=np.int64)
    # Folds as they are, so that copies stay together; by class, so that each part has some of each.
    part[np.argsort(codes[first], kind="stable")] = np.arange(len(first)) % _PARTS
    return part[fold]
