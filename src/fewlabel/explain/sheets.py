"""Sheets of explained predictions: right, wrong and unsure ones, for a picture or a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewlabel.compute import as_generator
from fewlabel.data import ImageSet, MultiLabel
from fewlabel.data.label_texts import BAR, label_texts
from fewlabel.evaluate import exactly_right
from fewlabel.explain.examples import choose_examples
from fewlabel.explain.figure import (
    SheetItem,
    original_pixels,
    overlay_pixels,
    percent,
    sheet_png,
)
from fewlabel.explain.model import Explained, Model, explain_one, model_size
from fewlabel.extras import is_installed
from fewlabel.features.pixels import Progress
from fewlabel.fit_result import FitResult
from fewlabel.report import Gallery, GalleryItem

_SMALL_SIDE = 64
_DULL = 0.65

MAX_POOL = 2000
"""A sheet is chosen among at most so many images, drawn at random."""

KINDS = {
    "right": "Right, and the surest",
    "wrong": "Wrong, and the surest",
    "sure": "The surest",
    "unsure": "Unsure: two classes are close",
}
"""What the groups of a sheet are called."""

MULTILABEL_KINDS = {
    "right": "All labels right, and the surest",
    "wrong": "A label is wrong, and the surest",
    "sure": "The surest",
    "unsure": "Unsure: a label may be there or not",
}
"""What they are called where an image may have several labels."""


def explain_sheet(
    model: Model,
    images: ImageSet,
    n: int = 12,
    *,
    y: np.ndarray | None = None,
    proba: np.ndarray | None = None,
    target: int | None = None,
    n_samples: int = 300,
    repeats: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Explained]:
    """Explain right, wrong and unsure predictions, of as many classes as possible.

    Parameters
    ----------
    model : Model
        A run.
    images : ImageSet
        Images to choose from; where there are very many, a random sample of them is used.
    n : int
        How many to explain.
    y : ndarray of shape (len(images),) or (len(images), K), optional
        True classes, -1 where unknown; or a table of labels, for a model of several. Without
        them, sure and unsure predictions are chosen.
    proba : ndarray of shape (len(images), K), optional
        Probabilities to choose by, such as cross-fitted ones; by default the model's own.
    target : int, optional
        One class to explain in all images; by default what is predicted for each.
    n_samples : int
        Samples of each repeat.
    repeats : int
        How often LIME is run.
    seed : int
        Seed of the samples.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    list of Explained
        The explained predictions, kind by kind.

    Raises
    ------
    UsageError
        If ``n`` is below 1, or no true class is known in ``y``.
    MissingExtraError
        If Captum is not installed.
    """
    pool = np.arange(len(images)) if y is None else np.flatnonzero(_is_known(np.asarray(y)))
    if len(pool) > MAX_POOL:
        pool = np.sort(as_generator(seed).choice(pool, size=MAX_POOL, replace=False))
    images = images.subset(pool)
    y = None if y is None else np.asarray(y)[pool]
    known = model.predict(images, progress=progress).proba if proba is None else proba[pool]
    groups = (
        _choose_several(known, n, y) if model.task == MultiLabel() else choose_examples(known, n, y)
    )
    chosen = [(kind, int(row)) for kind, rows in groups.items() for row in rows]
    found = []
    for done, (kind, row) in enumerate(chosen):
        # What was predicted without a look at the label, which the model may know.
        told = int(known[row].argmax())
        if model.task == MultiLabel():
            told = _label_at_issue(known[row], kind, None if y is None else y[row])
        explained = explain_one(
            model,
            images,
            row,
            target=told if target is None else target,
            n_samples=n_samples,
            repeats=repeats,
            seed=seed,
        )
        if model.task == MultiLabel():
            texts = label_texts(np.array([known[row] >= 0.5]), model.classes)
            true = "" if y is None else label_texts(y[row][None], model.classes)[0]
            explained = replace(explained, kind=kind, said=texts[0], known=true)
        else:
            explained = replace(explained, kind=kind, truth=-1 if y is None else int(y[row]))
        found.append(explained)
        if progress is not None:
            progress("explain", done + 1, len(chosen))
    return found


def draw_sheet(explained: Sequence[Explained], classes: Sequence[str], *, title: str = "") -> bytes:
    """Draw explained predictions, each beside its original, group by group.

    Parameters
    ----------
    explained : sequence of Explained
        From `explain_sheet`.
    classes : sequence of str
        Names of the classes.
    title : str
        A line above all.

    Returns
    -------
    bytes
        A PNG file.
    """
    kinds = MULTILABEL_KINDS if any(e.said for e in explained) else KINDS
    groups = [
        (
            heading,
            [
                SheetItem(e.explanation, _heading(e, classes), _note(e, classes), e.name)
                for e in explained
                if e.kind == kind
            ],
        )
        for kind, heading in kinds.items()
    ]
    return sheet_png(groups, title=title)


def explained_galleries(
    explained: Sequence[Explained], classes: Sequence[str], captions: dict[str, str] | None = None
) -> list[Gallery]:
    """Give explained predictions as galleries of a report.

    Parameters
    ----------
    explained : sequence of Explained
        From `explain_sheet`.
    classes : sequence of str
        Names of the classes.
    captions : dict of str to str, optional
        Captions of the kinds.

    Returns
    -------
    list of Gallery
        One gallery a kind; each picture has its explanation beside it.
    """
    galleries = []
    kinds = MULTILABEL_KINDS if any(e.said for e in explained) else KINDS
    for kind, heading in kinds.items():
        items = [
            GalleryItem(
                image=original_pixels(e.explanation),
                beside=overlay_pixels(e.explanation),
                name=e.name,
                label=classes[e.explanation.target],
                confidence=float(e.explanation.proba[e.explanation.target]),
                note=", ".join(
                    filter(None, (_note(e, classes), f"stability {e.explanation.stability:.2f}"))
                ),
            )
            for e in explained
            if e.kind == kind
        ]
        if items:
            galleries.append(Gallery(heading, (captions or {}).get(kind, ""), items))
    return galleries


@dataclass(frozen=True, eq=False)
class FittedPrediction:
    """What a `FittedModel` says.

    Attributes
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities.
    """

    proba: np.ndarray


def explain_fit(
    result: FitResult,
    images: ImageSet,
    n: int = 6,
    *,
    n_samples: int | None = None,
    repeats: int = 2,
    progress: Progress | None = None,
) -> list[Gallery]:
    """Explain right, wrong and unsure predictions of a fit, for its report.

    Images of the audit, whose labels the model never saw, come first. Without an audit,
    labelled images are chosen by what cross-fitting said of them, that is by models that did
    not see their labels; what is explained is the final model.

    Parameters
    ----------
    result : FitResult
        The outcome of the fit.
    images : ImageSet
        Its images.
    n : int
        How many to explain.
    n_samples : int, optional
        Samples of each repeat; by default 500, and 150 where the model looks at images of more
        than 64 pixels, as networks for photos do: a report must not take longer than the fit.
    repeats : int
        How often LIME is run.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    list of Gallery
        One gallery a kind; none where Captum is not installed.
    """
    if not is_installed("captum"):
        return []
    y, proba, where = _known(result)
    model = result.model
    small = max(model_size(model, images)) <= _SMALL_SIDE
    explained = explain_sheet(
        model,
        images,
        n,
        y=y,
        proba=proba,
        n_samples=n_samples or (500 if small else 150),
        repeats=repeats,
        seed=result.settings.seed,
        progress=progress,
    )
    captions = {
        "right": f"{where} Does the model look at the thing itself, or at what lies around it?",
        "wrong": f"{where} The label that it got wrong: green speaks for its being there.",
        "unsure": f"{where} The label that it doubts most: green speaks for its being there.",
    }
    if result.task == MultiLabel():
        return explained_galleries(explained, result.classes, captions)
    captions = {
        "right": f"{where} Does the model look at the thing itself, or at what lies around it?",
        "wrong": f"{where} Green is what misled the model.",
        "unsure": f"{where} What speaks for the first of the two classes, and what against it.",
    }
    return explained_galleries(explained, result.classes, captions)


def how_many_explained(result: FitResult, images: ImageSet) -> int:
    """Say how many predictions a report explains where nobody asked for a number.

    Parameters
    ----------
    result : FitResult
        The outcome of the fit.
    images : ImageSet
        Its images.

    Returns
    -------
    int
        Six, two of each kind; three where the model looks at images of more than 64 pixels,
        where each takes several seconds; none where Captum is not installed.
    """
    if not is_installed("captum"):
        return 0
    small = max(model_size(result.model, images)) <= _SMALL_SIDE
    return 6 if small else 3


def _known(result: FitResult) -> tuple[np.ndarray, np.ndarray, str]:
    """Return labels that were not trained on, what was predicted then, and a caption."""
    y = np.full_like(result.labels.y, -1)
    audited = result.labels.audit
    if len(audited):
        y[audited] = result.labels.y[audited]
        return y, result.proba, "Images of the audit."
    proba = result.proba.copy()
    proba[result.tested] = result.tested_proba
    y[result.tested] = result.labels.training_y[result.tested]
    return y, proba, "Labeled images, predicted by models that had not seen their labels."


def _is_known(y: np.ndarray) -> np.ndarray:
    return np.asarray(y >= 0 if y.ndim == 1 else (y >= 0).any(axis=1))


def _choose_several(proba: np.ndarray, n: int, y: np.ndarray | None) -> dict[str, np.ndarray]:
    """Choose as for one label an image: two classes are then all labels right, and not."""
    right = np.maximum(proba, 1 - proba).prod(axis=1)
    # There is little to see where none of the labels is there: those come last.
    right = np.where((proba >= 0.5).any(axis=1), right, np.minimum(right, _DULL))
    outcome = np.column_stack([right, 1 - right])
    if y is None:
        return choose_examples(outcome, n)
    # What is sure of its labels, and has one wrong, is a mistake of class 0.
    wrong = ~exactly_right(y, (proba >= 0.5).astype(int))
    sure = np.column_stack([np.maximum(right, 0.5), 1 - np.maximum(right, 0.5)])
    return choose_examples(sure, n, wrong.astype(int))


def _label_at_issue(proba: np.ndarray, kind: str, y: np.ndarray | None) -> int:
    """Say which of several labels to explain: the likeliest, the wrong one, or the doubtful one."""
    if kind == "wrong" and y is not None:
        return int(np.where(y >= 0, np.abs(proba - y), 0).argmax())
    return int(np.abs(proba - 0.5).argmin() if kind == "unsure" else proba.argmax())


def _in_words(text: str) -> str:
    return "none" if text == BAR else text


def _heading(explained: Explained, classes: Sequence[str]) -> str:
    explanation = explained.explanation
    return f"{classes[explanation.target]} {percent(explanation.proba[explanation.target])}"


def _note(explained: Explained, classes: Sequence[str]) -> str:
    explanation = explained.explanation
    if explained.said:
        said, known = _in_words(explained.said), _in_words(explained.known)
        return f"predicted: {said}" + (f", true: {known}" if known not in ("", said) else "")
    if explained.kind == "unsure" and len(explanation.proba) > 1:
        others = explanation.proba.copy()
        others[explanation.target] = -1
        rival = int(others.argmax())
        also = f"or {classes[rival]} {percent(others[rival])}"
        return f"{also}, true: {classes[explained.truth]}" if explained.truth >= 0 else also
    if explained.truth >= 0 and explained.truth != explanation.target:
        return f"true: {classes[explained.truth]}"
    return ""
