"""One label an image, and several: the two tasks."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, log_softmax, softmax

from fewlabel.data.calibration import PROBABILITY_FLOOR, Scaling, Temperature, _log_odds
from fewlabel.data.checks import _check_codes, _check_proba, _check_table, _unlearnable_labels
from fewlabel.data.label_texts import (
    BAR,
    UNKNOWN,
    _barred_texts,
    _class_codes,
    _label_table,
    _label_texts,
    _names_in,
    _names_text,
)
from fewlabel.data.missing import _warn_of_no_absence
from fewlabel.data.targets import _column, _encode_labels, _one_hot, _recode
from fewlabel.data.task_functions import Task, Votes
from fewlabel.errors import LabelError, UsageError

__all__ = ["TASKS", "MultiLabel", "SingleLabel", "Task", "Votes", "task_of"]

_EPSILON = 1e-12
# Fraction of the evidence that usually arrives that the frequency of a label weighs.
_FEW = 0.02
# A label that is never present, or always, may still be otherwise elsewhere.
_MIN_FRACTION = 0.01


class SingleLabel(Task):
    """Every image has exactly one label."""

    name = "single-label"
    metric = "accuracy"
    exclusive = has_preferences = True
    min_classes = 2
    class_priors = ("uniform", "labels")
    _calibration = Temperature

    def encode(self, y: Any, n: int, who: str) -> tuple[np.ndarray, np.ndarray]:
        return _encode_labels(_column(y, n, who), who)

    def recode(self, y: Any, classes: np.ndarray, n: int, who: str) -> np.ndarray:
        return _recode(_column(y, n, who), classes)

    def decode(self, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return np.asarray(classes[y])

    def empty(self, n: int, n_classes: int) -> np.ndarray:
        return np.full(n, -1, dtype=np.int64)

    def evidence(self, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
        return _one_hot(y, n_classes), np.repeat((np.asarray(y) >= 0)[:, None], n_classes, axis=1)

    def stratify(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(y, dtype=np.int64)

    def codes(self, y: np.ndarray) -> np.ndarray | None:
        return np.asarray(y, dtype=np.int64)

    def parse(
        self, texts: Sequence[str], where: Sequence[str], classes: Sequence[str] | None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        return _class_codes(texts, where, classes)

    def texts(self, y: np.ndarray, classes: Sequence[str]) -> list[str]:
        return [str(classes[code]) if code >= 0 else "" for code in y.tolist()]

    def cell(self, names: tuple[str, ...]) -> str:
        return names[0]

    def names(self, text: str) -> tuple[str, ...]:
        # The name of a folder may hold a bar.
        return (text,)

    def check_names(self, names: tuple[str, ...]) -> None:
        if len(names) != 1:
            raise UsageError(f"An image has one label here. Got {len(names)} instead.")

    def vote(
        self, votes: Collection[tuple[str, ...]], given: Sequence[tuple[str, ...]]
    ) -> Iterable[str]:
        return max(reversed(given), key=Counter(votes).__getitem__)

    def decisions(
        self, votes: Votes, proba: np.ndarray | None = None, classes: Sequence[str] = ()
    ) -> Iterator[tuple[Votes, np.ndarray | None, Sequence[str]]]:
        yield votes, proba, classes

    def confusion(self, present: np.ndarray, decided: np.ndarray) -> np.ndarray:
        return np.asarray(present.T.astype(np.int64) @ decided.astype(np.int64))

    def seeds(self, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray, int]:
        rows = self.labeled(y)
        return rows, y[rows], n_classes

    def prior(self, y: np.ndarray, n_classes: int, class_prior: str) -> np.ndarray:
        counts = np.bincount(y[y >= 0], minlength=n_classes).astype(float)
        shares = counts if class_prior == "labels" else (counts > 0).astype(float)
        return np.asarray(shares / shares.sum())

    def normalize(
        self, scores: np.ndarray, mass: np.ndarray, usual: np.ndarray | None, prior: np.ndarray
    ) -> np.ndarray:
        # Class-mass normalization (Zhu et al. 2003); what no label reached is the prior.
        factor = np.where(mass > 0, prior / np.maximum(mass, 1e-300), 0)
        scaled = np.asarray(scores * factor)
        total = scaled.sum(axis=1)
        scaled /= np.maximum(total, 1e-300)[:, None]
        scaled[total <= 0] = prior
        return scaled

    def rescale(self, proba: np.ndarray) -> np.ndarray:
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))

    def logistic_loss(
        self, logits: np.ndarray, targets: np.ndarray, weights: Any, known: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        logs, mass = log_softmax(logits, axis=1), targets.sum(axis=1, keepdims=True)
        residual = weights * (np.exp(logs) * mass - targets)
        return -float((weights * targets * logs).sum()), np.asarray(residual)

    def activate(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(softmax(np.asarray(logits, dtype=np.float64), axis=1))

    def predict(self, proba: np.ndarray) -> np.ndarray:
        return np.asarray(proba).argmax(axis=1)

    def confidence(self, proba: np.ndarray) -> np.ndarray:
        return np.asarray(proba.max(axis=1))

    def margin(self, proba: np.ndarray) -> np.ndarray:
        top = np.sort(np.column_stack([np.zeros(len(proba)), proba]), axis=1)
        return np.asarray(top[:, -1] - top[:, -2])

    def loss(self, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
        chosen = np.asarray(proba, dtype=np.float64)[np.arange(len(y)), y]
        # As scikit-learn's log_loss: a hard zero costs 36 nats, not infinitely much.
        return np.asarray(-np.log(np.maximum(chosen, np.finfo(np.float64).eps)))

    def entropy(self, proba: np.ndarray) -> np.ndarray:
        p = np.clip(proba, _EPSILON, 1)
        return np.asarray(-(p * np.log(p)).sum(axis=1))

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        mean = np.maximum(a, PROBABILITY_FLOOR)
        mean *= np.maximum(b, PROBABILITY_FLOOR)
        np.sqrt(mean, out=mean)
        mean /= mean.sum(axis=1, keepdims=True)
        return mean

    def shares(self, y: np.ndarray, n_classes: int) -> np.ndarray:
        counts = np.bincount(y[y >= 0], minlength=n_classes) + 1
        return np.asarray(counts / counts.sum())

    def reweigh(
        self, proba: np.ndarray, old: np.ndarray, new: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        scaled = proba * (new / np.maximum(old, _EPSILON))
        total = np.maximum(scaled.sum(axis=1), _EPSILON)
        return np.asarray(scaled / total[:, None]), np.asarray(total)

    def accept(self, present: np.ndarray, absent: np.ndarray) -> np.ndarray:
        taught = np.asarray(present.any(axis=1))
        return np.repeat(taught[:, None], present.shape[1], axis=1)

    def soft_targets(
        self, proba: np.ndarray, y: np.ndarray, power: float
    ) -> tuple[np.ndarray, np.ndarray]:
        sharp = proba**power
        sharp = self.keep_given(sharp / np.maximum(sharp.sum(axis=1, keepdims=True), _EPSILON), y)
        return sharp, np.repeat(sharp.max(axis=1)[:, None], proba.shape[1], axis=1)

    def keep_given(self, proba: np.ndarray, y: np.ndarray) -> np.ndarray:
        kept, rows = proba.copy(), np.flatnonzero(y >= 0)
        kept[rows] = 0
        kept[rows, y[rows]] = 1
        return kept

    def check(self, y: Any, proba: Any) -> tuple[np.ndarray, np.ndarray]:
        rows = _check_proba(proba)
        return _check_codes(y, "y_true", rows.shape[1]), rows


class MultiLabel(Task):
    """An image may have any number of labels, and single ones may be unknown."""

    name = "multi-label"
    metric = "exact match"
    notes = (
        "An image counts as right only if every known label is right.",
        " The confidence of an image is the probability that all its labels are right, taken one "
        "by one.",
    )
    exclusive = has_preferences = False
    min_classes = 1
    class_priors = ("labels",)
    _calibration = Scaling

    def encode(self, y: Any, n: int, who: str) -> tuple[np.ndarray, np.ndarray]:
        table = _check_table(y, n, who)
        if not (table >= 0).any():
            raise UsageError(f"{who} needs at least one known label: all are -1.")
        _warn_of_no_absence(table, who)
        return np.arange(table.shape[1]), table

    def recode(self, y: Any, classes: np.ndarray, n: int, who: str) -> np.ndarray:
        return _check_table(y, n, who)

    def decode(self, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return y

    def unlearnable(self, y: np.ndarray, classes: Sequence[Any]) -> list[str]:
        return _unlearnable_labels(y, classes)

    def empty(self, n: int, n_classes: int) -> np.ndarray:
        return np.full((n, n_classes), -1, dtype=np.int8)

    def evidence(self, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
        return (y == 1).astype(np.float32), y >= 0

    def stratify(self, y: np.ndarray) -> np.ndarray:
        # The rarest label that each image has; K for none of them.
        weighed = np.where(y == 1, (y == 1).sum(axis=0), len(y) + 1)
        codes = np.where((y == 1).any(axis=1), weighed.argmin(axis=1), y.shape[1])
        return np.where((y >= 0).any(axis=1), codes, -1).astype(np.int64)

    def parse(
        self, texts: Sequence[str], where: Sequence[str], classes: Sequence[str] | None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        return _label_table(texts, where, classes)

    def texts(self, y: np.ndarray, classes: Sequence[str]) -> list[str]:
        return _label_texts(y, classes)

    def cells(self, y: np.ndarray, classes: Sequence[str]) -> list[str]:
        return _barred_texts(self.texts(y, classes))

    def is_known(self, name: str) -> bool:
        return not name.startswith(UNKNOWN)

    def cell(self, names: tuple[str, ...]) -> str:
        return _names_text(names)

    def names(self, text: str) -> tuple[str, ...]:
        return _names_in(text)

    def vote(
        self, votes: Collection[tuple[str, ...]], given: Sequence[tuple[str, ...]]
    ) -> Iterable[str]:
        weight = Counter(name for names in votes for name in names)
        least = len(votes) / 2
        return [n for n, w in weight.items() if w + (n in given[-1]) / 2 > least]

    def decisions(
        self, votes: Votes, proba: np.ndarray | None = None, classes: Sequence[str] = ()
    ) -> Iterator[tuple[Votes, np.ndarray | None, Sequence[str]]]:
        for name in sorted({n for v in votes.values() for names in v.values() for n in names}):
            each = {i: {a: (name * (name in x),) for a, x in v.items()} for i, v in votes.items()}
            sure = None
            if proba is not None and name in classes:
                p = proba[:, list(classes).index(name)]
                sure = np.stack([1 - p, p], axis=1)
            yield each, sure, ("", name)

    def confusion(self, present: np.ndarray, decided: np.ndarray) -> np.ndarray:
        kinds = (present & decided, present & ~decided, ~present & decided)
        return np.stack([kind.sum(axis=0) for kind in kinds], axis=1)

    def seeds(self, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray, int]:
        rows, classes = np.nonzero(y >= 0)
        return rows, classes + n_classes * (y[rows, classes] == 0), 2 * n_classes

    def prior(self, y: np.ndarray, n_classes: int, class_prior: str) -> np.ndarray:
        return np.asarray(((y == 1).sum(axis=0) + 0.5) / ((y >= 0).sum(axis=0) + 2))

    def usual(self, scores: Callable[[], np.ndarray]) -> np.ndarray | None:
        present, absent = np.split(scores(), 2, axis=1)
        return np.asarray(np.median(np.add(present, absent, dtype=np.float64), axis=0))

    def normalize(
        self, scores: np.ndarray, mass: np.ndarray, usual: np.ndarray | None, prior: np.ndarray
    ) -> np.ndarray:
        assert usual is not None
        present, absent = np.split(np.asarray(scores, dtype=np.float64), 2, axis=1)
        # Where next to nothing arrives, how frequent the label is counts instead.
        few = _FEW * usual + _EPSILON
        return np.asarray((present + few * prior) / (present + absent + few))

    def anchor(self, proba: np.ndarray, y: np.ndarray) -> np.ndarray:
        # Presence beside absence is less certain where a label is given than a class is.
        return self.keep_given(proba, y)

    def head_bias(self, targets: np.ndarray, known: np.ndarray | None) -> np.ndarray | None:
        # Labels are rare: a network that starts at one half each spends its first steps on
        # learning that.
        counts = np.ones_like(targets) if known is None else known
        fraction = (targets * counts).sum(axis=0) / np.maximum(counts.sum(axis=0), 1e-6)
        fraction = np.clip(fraction, _MIN_FRACTION, 1 - _MIN_FRACTION)
        return np.asarray(np.log(fraction / (1 - fraction)), dtype=np.float32)

    def logistic_loss(
        self, logits: np.ndarray, targets: np.ndarray, weights: Any, known: np.ndarray | None
    ) -> tuple[float, np.ndarray]:
        counted = weights if known is None else weights * known
        losses = counted * (np.logaddexp(0, logits) - targets * logits)
        return float(losses.sum()), np.asarray(counted * (expit(logits) - targets))

    def activate(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(expit(np.asarray(logits, dtype=np.float64)))

    def predict(self, proba: np.ndarray) -> np.ndarray:
        return (np.asarray(proba) >= 0.5).astype(np.int64)

    def confidence(self, proba: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(proba, 1 - proba).prod(axis=1))

    def margin(self, proba: np.ndarray) -> np.ndarray:
        # The next prediction differs in the least certain label.
        sure = np.maximum(proba, 1 - proba)
        return np.asarray(sure.prod(axis=1) * (1 - ((1 - sure) / sure).max(axis=1)))

    def loss(self, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
        odds = _log_odds(proba)
        return np.asarray(((np.logaddexp(0, odds) - (y == 1) * odds) * (y >= 0)).sum(axis=1))

    def entropy(self, proba: np.ndarray) -> np.ndarray:
        p, q = np.clip(proba, _EPSILON, 1), np.clip(1 - proba, _EPSILON, 1)
        return np.asarray(-(p * np.log(p) + q * np.log(q)).sum(axis=1))

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(expit((_log_odds(a) + _log_odds(b)) / 2))

    def shares(self, y: np.ndarray, n_classes: int) -> np.ndarray:
        return np.asarray(((y == 1).sum(axis=0) + 1) / ((y >= 0).sum(axis=0) + 2))

    def reweigh(
        self, proba: np.ndarray, old: np.ndarray, new: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        old = np.clip(old, _EPSILON, 1 - _EPSILON)
        present, absent = proba * new / old, (1 - proba) * (1 - new) / (1 - old)
        total = np.maximum(present + absent, _EPSILON)
        return np.asarray(present / total), np.asarray(total.prod(axis=1))

    def accept(self, present: np.ndarray, absent: np.ndarray) -> np.ndarray:
        sure = np.asarray(present | absent)
        taught = np.asarray(present.any(axis=1) | sure.all(axis=1))
        return np.asarray(sure & taught[:, None])

    def soft_targets(
        self, proba: np.ndarray, y: np.ndarray, power: float
    ) -> tuple[np.ndarray, np.ndarray]:
        present, absent = proba**power, (1 - proba) ** power
        sharp = self.keep_given(present / np.maximum(present + absent, _EPSILON), y)
        return sharp, np.maximum(sharp, 1 - sharp)

    def keep_given(self, proba: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(y >= 0, y, proba).astype(proba.dtype))

    def check(self, y: Any, proba: Any) -> tuple[np.ndarray, np.ndarray]:
        rows = np.asarray(proba, dtype=np.float64)
        table = _check_table(y, len(rows), "y_true").astype(np.int64)
        # Written so that NaN fails it.
        if rows.shape != table.shape or not ((rows >= 0) & (rows <= 1)).all():
            raise UsageError(
                f"The 'proba' parameter must be a table of shape {table.shape} of probabilities, "
                f"from 0 to 1. Got an array of shape {rows.shape} instead, or values beyond."
            )
        return table, rows


TASKS: dict[str, Task] = {task.name: task for task in (SingleLabel(), MultiLabel())}
"""The tasks by the names that files give them."""


def task_of(y: Any, *, as_column: bool = False) -> Task:
    """Return the task that labels are for.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, K)
        Labels.
    as_column : bool
        Whether a single column is one label a row, as it is to scikit-learn.

    Returns
    -------
    Task
        `MultiLabel` for a table, else `SingleLabel`.

    Examples
    --------
    >>> task_of([0, 1, -1]), task_of([[1, 0], [0, -1]]), task_of([[1], [0]], as_column=True)
    (SingleLabel(), MultiLabel(), SingleLabel())
    """
    # `np.ndim` would ask the labels, and not all kinds of them answer.
    shape = np.asarray(y).shape
    is_table = len(shape) == 2 and not (as_column and shape[1] == 1)
    return TASKS[MultiLabel.name if is_table else SingleLabel.name]


def _task_of_texts(
    texts: Sequence[str], names: Sequence[str], where: Sequence[str], task: Task | None
) -> Task:
    """Return the task of texts, or raise if it is not the one that is asked for."""
    # A single bar says that an image may have several labels.
    barred = next((i for i, text in enumerate(texts) if BAR in text), None)
    if barred is not None and task == SingleLabel():
        raise LabelError(
            f"{where[barred]}: {names[barred]} has several labels ({texts[barred]!r}), but there "
            "is one label an image here."
        )
    return task or (SingleLabel() if barred is None else MultiLabel())
