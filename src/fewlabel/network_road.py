"""The longer road: graph and network teach each other, for as long as the time budget allows.

The graph spreads the labels over features that know no labels. A network learns from what the
graph says, and sees more than the features did; joined with them, it gives the graph better
neighbors, and so on. Every round is tested on labels that it was not shown, and the road is
left where it does not beat the main job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.classifier import FewLabelClassifier
from fewlabel.data import ImageSet
from fewlabel.evaluate import (
    Choice,
    LabelFolds,
    apply_temperature,
    choose_candidate,
    fit_temperature,
)
from fewlabel.features.choose import FeatureExtractor
from fewlabel.features.joined import JoinedFeatures
from fewlabel.nets import NetworkClassifier
from fewlabel.selftrain.graph_student import StudentSettings, train_student

Progress = Callable[[str, int, int], None]

NAME = "network"
"""Name of the road among the candidates."""

LARGEST_SIDE = 64
"""Larger images are read at this size: the small networks are made for it."""

LEAST_SECONDS = 300.0
"""Less time than this is not enough for a network and a test of it."""

FEWEST_LABELS = 150
"""With fewer labels a fifth of them tells nothing."""

_MOST_ROUNDS = 4


@dataclass
class NetworkRoad:
    """What the longer road led to.

    Attributes
    ----------
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
        The road beside the main job, on the held-out labels.
    seconds : float
        Time of the whole road.
    history : list of dict
        ``round, accuracy, seconds`` of each round on held-out labels.
    """

    classifier: FewLabelClassifier
    extractor: JoinedFeatures
    rows: np.ndarray
    n_rounds: int
    choice: Choice
    seconds: float
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def helped(self) -> bool:
        """Whether the road does at least as well as the main job on the held-out labels."""
        return self.choice.name == NAME


@dataclass(frozen=True)
class _Problem:
    """Images with their features, and how to go about them."""

    images: ImageSet
    pixels: np.ndarray
    base: FeatureExtractor
    base_rows: np.ndarray
    groups: np.ndarray
    settings: StudentSettings
    main: FewLabelClassifier
    seed: int
    progress: Progress | None
    checkpoint: Path | None

    def classify(self, rows: np.ndarray, y: np.ndarray) -> FewLabelClassifier:
        """Fit the main job's own choice on given rows, so that nothing is chosen again."""
        alpha = self.main.settings_.get("alpha")
        alphas = (float(alpha),) if alpha is not None else self.main.alphas
        method = self.main.method_ if self.main.method_ != "supervised" else "graph"
        classifier = FewLabelClassifier(method=method, alphas=alphas, random_state=self.seed)
        return classifier.fit(rows, y, groups=self.groups)

    def student(self, proba: np.ndarray, y: np.ndarray, name: str, number: int) -> Any:
        """Train one network on labels and propagated labels."""
        progress = None
        if self.progress is not None:
            told = self.progress
            progress = lambda stage, done, total: told(f"network {name}", done, total)  # noqa: E731
        file = None if self.checkpoint is None else self.checkpoint / f"{name}.safetensors"
        return train_student(
            self.pixels,
            proba,
            y,
            self.settings,
            seed=self.seed * 101 + number,
            checkpoint=file,
            progress=progress,
        )


def follow_network_road(
    images: ImageSet,
    y: np.ndarray,
    main: FewLabelClassifier,
    base: FeatureExtractor,
    base_rows: np.ndarray,
    *,
    groups: np.ndarray,
    time_budget: float,
    settings: StudentSettings | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> NetworkRoad | None:
    """Let graph and network teach each other, and say how good they are on held-out labels.

    A fifth of the labels is held out first, and the rounds are run without them: their number is
    the one that predicts them best. Then as many rounds are run with all labels.

    Parameters
    ----------
    images : ImageSet
        All images.
    y : ndarray of shape (n,)
        Class codes as ``main`` was fitted on, -1 where unlabelled.
    main : FewLabelClassifier
        The main job's classifier, fitted on ``base_rows``.
    base : FeatureExtractor
        The main job's features.
    base_rows : ndarray of shape (n, d)
        Features of the images.
    groups : ndarray of shape (n,)
        The same number for exact duplicates.
    time_budget : float
        Seconds to stay within, as far as the first training lets it be foreseen.
    settings : StudentSettings, optional
        How each network is trained.
    seed : int
        Seed of every random choice.
    checkpoint : Path, optional
        Folder for the state of trainings, to go on from after an interruption.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    NetworkRoad or None
        None where too few labels can be held out to tell whether it helps.
    """
    start = time.perf_counter()
    folds = main.folds_
    if folds is None or len(folds.labeled) < FEWEST_LABELS:
        return None
    problem = _Problem(
        images,
        read_small(images),
        base,
        base_rows,
        groups,
        settings or StudentSettings(),
        main,
        seed,
        progress,
        checkpoint,
    )
    _, held = folds.folds[0]
    # A class with a single label cannot be recognised without it, by whatever method.
    held = np.setdiff1d(held, folds.labeled[folds.unseen])
    known = y.copy()
    known[held] = -1
    tested = _run_rounds(problem, known, "held-out", time_budget / 2, held=held, truth=y[held])
    n_rounds = 1 + int(np.argmax([record["accuracy"] for record in tested.history]))
    final = _run_rounds(problem, y, "final", float("inf"), most=n_rounds, proba=main.propagated_)
    position = np.searchsorted(folds.labeled, held)
    held_proba = tested.held_proba[n_rounds - 1]
    codes = np.searchsorted(main.classes_, y[held])
    choice = choose_candidate(
        {
            NAME: held_proba,
            "supervised": main.supervised_cross_fitted_[position],
            main.method_: main.cross_fitted_[position],
        },
        codes,
        prefer=(NAME,),
        n_se=0.0,
    )
    classifier = final.classifier
    _calibrate(classifier, y, fit_temperature(held_proba, codes))
    # What was cross-fitted on joined rows has seen the labels that it predicts: the held-out
    # ones alone tell how good the road is.
    unseen = np.zeros(len(held), dtype=bool)
    classifier.folds_ = LabelFolds(((np.flatnonzero(known >= 0), held),), held, unseen, ())
    classifier.cross_fitted_ = apply_temperature(held_proba, classifier.temperature_)
    classifier.supervised_cross_fitted_ = main.supervised_cross_fitted_[position]
    classifier.choice_ = choice
    return NetworkRoad(
        classifier=classifier,
        extractor=final.extractor,
        rows=final.rows,
        n_rounds=n_rounds,
        choice=choice,
        seconds=time.perf_counter() - start,
        history=tested.history,
    )


def read_small(images: ImageSet) -> np.ndarray:
    """Read all images at the size that the small networks take.

    Parameters
    ----------
    images : ImageSet
        Images.

    Returns
    -------
    ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
        At most 64 pixels a side; grey images without a channel axis.
    """
    native = images.native_shape
    small = native is not None and max(native[:2]) <= LARGEST_SIDE
    size = native[:2] if native is not None and small else (LARGEST_SIDE, LARGEST_SIDE)
    channels = 1 if images.is_grey else 3
    pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
    for where, block in images.blocks(1_024, size=size, channels=channels):
        pixels[where] = block
    return pixels[..., 0] if channels == 1 else pixels


@dataclass
class _Rounds:
    """The state after some rounds."""

    classifier: FewLabelClassifier
    extractor: JoinedFeatures
    rows: np.ndarray
    history: list[dict[str, Any]]
    held_proba: list[np.ndarray]


def _run_rounds(
    problem: _Problem,
    y: np.ndarray,
    name: str,
    seconds: float,
    *,
    most: int | None = None,
    held: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    proba: np.ndarray | None = None,
) -> _Rounds:
    """Train networks in turn, each on what the graph says with the help of those before it."""
    start = time.perf_counter()
    if proba is None:
        proba = problem.classify(problem.base_rows, y).propagated_
    codes = np.where(y >= 0, np.searchsorted(problem.main.classes_, y), -1)
    networks: list[NetworkClassifier] = []
    history: list[dict[str, Any]] = []
    held_proba: list[np.ndarray] = []
    for number in range(1, (most or _MOST_ROUNDS) + 1):
        begin = time.perf_counter()
        networks.append(problem.student(proba, codes, f"{name}-{number}", number))
        extractor = JoinedFeatures(problem.base, list(networks))
        rows = extractor.join(problem.base_rows, problem.images, progress=problem.progress)
        classifier = problem.classify(rows, y)
        proba = classifier.propagated_
        record: dict[str, Any] = {"round": number, "seconds": time.perf_counter() - begin}
        if held is not None:
            distributions = _uncalibrated(classifier)[held]
            held_proba.append(distributions)
            predicted = classifier.classes_[distributions.argmax(1)]
            record["accuracy"] = float(np.mean(predicted == truth))
        history.append(record)
        used = time.perf_counter() - start
        if used + 1.1 * record["seconds"] > seconds:
            break
    return _Rounds(classifier, extractor, rows, history, held_proba)


def _uncalibrated(classifier: FewLabelClassifier) -> np.ndarray:
    """Undo the temperature of the distributions of all rows."""
    return apply_temperature(classifier.label_distributions_, 1 / classifier.temperature_)


def _calibrate(classifier: FewLabelClassifier, y: np.ndarray, temperature: float) -> None:
    """Put another temperature in place; given labels stay certain."""
    unlabeled = y < 0
    plain = _uncalibrated(classifier)[unlabeled]
    classifier.temperature_ = temperature
    classifier.label_distributions_[unlabeled] = apply_temperature(plain, temperature)
