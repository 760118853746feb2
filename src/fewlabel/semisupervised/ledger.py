"""The ledger of pseudo-labels: what was assumed, when, and when it was taken back."""

from dataclasses import dataclass, field

import numpy as np

HELD = -1
"""``revoked`` of a pseudo-label that holds to the end."""

# Half of an int64 for the row, half for the label.
_SHIFT = 32


@dataclass
class PseudoLabelLedger:
    """Every label that was ever assumed; each round enters all of its own.

    Attributes
    ----------
    row, label, round, revoked : list of int
        Row number, class number, round of acceptance, and round of revocation or -1.
    confidence : list of float
        Probability of the class when it was accepted.

    Examples
    --------
    >>> ledger = PseudoLabelLedger()
    >>> ledger.enter(1, np.array([0, 2]), np.array([1, 0]), np.array([0.9, 0.8]))
    (2, 0)
    >>> ledger.enter(2, np.array([0]), np.array([1]), np.array([0.95]))
    (0, 1)
    >>> ledger.revoked
    [-1, 2]
    """

    row: list[int] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)

    def enter(
        self, number: int, rows: np.ndarray, labels: np.ndarray, confidence: np.ndarray
    ) -> tuple[int, int]:
        """Enter the pseudo-labels of a round, and revoke those that hold no longer.

        Parameters
        ----------
        number : int
            Number of the round, from 1.
        rows : ndarray of shape (m,), int64
            Accepted rows; one may come with several labels.
        labels : ndarray of shape (m,), int64
            Their classes.
        confidence : ndarray of shape (m,)
            Probability of each class.

        Returns
        -------
        n_new : int
            New entries.
        n_revoked : int
            Entries that are taken back: no longer accepted, or of another class now.
        """
        # One number for a row with a label: whatever their number, no table of them is needed.
        keys = (rows.astype(np.int64) << _SHIFT) + labels
        entries = np.flatnonzero(np.array(self.revoked, dtype=np.int64) == HELD)
        columns = self.columns()
        standing = (columns["row"][entries] << _SHIFT) + columns["label"][entries]
        fallen = entries[~np.isin(standing, keys)]
        for entry in fallen.tolist():
            self.revoked[entry] = number
        fresh = ~np.isin(keys, standing)
        self.row += rows[fresh].tolist()
        self.label += labels[fresh].tolist()
        self.confidence += confidence[fresh].tolist()
        self.round += [number] * int(fresh.sum())
        self.revoked += [HELD] * int(fresh.sum())
        return int(fresh.sum()), len(fallen)

    def __len__(self) -> int:
        return len(self.row)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the ledger as arrays, one entry a place.

        Returns
        -------
        dict of str to ndarray
            ``row, label, confidence, round, revoked``.
        """
        kinds = {"confidence": np.float64}
        columns = vars(self).items()
        return {name: np.array(column, kinds.get(name, np.int64)) for name, column in columns}
