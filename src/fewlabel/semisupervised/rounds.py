"""Rounds of self-training on one set of labels: judge, accept, train, predict, again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from fewlabel.files import atomic_file
from fewlabel.semisupervised import thresholds
from fewlabel.semisupervised.ledger import PseudoLabelLedger

SELECTIONS = ("adaptive", "threshold", "top-k", "curriculum")


@dataclass(frozen=True)
class AcceptanceRule:
    """Which predictions become pseudo-labels, and as what.

    Attributes
    ----------
    selection : {"adaptive", "threshold", "top-k", "curriculum"}
        FreeMatch's self-adaptive thresholds; a fixed threshold; the k most confident of each
        class; a share of all that grows from round to round.
    threshold : float
        Least confidence for ``"threshold"``.
    k : int
        Rows of each class for ``"top-k"``.
    share : float
        Share that each round adds for ``"curriculum"``.
    soft : bool
        Keep the probabilities as targets; otherwise the likeliest class is the target.
    align : bool
        Align the predictions with the class shares among the labels first.
    """

    selection: str
    threshold: float
    k: int
    share: float
    soft: bool
    align: bool

    def judge(
        self, proba: np.ndarray, prior: np.ndarray, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose pseudo-labels among predictions.

        Parameters
        ----------
        proba : ndarray of shape (n, K)
            Class probabilities of the unlabelled rows.
        prior : ndarray of shape (K,)
            Class shares among the labels.
        number : int
            Number of the round, from 1.

        Returns
        -------
        accepted : ndarray of shape (n,), dtype bool
            Chosen rows.
        targets : ndarray of shape (n, K)
            What each row would be trained on.
        """
        aligned = thresholds.align_distribution(proba, prior) if self.align else proba
        if self.selection == "threshold":
            accepted = thresholds.above_threshold(aligned, self.threshold)
        elif self.selection == "top-k":
            accepted = thresholds.top_k_per_class(aligned, self.k * number)
        elif self.selection == "curriculum":
            accepted = thresholds.most_confident_share(aligned, min(1.0, self.share * number))
        else:
            least = thresholds.self_adaptive_thresholds(aligned)
            accepted = thresholds.above_class_thresholds(aligned, least)
        hard = np.eye(proba.shape[1])[aligned.argmax(axis=1)]
        return accepted, aligned if self.soft else hard


@dataclass(frozen=True)
class RoundRecord:
    """What a round did.

    Attributes
    ----------
    round : int
        Number of the round; 0 is training on the labels alone.
    n_accepted : int
        Pseudo-labels that the round trained on.
    n_new : int
        Those among them that the round before did not have.
    n_revoked : int
        Pseudo-labels of the round before that were taken back.
    mean_confidence : float
        Mean confidence of the accepted ones; NaN where there are none.
    """

    round: int
    n_accepted: int
    n_new: int
    n_revoked: int
    mean_confidence: float


class RoundStore:
    """Predictions of finished rounds on disk, so that a killed run goes on behind them.

    Parameters
    ----------
    folder : str or Path or None
        Where to keep them; None keeps nothing.
    about : object
        JSON types that name the data and the settings; another run's rounds are not used.
    """

    def __init__(self, folder: str | Path | None, about: Any) -> None:
        self.folder = None if folder is None else Path(folder)
        digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8)
        self._run = digest.hexdigest()

    def file(self, name: str) -> Path | None:
        """Name the file of a round.

        Parameters
        ----------
        name : str
            Name of the round within the run.

        Returns
        -------
        Path or None
            The file; None where nothing is kept.
        """
        return None if self.folder is None else self.folder / f"{self._run}-{name}.safetensors"

    def get(self, name: str) -> np.ndarray | None:
        """Give the predictions of a finished round.

        Parameters
        ----------
        name : str
            Name of the round.

        Returns
        -------
        ndarray or None
            What `put` was given; None if it is not there or damaged.
        """
        file = self.file(name)
        if file is None or not file.exists():
            return None
        try:
            return safetensors.numpy.load(file.read_bytes())["proba"].astype(np.float64)
        except (safetensors.SafetensorError, KeyError):
            return None

    def put(self, name: str, proba: np.ndarray) -> None:
        """Keep the predictions of a round.

        Parameters
        ----------
        name : str
            Name of the round.
        proba : ndarray of shape (n, K)
            Class probabilities of all rows.
        """
        file = self.file(name)
        if file is not None:
            with atomic_file(file) as temporary:
                temporary.write_bytes(safetensors.numpy.save({"proba": proba}))

    def clear(self) -> None:
        """Remove what this run has kept."""
        if self.folder is not None:
            for file in self.folder.glob(f"{self._run}-*"):
                file.unlink(missing_ok=True)


Train = Callable[[str, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""``train(name, rows, targets, weights)`` trains and gives the probabilities of all rows."""


class Track:
    """Self-training from one set of labels, a round at a time.

    Parameters
    ----------
    name : str
        Name of the track, such as ``"fold-2"``.
    codes : ndarray of shape (n,)
        Classes of the labels that may be used; -1 for all other rows.
    n_classes : int
        Number of classes.
    rule : AcceptanceRule
        Which predictions become pseudo-labels.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    train : callable
        Trains a classifier and predicts all rows.
    """

    def __init__(
        self,
        name: str,
        codes: np.ndarray,
        n_classes: int,
        rule: AcceptanceRule,
        pseudo_weight: float,
        train: Train,
    ) -> None:
        self.name = name
        self.labeled = np.flatnonzero(codes >= 0)
        self.pool = np.flatnonzero(codes < 0)
        self.truth = np.eye(n_classes)[codes[self.labeled]]
        # One label more for each class: a prior of 0 would ban a class for good.
        self.prior = (self.truth.sum(axis=0) + 1) / (len(self.labeled) + n_classes)
        self.rule = rule
        self.pseudo_weight = pseudo_weight
        self.train = train
        self.ledger = PseudoLabelLedger(len(codes))
        self.proba = np.empty((0, n_classes))

    def run_round(self, number: int) -> RoundRecord:
        """Judge all pseudo-labels anew, train on those accepted, predict all rows.

        Parameters
        ----------
        number : int
            Number of the round; 0 trains on the labels alone.

        Returns
        -------
        RoundRecord
            What was accepted and revoked.
        """
        rows, targets, confidence = self.labeled[:0], self.truth[:0], np.empty(0)
        if number:
            accepted, aligned = self.rule.judge(self.proba[self.pool], self.prior, number)
            rows, targets = self.pool[accepted], aligned[accepted]
            # Of the prediction: that of a hard target would be 1.
            confidence = self.proba[rows, targets.argmax(axis=1)]
        new, revoked = self.ledger.judge(number, rows, targets.argmax(axis=1), confidence)
        self.proba = self.train(
            f"{self.name}-round-{number}",
            np.concatenate([self.labeled, rows]),
            np.concatenate([self.truth, targets]),
            np.concatenate([np.ones(len(self.labeled)), np.full(len(rows), self.pseudo_weight)]),
        )
        mean = float(confidence.mean()) if len(confidence) else float("nan")
        return RoundRecord(number, len(rows), new, revoked, mean)
