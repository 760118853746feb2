"""The methods that train networks, as candidates; each on top of its estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel.data import SingleLabel
from fewlabel.evaluate import register
from fewlabel.evaluate.candidate import Problem
from fewlabel.semisupervised.acceptance import AcceptanceRule
from fewlabel.semisupervised.consistency import ConsistencyTraining
from fewlabel.semisupervised.history import ExpertVotes
from fewlabel.semisupervised.network_budget import MIN_STEPS, _has_backbone
from fewlabel.semisupervised.network_inputs import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate
from fewlabel.semisupervised.one_vs_rest import BinaryExperts
from fewlabel.semisupervised.teacher_student import TeacherStudent

_SHARPEN = 2.0


@register
class GraphDistillation(NetworkCandidate):
    """The graph teaches a network, whose embeddings make a better graph, and so on."""

    name = "graph-distillation"
    summary = "Networks distilled from propagated labels; their embeddings make a better graph"
    max_rounds = 4

    def train(self, inputs: TrainingInputs) -> Trained:
        """Train on propagated labels, weighted by their confidence."""
        task = inputs.problem.task
        targets, mask = task.soft_targets(inputs.proba, inputs.y, _SHARPEN)
        network = inputs.network(len(inputs.pixels))
        network = inputs.finished(network) or inputs.keep(
            network.fit_soft(inputs.pixels, targets, mask=mask, classes=inputs.classes)
        )
        _, known = task.evidence(inputs.y, inputs.proba.shape[1])
        rows, labels = np.nonzero(task.decided(inputs.proba) & ~known)
        return inputs.trained(network, rows, labels, inputs.proba[rows, labels])


@register
class FineTuned(NetworkCandidate):
    """A pretrained network is fine-tuned on the labels."""

    name = "fine-tuning"
    summary = "A pretrained network fine-tuned on the labels; its embeddings make a better graph"
    retrains = True
    joins_all = False
    needs_backbone = True

    def suits(self, problem: Problem) -> bool:
        """Return False: it is tried where it is asked for."""
        return False

    def train(self, inputs: TrainingInputs) -> Trained:
        """Train on the labels."""
        return _train_on(inputs, None)


@register
class SelfTrained(NetworkCandidate):
    """A network trains on the labels, then on its own confident predictions as well."""

    name = "self-training"
    summary = "A network trained on its own confident predictions, chosen anew each round"
    max_rounds = 4
    retrains = True
    joins_all = False

    def suits(self, problem: Problem) -> bool:
        """Return whether there is a pretrained network: from scratch it was no better."""
        return _has_backbone(problem)

    def train(self, inputs: TrainingInputs) -> Trained:
        """Accept pseudo-labels anew, and train on them and the labels; the first has none."""
        return _train_on(inputs, AcceptanceRule("adaptive", 0.95, 1, 0.2, soft=False, align=True))


def _train_on(inputs: TrainingInputs, rule: AcceptanceRule | None) -> Trained:
    """Train on the labels, and on what a rule accepts of the predictions of the round before."""
    task, y = inputs.problem.task, inputs.y
    n_classes = len(inputs.classes)
    present, known = task.evidence(y, n_classes)
    labeled = task.labeled(y)
    rows, targets, mask = labeled, present[labeled], known[labeled].astype(np.float32)
    entries: Any = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    if rule is not None and inputs.networks:
        pool = np.setdiff1d(np.arange(len(y)), labeled)
        proba = inputs.networks[-1].predict_proba(inputs.pixels[pool])
        pseudo = rule.accept(task, proba, y, inputs.number - 1).at(pool)
        entries = pseudo.entries()
        rows = np.concatenate([rows, pseudo.rows])
        targets = np.concatenate([targets, pseudo.targets])
        mask = np.concatenate([mask, pseudo.mask])
    settings = {}
    if inputs.settings.backbone is None:
        # With few rows an epoch is a step or two: so many epochs are too few steps.
        settings["min_steps"] = min(inputs.settings.n_steps, MIN_STEPS)
    network = inputs.network(len(rows), **settings)
    network = inputs.finished(network) or inputs.keep(
        network.fit_soft(inputs.pixels[rows], targets, mask=mask, classes=inputs.classes)
    )
    return inputs.trained(network, *entries)


@register
class Consistent(NetworkCandidate):
    """One network that must name an image alike however it is changed."""

    name = "consistency"
    summary = "One network that must predict the same for changed images (SoftMatch)"
    tasks = (SingleLabel(),)

    def suits(self, problem: Problem) -> bool:
        """Return whether networks are trained from scratch."""
        return not _has_backbone(problem)

    def train(self, inputs: TrainingInputs) -> Trained:
        """Train by SoftMatch, starting from propagated labels."""
        settings = inputs.settings
        network = ConsistencyTraining(
            settings.architecture,
            n_steps=settings.n_steps,
            steps_per_epoch=min(100, settings.n_steps),
            batch_size=max(2, settings.batch_size // 5),
            flip=settings.flip,
            device=settings.device,
            checkpoint=inputs.checkpoints.file(inputs.name),
            progress=inputs.progress,
            random_state=inputs.seed,
        )
        network = inputs.finished(network) or inputs.keep(
            network.fit(inputs.pixels, inputs.y, propagated=inputs.proba)
        )
        none = np.empty(0, np.int64)
        return inputs.trained(network, none, none, np.empty(0))


@register
class ExpertTaught(NetworkCandidate):
    """Binary experts pseudo-label what they agree on."""

    name = "experts"
    summary = "Binary experts, one a class, that vote on pseudo-labels"
    tasks = (SingleLabel(),)

    def suits(self, problem: Problem) -> bool:
        """Return False: it is tried where it is asked for."""
        return False

    def train(self, inputs: TrainingInputs) -> Trained:
        """Run the rounds of the experts."""
        n_labeled, third = int((inputs.y >= 0).sum()), inputs.settings.n_steps // 3
        template = inputs.settings.network(n_labeled, min_steps=third, n_epochs=1)
        model = BinaryExperts(
            template,
            retrain_steps=third,
            checkpoint=inputs.folder,
            progress=inputs.progress,
            random_state=inputs.seed,
        ).fit(inputs.pixels, inputs.y)
        rounds = [
            (record.to_dict() | {"kept": record.round <= model.n_rounds_}, accepted)
            for record, accepted in zip(model.rounds_, model.accepted_, strict=True)
        ]
        votes = None
        if len(model.val_codes_):
            number = max(model.n_rounds_, 1)
            votes = ExpertVotes(self.name, number, model.val_codes_, model.val_votes_)
        return Trained(model.multiclass_, model.ledger_, rounds, votes, model.notes_)


@register
class Taught(NetworkCandidate):
    """Bagged networks teach a student what they agree on."""

    name = "teacher-student"
    summary = "Bagged networks that pseudo-label for a student, which then teaches itself"

    def suits(self, problem: Problem) -> bool:
        """Return whether networks are trained from scratch."""
        return not _has_backbone(problem)

    def train(self, inputs: TrainingInputs) -> Trained:
        """Train members, and a student on what they agree on."""
        n_labeled = len(inputs.problem.task.labeled(inputs.y))
        steps = max(MIN_STEPS // 2, inputs.settings.n_steps // 4)
        member, student = (
            inputs.settings.network(n_labeled, min_steps=n_steps, n_epochs=1)
            for n_steps in (steps, 2 * steps)
        )
        model = TeacherStudent(
            member,
            student,
            n_members=3,
            max_rounds=2,
            checkpoint=inputs.folder,
            progress=inputs.progress,
            random_state=inputs.seed,
        ).fit(inputs.pixels, inputs.y)
        none = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        rounds = [
            (record.to_dict() | {"kept": record.round == model.n_rounds_}, none)
            for record in model.rounds_
        ]
        return Trained(model.student_, model.ledger_, rounds, notes=model.notes_)
