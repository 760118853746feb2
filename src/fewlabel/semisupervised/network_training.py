"""One training of a network within a search: what it may learn from, and what it gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.nets import FineTuning, NetworkClassifier
from fewlabel.nets.loop import Progress
from fewlabel.semisupervised.history import ExpertVotes
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.network_inputs import ROUNDS, NetworkSettings
from fewlabel.semisupervised.network_problem import MIN_STEPS, NetworkProblem
from fewlabel.semisupervised.rounds import Round


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What the network of a round may learn from.

    Attributes
    ----------
    name : str
        Name of the training.
    method : str
        Name of the candidate.
    number : int
        Number of the round, from 1.
    problem : NetworkProblem
        What there is to learn; its labels may hold some that are held out here.
    y : ndarray of shape (n,) or (n, K)
        Labels that may be used; -1 where nothing is known.
    proba : ndarray of shape (n, K)
        What the graph propagates from these labels so far.
    networks : list
        The networks of the rounds before.
    n_left : int
        Rounds behind those that were tested and did worse.
    """

    name: str
    method: str
    number: int
    problem: NetworkProblem
    y: np.ndarray
    proba: np.ndarray
    networks: list[Any]
    n_left: int

    def network(self, n_rows: int, **settings: Any) -> NetworkClassifier | FineTuning:
        """Return an untrained network for so many rows, with what belongs to this round."""
        mine = {
            "checkpoint": self.problem.store.file(self.name),
            "progress": self.progress,
            "random_state": self.seed,
        }
        return self._remembering(self.settings.network(n_rows, **mine | settings))

    def _remembering(self, network: Any) -> Any:
        """Let a fine-tuned network share what the layers below its top gave."""
        if isinstance(network, FineTuning):
            network.memory = self.problem.memory
        return network

    def trained(self, network: Any, train: Callable[[], Any]) -> Trained:
        """Train a network unless an interrupted search has, and keep it for the next search."""
        kept = self.problem.store.get_model(self.name, network)
        if kept is not None:
            return Trained(self._remembering(kept[0]))
        train()
        self.problem.store.put_model(self.name, network, {})
        return Trained(network)

    def train_on(
        self,
        rows: np.ndarray,
        targets: np.ndarray,
        mask: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> Trained:
        """Train a network on targets (m, K) for rows (m,), as far as a mask (m, K) knows them."""
        settings = {}
        if self.settings.backbone is None:
            # With few rows an epoch is a step or two: so many epochs are too few steps.
            settings["min_steps"] = min(self.settings.n_steps, MIN_STEPS)
        network = self.network(len(rows), **settings)
        data = {"mask": mask.astype(np.float32), "sample_weight": weights, "classes": self.classes}
        return self.trained(network, lambda: network.fit_soft(self.pixels[rows], targets, **data))

    @property
    def settings(self) -> NetworkSettings:
        """How to train."""
        return self.problem.settings

    @property
    def pixels(self) -> np.ndarray:
        """All images; (n, H, W) or (n, H, W, 3), uint8."""
        return self.problem.pixels

    @property
    def classes(self) -> np.ndarray:
        """Codes of the classes."""
        return np.arange(self.problem.n_classes)

    @property
    def folder(self) -> Path | None:
        """Folder for what a training keeps by itself."""
        kept = self.problem.store.folder
        # By method: `auto` may try several on the same images.
        return None if kept is None else kept / ROUNDS / self.method

    @property
    def seed(self) -> int:
        """Seed of the training."""
        # Another for each round; the same number for all methods, whose networks differ anyway.
        return self.problem.seed * 101 + self.number

    @property
    def progress(self) -> Progress | None:
        """Progress of the training under the name of the round."""
        report = self.problem.progress
        if report is None:
            return None
        return lambda stage, done, total: report(f"network {self.name}", done, total)


@dataclass(eq=False)
class Trained:
    """A trained network, and what is known of rounds within the training.

    Attributes
    ----------
    network : estimator
        With ``embed``, ``predict_proba``, ``to_state`` and ``history_``.
    rounds : list of Round
        The rounds within the training; none where it is a single one.
    kept : set of int
        Numbers of those that are in the network.
    accepted : list
        Rows, classes and confidence of what each accepted, where galleries may show them.
    ledger : PseudoLabelLedger or None
        Every pseudo-label of these rounds.
    votes : ExpertVotes or None
        Which labeled images experts vote for, where there are experts.
    notes : list of str
        What the user must know.
    """

    network: Any
    rounds: list[Round] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)
    accepted: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    ledger: PseudoLabelLedger | None = None
    votes: ExpertVotes | None = None
    notes: list[str] = field(default_factory=list)
