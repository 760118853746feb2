"""Which way of training networks to follow, how far, and whether it is worth it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, Task
from fewlabel.data.calibration import Calibration
from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    Choice,
    LabelFolds,
    choose_candidate,
)
from fewlabel.features.backbone import Backbone
from fewlabel.features.choose import FeatureExtractor
from fewlabel.features.joined import JoinedFeatures
from fewlabel.graph import FewLabelClassifier
from fewlabel.semisupervised.graph_student import StudentSettings
from fewlabel.semisupervised.history import AcceptedLabels, ExpertVotes, TrainingHistory
from fewlabel.semisupervised.kept_networks import KeptNetworks
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.network_inputs import Problem, Progress
from fewlabel.semisupervised.search_rounds import (
    HeldOut,
    Rounds,
    first_rounds,
    last_rounds,
)
from fewlabel.semisupervised.strategies import Way, ways_for
from fewlabel.semisupervised.training_budget import find_pace

METHODS = ("network", "self-training", "consistency", "fine-tuning", "experts")
"""The ways by their names on the command line."""

DEFAULT_SECONDS = 1_800.0
"""Time budget where networks are asked for and none is given."""

LEAST_SECONDS = 240.0
"""Less time than this is not enough for a network and a test of it."""

FEWEST_LABELS = 50
"""With fewer labels a fifth of them tells nothing."""

_SHARE_OF_TRIALS = 0.6


@dataclass
class NetworkRoad:
    """What the longer road led to.

    Attributes
    ----------
    name : str
        The way that did best: one of ``METHODS``.
    classifier : FewLabelClassifier
        Fitted on the joined rows. Its folds, cross-fitted predictions and temperature are those
        of the held-out labels.
    extractor : JoinedFeatures
        Turns images into such rows.
    rows : ndarray of shape (n, d)
        Rows of the images.
    n_rounds : int
        Networks trained in turn.
    choice : Choice
        All ways beside the main job, on the held-out labels.
    seconds : float
        Time of the whole road.
    training : TrainingHistory
        Curves, rounds and pseudo-labels.
    notes : list of str
        What the user must know of the trainings.
    ledger : PseudoLabelLedger or None
        Pseudo-labels that the networks gave each other, with their rounds; classes are
        positions in ``classifier.classes_``.
    """

    name: str
    classifier: FewLabelClassifier
    extractor: JoinedFeatures
    rows: np.ndarray
    n_rounds: int
    choice: Choice
    seconds: float
    training: TrainingHistory = field(default_factory=TrainingHistory)
    notes: list[str] = field(default_factory=list)
    ledger: PseudoLabelLedger | None = None

    @property
    def helped(self) -> bool:
        """Whether networks do as well as the main job on the held-out labels."""
        return self.choice.name == self.name


@dataclass(frozen=True)
class RoadClosed:
    """Why no network was trained.

    Attributes
    ----------
    reason : str
        One or two sentences, with the next step.
    """

    reason: str


def follow_network_road(
    images: ImageSet,
    y: np.ndarray,
    main: FewLabelClassifier,
    base: FeatureExtractor,
    base_rows: np.ndarray,
    *,
    groups: np.ndarray,
    time_budget: float,
    method: str = "auto",
    settings: StudentSettings | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> NetworkRoad | RoadClosed:
    """Train networks on labelled and unlabelled images, and say how good they are.

    A fifth of the labels is held out first, and the ways are tried without them, each as far as
    the time allows. The one that predicts them best is then followed on with all labels, unless
    the main job does better and no way was asked for by name.

    Parameters
    ----------
    images : ImageSet
        All images.
    y : ndarray of shape (n,)
        Class codes as ``main`` was fitted on, -1 where unlabelled.
    main : FewLabelClassifier
        The main job's classifier, fitted on ``base_rows``.
    base : FeatureExtractor
        The main job's features. A `Backbone` is fine-tuned; for other features small networks
        are trained from scratch.
    base_rows : ndarray of shape (n, d)
        Features of the images.
    groups : ndarray of shape (n,)
        The same number for exact duplicates.
    time_budget : float
        Seconds to stay within, as far as the first steps let it be foreseen.
    method : str
        One of ``METHODS``, whatever the time; ``"auto"`` tries those that suit.
    settings : StudentSettings, optional
        How each network is trained.
    seed : int
        Seed of every random choice.
    checkpoint : Path, optional
        Folder for finished networks and the state of trainings, to go on from after an
        interruption.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    NetworkRoad or RoadClosed
        The latter where there are too few labels to hold some out, or too little time.

    Raises
    ------
    UsageError
        If fine-tuning is asked for without a pretrained network.
    """
    start = time.perf_counter()
    folds = main.folds_
    if folds is None or len(folds.labeled) < FEWEST_LABELS:
        return RoadClosed(
            f"Networks were not tried: fewer than {FEWEST_LABELS} labels are too few to hold some "
            "out and see whether they help."
        )
    settings = settings or student_settings(base)
    if method == "fine-tuning" and settings.backbone is None:
        raise UsageError(
            "Fine-tuning needs a pretrained network: name one with --backbone, such as "
            "--backbone mobilenetv2_100."
        )
    about = [images.digest(), y.tolist(), seed, str(settings), type(base).__name__]
    problem = Problem(
        images,
        base,
        base_rows,
        groups,
        settings,
        main,
        seed,
        KeptNetworks(checkpoint, about),
        progress,
    )
    ways = ways_for(method, has_backbone=settings.backbone is not None)
    asked = method != "auto"
    n_steps = problem.kept.steps()
    if n_steps is None:
        pace = find_pace(problem, time_budget, asked=asked)
        if not pace.n_steps:
            minutes = math.ceil(pace.least_seconds / 60) + 1
            return RoadClosed(
                "Networks were not tried: on this machine they need more time. Give "
                f"--time {minutes}m or more."
            )
        n_steps = pace.n_steps
        problem.kept.keep_steps(n_steps)
    problem = replace(problem, settings=replace(settings, n_steps=n_steps))
    end = start + time_budget
    _, held = folds.folds[0]
    # A class with a single label cannot be recognised without it, by whatever method.
    held = np.setdiff1d(held, folds.labeled[folds.unseen])
    trials = _try_ways(problem, y, ways, HeldOut(held, y[held]), end - time.perf_counter())
    choice, best, n_rounds = _choose(trials, problem, y, held)
    final = best
    if asked or choice.name == best.way.name:
        final = last_rounds(
            problem,
            y,
            best,
            n_rounds,
            goes_on=lambda rounds: time.perf_counter() + rounds.history[-1]["seconds"] <= end,
        )
    _test_by(final.classifier, best.held_proba[n_rounds - 1], problem, y, held)
    final.classifier.choice_ = choice
    return NetworkRoad(
        name=best.way.name,
        classifier=final.classifier,
        extractor=final.extractor,
        rows=final.rows,
        n_rounds=final.n_rounds,
        choice=choice,
        seconds=time.perf_counter() - start,
        training=_log(final, trials),
        ledger=final.lessons[-1].ledger,
        notes=[note for lesson in final.lessons for note in lesson.notes],
    )


def student_settings(base: FeatureExtractor, device: str = "auto") -> StudentSettings:
    """Say which networks suit the features of the main job.

    Parameters
    ----------
    base : FeatureExtractor
        The features: a `Backbone` is fine-tuned.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train.

    Returns
    -------
    StudentSettings
        The settings.
    """
    if not isinstance(base, Backbone):
        return StudentSettings(n_steps=2_400, device=device)
    return StudentSettings(
        # Pretrained weights are moved gently, and soon fit a few photos.
        backbone=base.network_.recipe.model,
        weights=None if base.weights is None else str(base.weights),
        n_steps=1_000,
        max_epochs=20,
        batch_size=32,
        learning_rate=1e-3,
        device=device,
    )


def _try_ways(
    problem: Problem, y: np.ndarray, ways: list[Way], held: HeldOut, seconds: float
) -> list[Rounds]:
    """Follow every way without the held-out labels, as far as time allows."""
    known = y.copy()
    known[held.rows] = -1
    trials: list[Rounds] = []

    def leaves_time(rounds: Rounds) -> bool:
        used = sum(trial.seconds for trial in trials) + rounds.seconds
        return bool(used + rounds.history[-1]["seconds"] <= _SHARE_OF_TRIALS * seconds)

    for way in ways:
        # A round of another way takes about as long as one of the first.
        used = sum(trial.seconds for trial in trials)
        if trials and used + trials[0].history[0]["seconds"] > _SHARE_OF_TRIALS * seconds:
            break
        trials.append(first_rounds(problem, known, way, held, leaves_time))
    return trials


def _choose(
    trials: list[Rounds], problem: Problem, y: np.ndarray, held: np.ndarray
) -> tuple[Choice, Rounds, int]:
    """Choose the number of rounds of each way, then among the ways and the main job."""
    main = problem.main
    assert main.folds_ is not None
    codes = problem.codes(y)[held]
    n_rounds = {trial.way.name: _best_round(main.task_, trial, codes) for trial in trials}
    names = list(n_rounds)
    candidates = {
        trial.way.name: trial.held_proba[n_rounds[trial.way.name] - 1] for trial in trials
    }
    position = np.searchsorted(main.folds_.labeled, held)
    candidates["supervised"] = main.supervised_oof_proba_[position]
    candidates[main.method_] = main.oof_proba_[position]
    choice = choose_candidate(main.task_, codes, candidates, prefer=names)
    name = choice.name
    if name not in names:
        of_networks = {name: candidates[name] for name in names}
        name = choose_candidate(main.task_, codes, of_networks).name
    best = next(trial for trial in trials if trial.way.name == name)
    return choice, best, n_rounds[name]


def _best_round(task: Task, trial: Rounds, codes: np.ndarray) -> int:
    """Prefer later rounds: they have seen more, and the held-out labels are few."""
    by_round = {str(number): proba for number, proba in enumerate(trial.held_proba, start=1)}
    return int(choose_candidate(task, codes, by_round, prefer=list(by_round)[::-1]).name)


def _test_by(
    classifier: FewLabelClassifier,
    held_proba: np.ndarray,
    problem: Problem,
    y: np.ndarray,
    held: np.ndarray,
) -> None:
    """Put what the held-out labels tell in the place of cross-fitted predictions.

    What was cross-fitted on joined rows has seen the labels that it predicts.
    """
    main = problem.main
    assert main.folds_ is not None
    calibration = main.task_.calibrate(problem.codes(y)[held], held_proba)
    _calibrate(classifier, y, calibration)
    train = np.setdiff1d(np.flatnonzero(y >= 0), held)
    classifier.folds_ = LabelFolds(((train, held),), held, np.zeros(len(held), dtype=bool), ())
    classifier.oof_proba_, classifier.cross_fitted_ = held_proba, calibration.apply(held_proba)
    position = np.searchsorted(main.folds_.labeled, held)
    classifier.supervised_oof_proba_ = main.supervised_oof_proba_[position]
    classifier.supervised_cross_fitted_ = main.supervised_cross_fitted_[position]


def _calibrate(classifier: FewLabelClassifier, y: np.ndarray, calibration: Calibration) -> None:
    """Put another calibration in place; given labels stay certain."""
    unlabeled = y < 0
    classifier.calibration_ = calibration
    classifier.label_distributions_[unlabeled] = calibration.apply(classifier.proba_[unlabeled])


def _log(final: Rounds, trials: list[Rounds]) -> TrainingHistory:
    """Tell of the networks that are kept; of the other ways, how good each round was."""
    log = TrainingHistory()
    several = sum(bool(lesson.inner) for lesson in final.lessons) > 1
    for record, lesson, network in zip(final.history, final.lessons, final.networks, strict=True):
        each = f"{final.way.name} {record['round']}"
        log.add_history(each, network.history_)
        # Rounds within a training are numbered anew in each.
        name = each if several else final.way.name
        for figures, (rows, codes, confidence) in lesson.inner or [(record, lesson.accepted)]:
            _add_round(log, name, figures)
            if len(rows):
                log.accepted.append(AcceptedLabels(name, figures["round"], rows, codes, confidence))
        if lesson.claims is not None:
            log.votes.append(ExpertVotes(name, *lesson.claims))
    for trial in trials:
        if trial.way.name != final.way.name:
            for record in trial.history:
                _add_round(log, f"{trial.way.name} (tried)", record)
    return log


def _add_round(log: TrainingHistory, name: str, record: dict[str, Any]) -> None:
    values = {key: value for key, value in record.items() if key != "round"}
    log.add_round(name, record["round"], **values)
