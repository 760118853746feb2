"""The ways to train a network on labelled and unlabelled images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fewlabel.data.targets import one_hot
from fewlabel.data.task import SingleLabel
from fewlabel.semisupervised import BinaryExperts, ConsistencyTraining
from fewlabel.semisupervised.acceptance import AcceptanceRule
from fewlabel.semisupervised.graph_student import new_student, train_student
from fewlabel.semisupervised.kept_networks import Trained
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.network_inputs import Problem
from fewlabel.semisupervised.training_budget import LEAST_STEPS

Accepted = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Lesson:
    """What the next network can learn from.

    Attributes
    ----------
    name : str
        Name of the training.
    number : int
        Number of the round, from 1.
    codes : ndarray of shape (n,)
        Given classes, -1 where unlabelled.
    proba : ndarray of shape (n, K)
        What the graph says so far.
    networks : list
        Networks that have been trained so far.
    accepted : tuple of ndarray
        Rows, classes and confidence of the pseudo-labels that a round used; set in training.
    ledger : PseudoLabelLedger
        Every pseudo-label up to here.
    n_new, n_revoked : int
        Pseudo-labels of this round that the one before did not have, and the other way round.
    inner : list of (dict, tuple)
        Rounds within the training, each with its figures and its ``accepted``.
    claims : tuple or None
        Number of a round, classes of held-out rows, and which of the round's experts claim each;
        None where there are no experts.
    notes : list of str
        What the user must know of the training.
    """

    name: str
    number: int
    codes: np.ndarray
    proba: np.ndarray
    networks: list[Trained]
    ledger: PseudoLabelLedger
    accepted: Accepted = field(
        default_factory=lambda: (np.empty(0, int), np.empty(0, int), np.empty(0))
    )
    n_new: int = 0
    n_revoked: int = 0
    inner: list[tuple[dict[str, Any], Accepted]] = field(default_factory=list)
    claims: tuple[int, np.ndarray, np.ndarray] | None = None
    notes: list[str] = field(default_factory=list)

    def judge(self, rows: np.ndarray, codes: np.ndarray, confidence: np.ndarray) -> None:
        """Enter the pseudo-labels that this round trains on.

        Parameters
        ----------
        rows : ndarray of shape (m,)
            Rows.
        codes : ndarray of shape (m,)
            Class of each.
        confidence : ndarray of shape (m,)
            Confidence of each.
        """
        self.accepted = rows, codes, confidence
        self.n_new, self.n_revoked = self.ledger.enter(self.number, rows, codes, confidence)


class Way(ABC):
    """A way to train networks in turn.

    Attributes
    ----------
    name : str
        Its name on the command line.
    most_rounds : int
        Networks that are tested on held-out labels, at most.
    rounds_with_all : int
        Networks that are trained with all labels behind those, at least.
    joins_all : bool
        Whether the graph sees with all networks, or with the last one alone.
    resumes_itself : bool
        Whether a training takes up its own finished parts after an interruption.
    """

    name: str
    most_rounds = 1
    rounds_with_all = 0
    joins_all = True
    resumes_itself = False

    def prepare(self, problem: Problem, lesson: Lesson) -> None:
        """Judge the pseudo-labels of the next round; by default there are none.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.
        """
        return

    @abstractmethod
    def train(self, problem: Problem, lesson: Lesson) -> Trained:
        """Train the network of the next round.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.

        Returns
        -------
        NetworkClassifier, FineTuning or ConsistencyTraining
            The network.
        """


class GraphTaught(Way):
    """The graph teaches a network, whose features make a better graph, and so on."""

    name = "network"
    most_rounds = 4

    def prepare(self, problem: Problem, lesson: Lesson) -> None:
        """Enter what the graph says of the unlabelled images.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.
        """
        rows = np.flatnonzero(lesson.codes < 0)
        proba = lesson.proba[rows]
        lesson.judge(rows, proba.argmax(axis=1), proba.max(axis=1))

    def train(self, problem: Problem, lesson: Lesson) -> Trained:
        """Train on propagated labels, weighted by their confidence.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network.
        """
        return train_student(
            problem.pixels,
            lesson.proba,
            lesson.codes,
            problem.settings,
            **problem.training(lesson.name, lesson.number),
        )


class SelfTaught(Way):
    """A network trains on the labels, then on what it is sure of itself, judged anew each round.

    Parameters
    ----------
    name : {"self-training", "fine-tuning"}
        The latter stops after the labels.
    """

    rounds_with_all = 1
    joins_all = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.most_rounds = 1 if name == "fine-tuning" else 4

    def prepare(self, problem: Problem, lesson: Lesson) -> None:
        """Judge the pseudo-labels anew; the first network has none.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.
        """
        if lesson.networks and self.name == "self-training":
            pool = np.flatnonzero(lesson.codes < 0)
            proba = lesson.networks[-1].predict_proba(problem.pixels[pool])
            found = AcceptanceRule().accept(SingleLabel(), proba, lesson.codes, lesson.number)
            lesson.judge(*found.at(pool).entries())

    def train(self, problem: Problem, lesson: Lesson) -> Trained:
        """Train on the labels and on the accepted pseudo-labels.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network.
        """
        labeled = np.flatnonzero(lesson.codes >= 0)
        rows = np.concatenate([labeled, lesson.accepted[0]])
        codes = np.concatenate([lesson.codes[labeled], lesson.accepted[1]])
        n_classes = lesson.proba.shape[1]
        network = new_student(
            len(rows), problem.settings, **problem.training(lesson.name, lesson.number)
        )
        if problem.settings.backbone is None:
            # With few rows an epoch is a step or two: so many epochs are too few steps.
            network.set_params(min_steps=min(problem.settings.n_steps, LEAST_STEPS))
        targets = one_hot(codes, n_classes)
        return network.fit_soft(problem.pixels[rows], targets, classes=np.arange(n_classes))


class Consistent(Way):
    """One network that must name an image alike however it is changed; the graph starts it off."""

    name = "consistency"

    def train(self, problem: Problem, lesson: Lesson) -> Trained:
        """Train by SoftMatch, starting from propagated labels.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.

        Returns
        -------
        ConsistencyTraining
            The network.
        """
        told = problem.training(lesson.name, lesson.number)
        settings = problem.settings
        network = ConsistencyTraining(
            settings.architecture,
            n_steps=settings.n_steps,
            steps_per_epoch=min(100, settings.n_steps),
            batch_size=max(2, settings.batch_size // 5),
            flip=settings.flip,
            device=settings.device,
            checkpoint=told["checkpoint"],
            progress=told["progress"],
            random_state=told["seed"],
        )
        return network.fit(problem.pixels, lesson.codes, propagated=lesson.proba)


class ExpertTaught(Way):
    """Binary experts label what they agree on; see `fewlabel.BinaryExperts`."""

    name = "experts"
    resumes_itself = True

    def train(self, problem: Problem, lesson: Lesson) -> Trained:
        """Run the rounds of the experts.

        Parameters
        ----------
        problem : Problem
            The images.
        lesson : Lesson
            What there is to learn from.

        Returns
        -------
        NetworkClassifier or FineTuning
            The multi-class network.
        """
        told = problem.training(lesson.name, lesson.number)
        n_labeled = int((lesson.codes >= 0).sum())
        template = new_student(n_labeled, problem.settings, seed=0)
        template.set_params(min_steps=problem.settings.n_steps // 3, n_epochs=1, random_state=None)
        model = BinaryExperts(
            template,
            retrain_steps=problem.settings.n_steps // 3,
            checkpoint=problem.kept.rounds_folder(),
            progress=told["progress"],
            random_state=told["seed"],
        ).fit(problem.pixels, lesson.codes)
        lesson.ledger = model.ledger_
        lesson.accepted = model.accepted_[model.n_rounds_]
        lesson.inner = [
            (record.to_dict() | {"kept": record.round <= model.n_rounds_}, accepted)
            for record, accepted in zip(model.rounds_, model.accepted_, strict=True)
        ]
        if len(model.val_codes_):
            lesson.claims = max(model.n_rounds_, 1), model.val_codes_, model.val_votes_
        lesson.notes = model.notes_
        return model.multiclass_


def ways_for(method: str, *, has_backbone: bool) -> list[Way]:
    """Name the ways that a method tries, in the order of preference.

    Parameters
    ----------
    method : str
        ``"auto"``, or the name of one way.
    has_backbone : bool
        Whether a pretrained network is fine-tuned.

    Returns
    -------
    list of Way
        One or more.

    Examples
    --------
    >>> [way.name for way in ways_for("auto", has_backbone=True)]
    ['network', 'self-training']
    """
    if method == "auto":
        return [GraphTaught(), SelfTaught("self-training") if has_backbone else Consistent()]
    if method in ("self-training", "fine-tuning"):
        return [SelfTaught(method)]
    if method == "experts":
        return [ExpertTaught()]
    return [GraphTaught() if method == "network" else Consistent()]
