"""The ledger of pseudo-labels: what was assumed, when, and when it was taken back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

HELD = -1
"""``revoked`` of a pseudo-label that holds to the end."""


@dataclass
class PseudoLabelLedger:
    """Every pseudo-label of a run; each round judges all of them again.

    Attributes
    ----------
    row, label, round, revoked : list of int
        Row number, class number, round of acceptance, and round of revocation or -1.
    confidence : list of float
        Probability of the class when it was accepted.

    Examples
    --------
    >>> ledger = PseudoLabelLedger(n_rows=3)
    >>> ledger.judge(1, np.array([0, 2]), np.array([1, 0]), np.array([0.9, 0.8]))
    (2, 0)
    >>> ledger.judge(2, np.array([0]), np.array([1]), np.array([0.95]))
    (0, 1)
    >>> ledger.revoked
    [-1, 2]
    """

    n_rows: int
    row: list[int] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._entry_of = np.full(self.n_rows, -1, dtype=np.int64)

    def judge(
        self, number: int, rows: np.ndarray, labels: np.ndarray, confidence: np.ndarray
    ) -> tuple[int, int]:
        """Enter the pseudo-labels of a round, and revoke those that hold no longer.

        Parameters
        ----------
        number : int
            Number of the round, from 1.
        rows : ndarray of shape (m,), int64
            Accepted rows.
        labels : ndarray of shape (m,), int64
            Their classes.
        confidence : ndarray of shape (m,)
            Probability of each class.

        Returns
        -------
        accepted : int
            New entries.
        revoked : int
            Entries that are taken back: no longer accepted, or of another class now.
        """
        now = np.full(self.n_rows, -1, dtype=np.int64)
        now[rows] = labels
        standing = np.flatnonzero(self._entry_of >= 0)
        entered = np.array(
            [self.label[entry] for entry in self._entry_of[standing].tolist()], dtype=np.int64
        )
        fallen = standing[now[standing] != entered]
        for entry in self._entry_of[fallen].tolist():
            self.revoked[entry] = number
        self._entry_of[fallen] = -1
        fresh = self._entry_of[rows] < 0
        start = len(self.row)
        self.row += rows[fresh].tolist()
        self.label += labels[fresh].tolist()
        self.confidence += confidence[fresh].tolist()
        self.round += [number] * int(fresh.sum())
        self.revoked += [HELD] * int(fresh.sum())
        self._entry_of[rows[fresh]] = np.arange(start, len(self.row))
        return int(fresh.sum()), len(fallen)

    def __len__(self) -> int:
        return len(self.row)

    def columns(self) -> dict[str, np.ndarray]:
        """Give the ledger as arrays, one entry a place.

        Returns
        -------
        dict of str to ndarray
            ``row, label, confidence, round, revoked``.
        """
        return {
            "row": np.array(self.row, dtype=np.int64),
            "label": np.array(self.label, dtype=np.int64),
            "confidence": np.array(self.confidence, dtype=np.float64),
            "round": np.array(self.round, dtype=np.int64),
            "revoked": np.array(self.revoked, dtype=np.int64),
        }
