"""What happened in training: losses by epoch, pseudo-labels by round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_RENAMED = {"accepted_precision": "precision"}
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class AcceptedLabels:
    """The pseudo-labels that a round trained on.

    Attributes
    ----------
    network : str
        Name of the training that they were used in.
    round : int
        Number of the round.
    rows : ndarray of shape (m,), dtype int64
        Positions of the images.
    codes : ndarray of shape (m,), dtype int64
        Class of each, as a column of the classifier's probabilities.
    confidence : ndarray of shape (m,)
        Confidence of each, in [0, 1].
    """

    network: str
    round: int
    rows: np.ndarray
    codes: np.ndarray
    confidence: np.ndarray


@dataclass(eq=False)
class TrainingLog:
    """Curves and rounds of all networks that a fit trained.

    Attributes
    ----------
    epochs : list of dict
        One an epoch: ``network``, ``epoch`` (from 1), and what its history holds: ``loss``,
        ``labeled_loss``, ``unlabeled_loss``, ``accepted``, ``precision``, ``learning_rate``,
        ``seconds``, whichever are known.
    rounds : list of dict
        One a round: ``network``, ``round``, and whichever are known of ``n_accepted``,
        ``n_new``, ``n_revoked``, ``mean_confidence``, ``accuracy`` (on held-out labels),
        ``precision`` (where the truth was given) and ``seconds``.
    accepted : list of AcceptedLabels
        Pseudo-labels of each round, for the galleries.

    Examples
    --------
    >>> log = TrainingLog()
    >>> log.add_history("final-1", [{"loss": 0.7}, {"loss": 0.4}])
    >>> log.epochs[1]
    {'network': 'final-1', 'epoch': 2, 'loss': 0.4}
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[AcceptedLabels] = field(default_factory=list)

    def add_history(self, network: str, history: Iterable[Mapping[str, Any]]) -> None:
        """Add the epochs of a training.

        Parameters
        ----------
        network : str
            Name of the training.
        history : iterable of mapping
            One an epoch, such as the ``history_`` of `fewlabel.NetworkClassifier`. Its own
            numbers are not kept: some trainers count from 0, and each phase anew.
        """
        for number, epoch in enumerate(history, start=1):
            known = {_RENAMED.get(key, key): value for key, value in epoch.items()}
            known.pop("epoch", None)
            self.epochs.append({"network": network, "epoch": number} | known)

    def add_round(self, network: str, number: int, **values: Any) -> None:
        """Add what a round did.

        Parameters
        ----------
        network : str
            Name of the training.
        number : int
            Number of the round.
        **values
            Whatever is known; see ``rounds``.
        """
        self.rounds.append({"network": network, "round": number} | values)

    def measure_precision(self, truth: np.ndarray) -> None:
        """Enter the precision of the accepted pseudo-labels, where the truth is known later.

        Parameters
        ----------
        truth : ndarray of shape (n,)
            True class of every image as a column of the classifier's probabilities, -1 where it
            is not known. No training sees it.

        Examples
        --------
        >>> log = TrainingLog()
        >>> log.add_round("a", 1)
        >>> pair = np.array([0, 2]), np.array([1, 1]), np.array([0.9, 0.8])
        >>> log.accepted.append(AcceptedLabels("a", 1, *pair))
        >>> log.measure_precision(np.array([1, 0, 0]))
        >>> log.rounds[0]["precision"]
        0.5
        """
        right = {}
        for part in self.accepted:
            known = truth[part.rows] >= 0
            if known.any():
                hits = part.codes[known] == truth[part.rows[known]]
                right[part.network, part.round] = float(hits.mean())
        for record in self.rounds:
            key = record["network"], record["round"]
            if key in right:
                record["precision"] = right[key]

    def to_dict(self) -> dict[str, Any]:
        """Give epochs and rounds in a form that JSON takes.

        Returns
        -------
        dict
            ``epochs`` and ``rounds``, numbers to six digits, None where one is not finite.

        Examples
        --------
        >>> log = TrainingLog()
        >>> log.add_round("final", 1, n_accepted=np.int64(3), accuracy=float("nan"))
        >>> log.to_dict()["rounds"]
        [{'network': 'final', 'round': 1, 'n_accepted': 3, 'accuracy': None}]
        """
        return {
            name: [{key: _plain(value) for key, value in record.items()} for record in records]
            for name, records in (("epochs", self.epochs), ("rounds", self.rounds))
        }


def _plain(value: Any) -> Any:
    """Bring a number of numpy or torch to one that JSON knows."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
