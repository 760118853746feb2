"""What a run of teachers and students is given, and what it tells of every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data.task import Task


@dataclass(frozen=True, eq=False)
class KnownLabels:
    """The labels of a run, for one or several labels a row.

    Attributes
    ----------
    targets : ndarray of shape (n, K), float32
        1 where a label is present, else 0.
    known : ndarray of shape (n, K), bool
        Where that is known.
    is_multilabel : bool
        Whether a row may have several labels.
    task : Task
        What is right of a prediction.
    """

    targets: np.ndarray
    known: np.ndarray
    is_multilabel: bool
    task: Task

    @property
    def labeled(self) -> np.ndarray:
        """Rows of which a label is known, as an ndarray of shape (m,)."""
        return np.flatnonzero(self.known.any(axis=1))

    def right(self, proba: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Say which rows are predicted right, in every label that is known.

        Parameters
        ----------
        proba : ndarray of shape (m, K)
            What is said of the rows.
        rows : ndarray of shape (m,)
            Rows.

        Returns
        -------
        ndarray of shape (m,), bool
            True where right.
        """
        targets, known = self.targets[rows], self.known[rows]
        decided = self.task.decided(proba)
        return np.asarray(((decided == targets) | ~known).all(axis=1))

    def loss(self, proba: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Give the log loss of each row.

        Parameters
        ----------
        proba : ndarray of shape (m, K)
            What is said of the rows.
        rows : ndarray of shape (m,)
            Rows.

        Returns
        -------
        ndarray of shape (m,)
            In nats.
        """
        held = np.clip(proba.astype(np.float64), 1e-6, 1 - 1e-6)
        targets, known = self.targets[rows], self.known[rows]
        losses = -np.log(held) * targets
        if self.is_multilabel:
            losses = losses - np.log(1 - held) * (1 - targets)
        return np.asarray((losses * known).sum(axis=1))


@dataclass(frozen=True)
class TeacherSettings:
    """How rounds are run.

    Attributes
    ----------
    positive, negative : float, array of shape (K,) or "auto"
        Thresholds.
    precision : float
        What automatic thresholds keep.
    agreement : float
        Least share of the models that say the same.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    labeled_share : float
        Share of a student's sample that is labelled, at least.
    sample : str
        ``"bootstrap"`` or ``"all"``.
    """

    positive: Any
    negative: Any
    precision: float
    agreement: float
    pseudo_weight: float
    labeled_share: float
    sample: str


@dataclass(frozen=True)
class TeacherRound:
    """What a round did.

    Attributes
    ----------
    round : int
        Number of the round; 0 is one network trained on the labels alone.
    teacher : str
        ``"none"``, ``"ensemble"`` or ``"student"``.
    n_accepted : int
        Unlabelled rows that the student was given.
    n_present, n_absent : int
        Pseudo-labels on them: labels believed present, and believed absent.
    n_new, n_revoked : int
        Labels believed present that the round before did not have, and those that were taken
        back.
    mean_confidence : float or None
        Mean probability of the labels believed present.
    accuracy : float or None
        Accuracy on held-out labels after the round: exact match, for several labels a row.
    gain : float or None
        That less the accuracy of the round before.
    outcome : str
        ``"trained"``, ``"nothing believed"`` or ``"collapsed"``.
    seconds : float
        Time of the round.
    """

    round: int
    teacher: str = "none"
    n_accepted: int = 0
    n_present: int = 0
    n_absent: int = 0
    n_new: int = 0
    n_revoked: int = 0
    mean_confidence: float | None = None
    accuracy: float | None = None
    gain: float | None = None
    outcome: str = "trained"
    seconds: float = 0.0
