"""What happened in training: losses by epoch, pseudo-labels by round, and how many are right."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

# As `measure_precision` calls it, so that both are one curve.
_RENAMED = {"accepted_precision": "precision"}
# More are noise, and reports grow with each.
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


@dataclass(frozen=True, eq=False)
class ExpertVotes:
    """Which labeled images binary experts vote for that none of them was trained on.

    Attributes
    ----------
    network : str
        Name of the training.
    round : int
        Number of the round that made the experts.
    codes : ndarray of shape (m,), dtype int64
        Class of each image, as a column of the classifier's probabilities.
    voted : ndarray of shape (m, K), dtype bool
        Whether the expert of a class votes for the image: none may, or several.

    Examples
    --------
    >>> voted = np.array([[True, False], [True, True], [False, False]])
    >>> ExpertVotes("experts", 1, np.array([0, 1, 1]), voted).counts().tolist()
    [[1, 0], [1, 1]]
    """

    network: str
    round: int
    codes: np.ndarray
    voted: np.ndarray

    def counts(self) -> np.ndarray:
        """Return how many images of each class (rows) each expert (columns) votes for, int64."""
        n_classes = self.voted.shape[1]
        table = np.zeros((n_classes, n_classes), dtype=np.int64)
        np.add.at(table, self.codes, self.voted)
        return table

    @property
    def n_without(self) -> int:
        """Images that no expert votes for."""
        return int((self.voted.sum(axis=1) == 0).sum())

    @property
    def n_disputed(self) -> int:
        """Images that several experts vote for."""
        return int((self.voted.sum(axis=1) > 1).sum())

    def _to_dict(self) -> dict[str, Any]:
        """Return the counts in a form that JSON takes."""
        return {
            "network": self.network,
            "round": self.round,
            "counts": self.counts().tolist(),
            "n_images": len(self.codes),
            "n_without": self.n_without,
            "n_disputed": self.n_disputed,
        }


@dataclass(eq=False)
class TrainingHistory:
    """Curves and rounds of all networks that a fit trained.

    Attributes
    ----------
    epochs : list of dict
        One an epoch: ``network``, ``epoch`` (from 1), and whichever are known of ``loss``,
        ``labeled_loss``, ``unlabeled_loss``, ``accepted``, ``precision``, ``learning_rate`` and
        ``seconds``.
    rounds : list of dict
        One a round: ``network``, ``round``, and whichever are known of ``n_accepted``,
        ``n_rejected``, ``n_new``, ``n_revoked``, ``accepted_by_class``, ``rejected_by_class``,
        ``revoked_by_class``, ``mean_confidence``, ``accuracy`` (on held-out labels),
        ``precision`` (where the truth was given), ``seconds``, and ``kept`` (whether the round is
        in the final network).
    accepted : list of AcceptedLabels
        Pseudo-labels of each round, for the galleries.
    votes : list of ExpertVotes
        Votes of the experts of a training, where there are experts.
    classes : tuple of str
        Names of the columns of the classifier's probabilities; empty where they are not known.

    Examples
    --------
    >>> history = TrainingHistory()
    >>> history.add_history("final-1", [{"loss": 0.7}, {"loss": 0.4}])
    >>> history.epochs[1]
    {'network': 'final-1', 'epoch': 2, 'loss': 0.4}
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[AcceptedLabels] = field(default_factory=list)
    votes: list[ExpertVotes] = field(default_factory=list)
    classes: tuple[str, ...] = ()

    def add_history(self, network: str, history: Iterable[Mapping[str, Any]]) -> None:
        """Add the epochs of a training, such as the ``history_`` of a network."""
        # Numbered anew: some trainers count from 0, and each phase again.
        for number, epoch in enumerate(history, start=1):
            known = {_RENAMED.get(key, key): value for key, value in epoch.items()}
            known.pop("epoch", None)
            self.epochs.append({"network": network, "epoch": number} | known)

    def add_round(self, network: str, round: int, **values: Any) -> None:
        """Add what a round did: whatever is known of what ``rounds`` holds."""
        self.rounds.append({"network": network, "round": round} | values)

    def add_accepted(
        self, network: str, round: int, entries: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        """Add rows, codes and confidence of the pseudo-labels of a round, if there are any."""
        if len(entries[0]):
            self.accepted.append(AcceptedLabels(network, round, *entries))

    def measure_precision(self, truth: np.ndarray) -> None:
        """Enter the precision of the accepted pseudo-labels, where the truth (n,) is known later.

        It is -1 where it is not known, and no training sees it.

        Examples
        --------
        >>> history = TrainingHistory()
        >>> history.add_round("a", 1)
        >>> pair = np.array([0, 2]), np.array([1, 1]), np.array([0.9, 0.8])
        >>> history.accepted.append(AcceptedLabels("a", 1, *pair))
        >>> history.measure_precision(np.array([1, 0, 0]))
        >>> history.rounds[0]["precision"]
        0.5
        """
        precision = {}
        for part in self.accepted:
            known = truth[part.rows] >= 0
            if known.any():
                correct = part.codes[known] == truth[part.rows[known]]
                precision[part.network, part.round] = float(correct.mean())
        for record in self.rounds:
            key = record["network"], record["round"]
            if key in precision:
                record["precision"] = precision[key]

    def to_dict(self) -> dict[str, Any]:
        """Return epochs, rounds and votes in a form that JSON takes.

        Returns
        -------
        dict
            ``epochs`` and ``rounds``, numbers to six digits, None where one is not finite. Where
            there are experts, ``classes`` and ``votes``: ``network``, ``round``, ``counts`` (of
            the held-out images of each class, how many each expert votes for), ``n_images``,
            ``n_without`` a vote and ``n_disputed``.

        Examples
        --------
        >>> history = TrainingHistory()
        >>> history.add_round("final", 1, n_accepted=np.int64(3), accuracy=float("nan"))
        >>> history.to_dict()["rounds"]
        [{'network': 'final', 'round': 1, 'n_accepted': 3, 'accuracy': None}]
        """
        found: dict[str, Any] = {
            name: [{key: _plain(value) for key, value in record.items()} for record in records]
            for name, records in (("epochs", self.epochs), ("rounds", self.rounds))
        }
        if self.votes:
            votes = [votes._to_dict() for votes in self.votes]
            found |= {"classes": list(self.classes), "votes": votes}
        return found


def _plain(value: Any) -> Any:
    """Return a number of numpy or torch as one that JSON knows: six digits, None for NaN."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


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
