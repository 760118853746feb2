"""How many of the accepted pseudo-labels are right, where the truth is known."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class _PseudoLabelCallback(Protocol):
    """Watches the pseudo-labels of a training; nothing that it does is trained on."""

    def on_pseudo_labels(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """See the pseudo-labels of one step."""

    def on_epoch_end(self) -> dict[str, float]:
        """Return figures for the history."""


class AcceptedPrecision(_PseudoLabelCallback):
    """Measure the share of accepted pseudo-labels that is right, for a curve to look at.

    Parameters
    ----------
    truth : array-like of shape (n,)
        True class of every image; -1 where it is not known.

    Examples
    --------
    >>> watch = AcceptedPrecision([0, 1, 1])
    >>> watch.on_pseudo_labels(np.array([0, 2]), np.array([0, 0]), np.array([1.0, 0.25]))
    >>> watch.on_epoch_end()
    {'accepted_precision': 0.8}
    """

    def __init__(self, truth: Any) -> None:
        self.truth = np.asarray(truth)
        # As text: classes may be names, and then unlabeled is "-1".
        self._known = self.truth.astype(str) != "-1"
        self._right = self._accepted = 0.0

    def on_pseudo_labels(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Compare the pseudo-labels of one step with the truth."""
        counted = weights * self._known[rows]
        self._accepted += float(counted.sum())
        self._right += float(counted[labels == self.truth[rows]].sum())

    def on_epoch_end(self) -> dict[str, float]:
        """Return the precision of the epoch, if anything was accepted, and count anew."""
        accepted, right = self._accepted, self._right
        self._right = self._accepted = 0.0
        return {"accepted_precision": right / accepted} if accepted else {}
