"""Which predictions become pseudo-labels: the rules, each a few lines on arrays.

``proba`` is (n, K), the probabilities of unlabeled rows. The functions take the ``score`` (n, K) of
each label and which labels are ``decided`` (n, K), and return which of those are accepted. For
several labels a row they are called twice: for labels that are present, and with ``1 - proba`` for
those that are absent.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from fewlabel.data.targets import _one_hot
from fewlabel.data.task import Task

SELECTIONS = ("adaptive", "threshold", "top-k", "curriculum")
"""How `AcceptanceRule` selects."""

AGREEMENTS = ("vote", "veto", "margin")
"""How experts agree; see `AgreementRule`."""

_VOTE = 0.5
# A class that is that common among the labels may well be all that is accepted; of a few rows, too.
_NEARLY_ALL, _MARGIN_OF_SHARES = 0.95, 0.2
_MIN_COLLAPSE = 20


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Labels that a round assumes.

    Attributes
    ----------
    rows : ndarray of shape (m,), int64
        Rows.
    targets : ndarray of shape (m, K), float32
        Probability of each label, as a model is to be trained on it.
    mask : ndarray of shape (m, K), bool
        Which of them are assumed; all, for one label a row. It is never a target.
    present : ndarray of shape (m, K), bool
        Labels that are assumed to be present.
    confidence : ndarray of shape (m, K)
        Predicted probability of each label.
    """

    rows: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    present: np.ndarray
    confidence: np.ndarray

    @classmethod
    def _of_classes(
        cls, rows: np.ndarray, codes: np.ndarray, confidence: np.ndarray, n_classes: int
    ) -> Self:
        """Return pseudo-labels of one class a row."""
        targets = _one_hot(codes, n_classes)
        mask = np.ones(targets.shape, dtype=bool)
        return cls(rows, targets, mask, targets > 0, targets * confidence[:, None])

    def at(self, pool: np.ndarray) -> Self:
        """Return the same with row numbers, where rows are positions in a pool."""
        return replace(self, rows=pool[self.rows])

    def _take(self, places: np.ndarray) -> Self:
        """Return some of the rows."""
        return type(self)(*(part[places] for part in vars(self).values()))

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows, classes and confidence of the labels that are assumed to be present."""
        places, labels = np.nonzero(self.present)
        return self.rows[places], labels, self.confidence[places, labels].astype(np.float64)


def _at_least(score: np.ndarray, decided: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """Return the decided labels that reach a threshold, or that of their class."""
    return np.asarray(decided & (score >= threshold))


def _top_k(score: np.ndarray, decided: np.ndarray, k: int) -> np.ndarray:
    """Return the k most confident rows of each class, the earlier one first where equal."""
    accepted = np.zeros(score.shape, dtype=bool)
    for label in range(score.shape[1]):
        rows = np.flatnonzero(decided[:, label])
        order = np.argsort(-score[rows, label], kind="stable")
        accepted[rows[order[:k]], label] = True
    return accepted


def _most_confident(score: np.ndarray, decided: np.ndarray, fraction: float) -> np.ndarray:
    """Return the most confident fraction: a curriculum (Cascante-Bonilla et al. 2021)."""
    confidence = score[decided]
    n = round(fraction * len(confidence))
    if n == 0:
        return np.zeros(score.shape, dtype=bool)
    # A border, so that rows of equal confidence are accepted or left together.
    border = np.partition(confidence, len(confidence) - n)[len(confidence) - n]
    return _at_least(score, decided, border)


def _adaptive(score: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """Return what reaches thresholds that follow the confidence: FreeMatch (Wang et al. 2023)."""
    if not decided.any():
        return decided
    # Classes that get less probability have lower thresholds, and are let in earlier.
    mean = score.mean(axis=0)
    return _at_least(score, decided, score[decided].mean() * mean / mean.max())


@dataclass(frozen=True)
class AcceptanceRule:
    """Which predictions of a model become pseudo-labels, and as what.

    Attributes
    ----------
    selection : {"adaptive", "threshold", "top-k", "curriculum"}
        As in `fewlabel.SelfTraining`.
    threshold : float
        Least confidence for ``"threshold"``.
    k : int
        Rows of each class that a round adds for ``"top-k"``.
    fraction : float
        Fraction that a round adds for ``"curriculum"``.
    soft : bool
        Keep the probabilities as targets, in place of what they decide.
    align : bool
        Align the predictions with the class shares among the labels first.
    """

    selection: str = "adaptive"
    threshold: float = 0.95
    k: int = 20
    fraction: float = 0.2
    soft: bool = False
    align: bool = True

    def accept(self, task: Task, proba: np.ndarray, y: np.ndarray, number: int) -> PseudoLabels:
        """Return the pseudo-labels of a round from 1, whose rows are positions in ``proba``.

        Aligned are the predictions with the class shares among the labels ``y``.
        """
        # Against the collapse into a few classes: Berthelot et al. 2020.
        aligned = task.align(proba, y) if self.align else proba
        decided = task.decided(aligned)
        present = self._select(aligned, decided, number)
        mask = task.accept(present, self._select(1 - aligned, ~decided, number))
        rows = np.flatnonzero(mask.any(axis=1))
        targets = (aligned if self.soft else decided)[rows].astype(np.float32)
        # The ledger holds what the model predicted, not what was made of it.
        return PseudoLabels(rows, targets, mask[rows], (mask & decided)[rows], proba[rows])

    def _select(self, score: np.ndarray, decided: np.ndarray, number: int) -> np.ndarray:
        if self.selection == "threshold":
            return _at_least(score, decided, self.threshold)
        # Each round may add as much again: what it accepts is chosen among all rows anew.
        if self.selection == "top-k":
            return _top_k(score, decided, self.k * number)
        if self.selection == "curriculum":
            return _most_confident(score, decided, min(1.0, self.fraction * number))
        return _adaptive(score, decided)


@dataclass(frozen=True)
class AgreementRule:
    """Which rows binary experts agree on: one votes for its class, and no other does.

    Attributes
    ----------
    name : {"vote", "veto", "margin"}
        ``"veto"``: one expert votes for the row with enough confidence, and no other one votes for
        it at all. ``"vote"``: so, and the multi-class network predicts the same. ``"margin"``: the
        most confident expert is far enough ahead of the next one, whether that votes for it or not.
    threshold : float
        Least confidence of the expert that votes.
    margin : float
        Least lead in confidence, for ``"margin"``.
    """

    name: str = "vote"
    threshold: float = 0.9
    margin: float = 0.5

    def accept(
        self, scores: np.ndarray, proba: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which rows are agreed on, the most confident expert of each, and how much it is.

        ``scores`` are the calibrated probabilities by the experts, ``proba`` those by the
        multi-class network.

        Examples
        --------
        >>> scores = np.array([[0.95, 0.1], [0.95, 0.6], [0.4, 0.3]])
        >>> AgreementRule("veto").accept(scores, scores)[0].tolist()
        [True, False, False]
        """
        codes = scores.argmax(axis=1)
        ranked = np.sort(scores, axis=1)
        # If any other expert votes for a row, the second most confident one does.
        first, second = ranked[:, -1], ranked[:, -2]
        accepted = first >= self.threshold
        if self.name == "margin":
            accepted &= first - second >= self.margin
        else:
            accepted &= second < _VOTE
        if self.name == "vote":
            accepted &= codes == proba.argmax(axis=1)
        return accepted, codes, first


def _has_collapsed(present: np.ndarray, shares: np.ndarray) -> bool:
    """Return whether one class has swallowed nearly all pseudo-labels."""
    counts = present.sum(axis=0)
    if counts.sum() < _MIN_COLLAPSE:
        return False
    largest = int(counts.argmax())
    swallowed = counts[largest] >= _NEARLY_ALL * counts.sum()
    return bool(swallowed and shares[largest] < _NEARLY_ALL - _MARGIN_OF_SHARES)
