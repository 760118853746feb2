"""Explain right, wrong and unsure predictions, of as many classes as possible."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from fewlabel.compute import _as_generator
from fewlabel.data import ImageSet, Task, image_set_from_array
from fewlabel.data.label_texts import BAR
from fewlabel.errors import UsageError
from fewlabel.explain.explanation import LOW_AGREEMENT
from fewlabel.explain.model import Explained, _explain_one, _model_size
from fewlabel.extras import is_installed
from fewlabel.features.pixels import Progress
from fewlabel.fit_result import FitResult
from fewlabel.model import Model
from fewlabel.texts import _percent

_UNSURE_BELOW = 0.2  # a prediction is unsure where the next one is this close
_DULL = 0.65  # confidence, at most, where no class is predicted: there is little to see

_Plan = dict[str, int]
_SMALL_SIDE = 64
# Of the time of the fit, for explanations that nobody asked for; a second is always there.
_SHARE, _LEAST_SECONDS = 0.1, 1.0
_REPEATS, _WINDOWS = 2, 82
# Samples a repeat, the best first. Few samples put half as many parts in a stable order, while
# with fifty parts and fewer than 150 samples the repeats hardly agree.
_SMALL_PLANS: tuple[_Plan, ...] = ({"n_samples": 500}, {"n_samples": 250}, {"n_samples": 125})
_PLANS: tuple[_Plan, ...] = ({"n_samples": 150}, {"n_samples": 100, "n_segments": 24})
_MAX_POOL = 2000  # a sheet is chosen among at most so many images, drawn at random


def explain_sheet(
    model: Model,
    images: ImageSet,
    n: int = 12,
    *,
    y: np.ndarray | None = None,
    proba: np.ndarray | None = None,
    target: int | None = None,
    n_samples: int = 300,
    seed: int = 0,
    progress: Progress | None = None,
    **settings: Any,
) -> list[Explained]:
    """Return explained right, wrong and unsure predictions, of as many classes as possible.

    Parameters
    ----------
    model : Model
        The model.
    images : ImageSet
        Images to choose from; where there are very many, a random sample of them is used.
    n : int
        How many to explain.
    y : ndarray of shape (len(images),) or (len(images), K), optional
        Their labels, -1 where unknown. Without them, confident and unsure predictions are chosen.
    proba : ndarray of shape (len(images), K), optional
        Probabilities to choose by, such as out-of-fold ones; by default the model's own.
    target : int, optional
        One class to explain in all images; by default what is predicted for each, or what is
        wrong or doubtful.
    n_samples : int
        Samples of each repeat.
    seed : int
        Seed of the samples.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **settings : Any
        More of how to explain, as for `fewlabel.explain.explanation.explain_image`.

    Returns
    -------
    list of Explained
        The explained predictions, kind by kind.

    Raises
    ------
    UsageError
        If ``n`` is below 1, or no label is known in ``y``.
    MissingExtraError
        If Captum is not installed.
    """
    task, classes = model.task, model.classes
    pool = np.arange(len(images)) if y is None else task.labeled(np.asarray(y))
    if len(pool) > _MAX_POOL:
        pool = np.sort(_as_generator(seed).choice(pool, size=_MAX_POOL, replace=False))
    images = images.subset(pool)
    y = None if y is None else np.asarray(y)[pool]
    # What was predicted without a look at the labels, which the model may know.
    known = model.predict(images, progress=progress).proba if proba is None else proba[pool]
    groups = _choose_examples(task, known, n, y)
    chosen = [(kind, int(row)) for kind, rows in groups.items() for row in rows]
    found = []
    show = progress or (lambda *_: None)
    show("explain", 0, len(chosen))
    for kind, row in chosen:
        truth = None if y is None else y[row]
        explained = _explain_one(
            model,
            images,
            row,
            target=_class_at_issue(task, known[row], kind, truth) if target is None else target,
            n_samples=n_samples,
            seed=seed,
            **settings,
        )
        explained = replace(
            explained,
            # As it was chosen: the final model is right on what it was trained on.
            explanation=replace(explained.explanation, proba=known[row]),
            kind=kind,
            predicted=task.texts(task.predict(known[row][None]), classes)[0],
            true="" if truth is None else task.texts(truth[None], classes)[0],
        )
        found.append(replace(explained, note=_note(task, explained, classes)))
        show("explain", len(found), len(chosen))
    return found


def _explain_fit(
    result: FitResult, images: ImageSet, n: int = 6, *, seconds: float = np.inf, **settings: Any
) -> list[Explained]:
    """Explain predictions of a fit while ``seconds`` last, the audit first; none without Captum."""
    if not is_installed("captum"):
        return []
    labels, proba, rows = result.labels, result.proba.copy(), result.audited
    if not len(rows):
        rows = result.tested
        # The final model is right on what it was trained on: it would show no mistakes.
        proba[rows] = result.tested_proba
    others = np.setdiff1d(np.arange(len(proba)), rows)
    plans = _SMALL_PLANS if _is_small(result.model, images) else _PLANS
    plan = plans[0]
    if np.isfinite(seconds):
        n, plan = _affordable(n, plans, seconds, _seconds_a_pass(result.model, images))
        if n == 0:
            return []
    y, seed = result.task.without(labels.y, others), result.settings.seed
    given = {"repeats": _REPEATS} | plan | settings
    found = explain_sheet(result.model, images, n, y=y, proba=proba, seed=seed, **given)
    if plan is plans[0]:
        return found
    # Fewer samples only as long as the repeats agree; NaN is of images where nothing matters.
    return [one for one in found if not one.explanation.stability < LOW_AGREEMENT]


def _seconds_for_explanations(result: FitResult) -> float:
    """Return how long explanations that nobody asked for may take."""
    return max(_LEAST_SECONDS, _SHARE * sum(result.seconds.values()))


def _affordable(n: int, plans: Sequence[_Plan], seconds: float, a_pass: float) -> tuple[int, _Plan]:
    """Return how many images can be explained, and how, if predicting one takes ``a_pass``."""
    for many in range(n, 0, -1):
        for plan in plans:
            if many * (_REPEATS * plan["n_samples"] + _WINDOWS) * a_pass <= seconds:
                return many, plan
    return 0, plans[-1]


def _seconds_a_pass(model: Model, images: ImageSet) -> float:
    """Measure how long predicting one changed image takes."""
    size, n = _model_size(model, images), 64 if _is_small(model, images) else 4
    changed = image_set_from_array(np.repeat(images.read([0], size=size), n, axis=0))
    # The first call loads and prepares the network.
    model.predict(changed.subset([0]))
    start = perf_counter()
    model.predict(changed)
    return (perf_counter() - start) / n


def _how_many_explained(model: Model, images: ImageSet) -> int:
    """Return how many predictions a report explains where nobody asked for a number."""
    if not is_installed("captum"):
        return 0
    # One or two of each kind: right, wrong, unsure.
    return 6 if _is_small(model, images) else 3


def _is_small(model: Model, images: ImageSet) -> bool:
    return max(_model_size(model, images)) <= _SMALL_SIDE


def _note(task: Task, explained: Explained, classes: Sequence[str]) -> str:
    """Return what is predicted and true, where the class that is explained does not say so."""
    target, proba = explained.explanation.target, explained.explanation.proba
    predicted, true = ("none" if t == BAR else t for t in (explained.predicted, explained.true))
    parts = [] if predicted == classes[target] else [f"predicted: {predicted}"]
    unsure = explained.kind == "unsure"
    # Where there may be several labels, the rival of a class is its absence.
    if unsure and len(proba) > 1 and task.codes(task.predict(proba[None])) is not None:
        others = np.where(np.arange(len(proba)) == target, -1, proba)
        rival = int(others.argmax())
        parts.append(f"or {classes[rival]} {_percent(others[rival], 0, ' ')}")
    if true and (unsure or true != predicted):
        parts.append(f"true: {true}")
    return ", ".join(parts)


def _choose_examples(
    task: Task, proba: np.ndarray, n: int, y: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Choose ``n`` rows worth an explanation, of many classes; other kinds fill up a rare one."""
    if n < 1:
        raise UsageError(f"At least one example must be chosen. Got {n}.")
    rows = np.arange(len(proba)) if y is None else task.labeled(np.asarray(y))
    if not len(rows):
        raise UsageError("No label is known among the images: leave the labels out.")
    known = np.asarray(proba, dtype=np.float64)[rows]
    predicted, margin, top = (
        task.stratify(task.predict(known)),
        task.margin(known),
        task.confidence(known),
    )
    top = np.where(task.decided(known).any(axis=1), top, np.minimum(top, _DULL))
    far = margin >= _UNSURE_BELOW
    kinds = {"sure": far}
    if y is not None:
        correct = task.correct(np.asarray(y)[rows], known)
        kinds = {"right": far & correct, "wrong": far & ~correct}
    queues = {
        kind: _by_class(np.flatnonzero(those), predicted, -top) for kind, those in kinds.items()
    }
    queues["unsure"] = _by_class(np.flatnonzero(~far), predicted, margin)
    sizes = _shares({kind: len(queue) for kind, queue in queues.items()}, n)
    return {kind: rows[queue[: sizes[kind]]] for kind, queue in queues.items()}


def _by_class(rows: np.ndarray, predicted: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Sort by ``key``, but take the best of each class first, then the second best, and so on."""
    order = rows[np.argsort(key[rows], kind="stable")]
    seen: dict[int, int] = {}
    turns = []
    for label in predicted[order].tolist():
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    # Of one class alone, the sheet would show one mistake many times.
    return order[np.argsort(turns, kind="stable")]


def _shares(available: dict[str, int], n: int) -> dict[str, int]:
    """Deal ``n`` places out in turns to the kinds that still have candidates."""
    sizes = dict.fromkeys(available, 0)
    # One by one, so that the kinds are as even as they can be.
    while sum(sizes.values()) < min(n, sum(available.values())):
        for kind in sizes:
            if sizes[kind] < available[kind] and sum(sizes.values()) < n:
                sizes[kind] += 1
    return sizes


def _class_at_issue(task: Task, proba: np.ndarray, kind: str, y: np.ndarray | None) -> int:
    """Return the class of one prediction to explain: the wrong, the doubtful or the top one."""
    if kind == "wrong" and y is not None:
        present, known = task.evidence(y[None], len(proba))
        wrong = known[0] & (task.decided(proba[None])[0] != (present[0] == 1))
        return int(np.where(wrong, proba, -1).argmax())
    if kind == "unsure":
        # Of two classes that are equally doubtful the more probable one.
        return int((np.abs(proba - 0.5) - 1e-9 * proba).argmin())
    return int(proba.argmax())
