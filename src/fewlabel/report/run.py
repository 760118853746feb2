"""What the reports of a run show: pictures, map, galleries and next steps."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from sklearn.manifold import TSNE

from fewlabel import __version__
from fewlabel.cluster.representatives import pick_representatives
from fewlabel.cluster.strategies.clusters import typicality
from fewlabel.compute import threads_for
from fewlabel.data import ImageSet, Labels
from fewlabel.evaluate import apply_temperature
from fewlabel.explain.sheets import explain_fit, how_many_explained
from fewlabel.features.pixels import Progress
from fewlabel.fit_result import FitResult
from fewlabel.report import (
    EvaluationInputs,
    Gallery,
    GalleryItem,
    LedgerRow,
    ReportInputs,
    render_evaluation,
    render_report,
)
from fewlabel.report.accepted import accepted_galleries
from fewlabel.report.thumbnails import read_thumbnails

GALLERY_SIZE = 24
"""Pictures in a gallery, at most."""

_MAP_IMAGES = 1_200
_UNSURE_POOL = 1_000


def run_report(
    result: FitResult,
    images: ImageSet,
    *,
    command: str,
    created: str,
    n_explained: int | None = 0,
    progress: Progress | None = None,
) -> str:
    """Render the report of a fit.

    Parameters
    ----------
    result : FitResult
        The outcome of the fit.
    images : ImageSet
        The images.
    command : str
        The command that makes the run again.
    created : str
        Time in ISO form.
    n_explained : int or None
        How many predictions to explain; each takes from a second to some ten. None explains a
        few, see `fewlabel.explain.sheets.how_many_explained`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    str
        One self-contained HTML page.
    """
    given = result.labels.training_y
    map_index, map_xy = _map(result)
    if n_explained is None:
        n_explained = how_many_explained(result, images)
    audited = result.labels.audit
    audit_fields: dict[str, Any] = {}
    if len(audited):
        audit_fields = {
            "audit": result.audit,
            "test_y": result.labels.y[audited],
            "test_proba": result.proba[audited],
        }
    inputs = ReportInputs(
        explained=explain_fit(result, images, n_explained, progress=progress)
        if n_explained
        else [],
        title=title_of(images),
        source=images.source,
        created=created,
        version=__version__,
        n_images=len(images),
        n_labeled=int((given >= 0).sum()),
        classes=result.classes,
        estimate=result.estimate,
        labeled_y=given[result.tested],
        labeled_proba=result.tested_proba,
        predictions=result.predicted,
        confidence=result.confidence,
        origin=result.origin,
        candidates=result.choice.table,
        n_se=result.choice.n_se,
        supervised_name="supervised",
        map_xy=map_xy,
        map_index=map_index,
        galleries=_galleries(result, images),
        warnings=result.warnings,
        skipped=[(skipped.path, skipped.reason) for skipped in images.skipped],
        n_duplicates=result.n_duplicates,
        ledger_summary=_ledger_summary(result),
        next_steps=next_steps(images, result.labels, has_audit=result.audit is not None),
        settings=asdict(replace(result.settings, checkpoint=None)) | result.chosen_settings,
        seconds=result.seconds,
        feature_reason=result.features.reason,
        peak_rss_mb=result.peak_rss_mb,
        command=command,
        curve=result.curve,
        no_curve=result.no_curve,
        training=result.training,
        accepted=_accepted(result, images),
        **audit_fields,
    )
    return render_report(inputs)


def evaluation_report(
    run: Any,
    images: ImageSet,
    y: np.ndarray,
    prediction: Any,
    *,
    command: str,
    created: str,
) -> str:
    """Render the report of an evaluation.

    Parameters
    ----------
    run : Run
        The model.
    images : ImageSet
        Labelled images.
    y : ndarray of shape (n,)
        Their classes.
    prediction : Prediction
        What the model says.
    command : str
        The command that evaluates again.
    created : str
        Time in ISO form.

    Returns
    -------
    str
        One self-contained HTML page.
    """
    wrong = np.flatnonzero(prediction.label != y)
    worst = wrong[np.argsort(-prediction.confidence[wrong], kind="stable")][:GALLERY_SIZE]
    notes = [f"true: {run.classes[y[i]]}" for i in worst]
    unsure = np.argsort(prediction.confidence, kind="stable")[:GALLERY_SIZE]
    doubts = [f"true: {run.classes[y[i]]}" for i in unsure]
    galleries = [
        Gallery(
            "Worst mistakes",
            "Wrong and most confident: mislabelled images show up here first.",
            _items(images, worst, prediction, run.classes, notes),
        ),
        Gallery(
            "Least confident",
            "Where the model hesitates, right or wrong.",
            _items(images, unsure, prediction, run.classes, doubts),
        ),
    ]
    inputs = EvaluationInputs(
        title=title_of(images),
        source=images.source,
        created=created,
        version=__version__,
        classes=run.classes,
        y=y,
        proba=prediction.proba,
        names=images.names,
        expected=run.expected,
        galleries=galleries,
        skipped=[(skipped.path, skipped.reason) for skipped in images.skipped],
        seconds=prediction.seconds,
        command=command,
    )
    return render_evaluation(inputs)


def title_of(images: ImageSet) -> str:
    """Give images a heading.

    Parameters
    ----------
    images : ImageSet
        Images.

    Returns
    -------
    str
        The last part of what the user gave.
    """
    return images.source.rstrip("/\\").replace("\\", "/").split("/")[-1] or images.source


def _map(result: FitResult) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Lay a sample of the images out on a plane by t-SNE, the labelled ones among them."""
    n = len(result.features.rows)
    if n < 5:
        return None, None
    rng = np.random.default_rng(result.settings.seed)
    labeled = np.flatnonzero(result.labels.training_y >= 0)
    if len(labeled) > _MAP_IMAGES // 3:
        labeled = rng.choice(labeled, size=_MAP_IMAGES // 3, replace=False)
    others = np.setdiff1d(rng.permutation(n)[:_MAP_IMAGES], labeled)
    index = np.sort(np.concatenate([labeled, others[: _MAP_IMAGES - len(labeled)]]))
    rows = result.features.rows[index].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    # Identical rows would have no spread to scale by.
    rows += rng.normal(scale=1e-6, size=rows.shape)
    tsne = TSNE(
        perplexity=min(30.0, (len(index) - 1) / 3),
        init="pca" if min(rows.shape) >= 2 else "random",
        max_iter=500,
        random_state=result.settings.seed,
    )
    # Its many small steps are faster on one thread, far faster on a busy machine.
    with threads_for(0):
        return index, tsne.fit_transform(rows)


def _galleries(result: FitResult, images: ImageSet) -> list[Gallery]:
    given = result.labels.training_y
    unlabeled = np.flatnonzero(given < 0)
    order = unlabeled[np.argsort(-result.confidence[unlabeled], kind="stable")]
    labeled = np.flatnonzero(given >= 0)
    typical = labeled
    if len(labeled) > GALLERY_SIZE:
        scores = typicality(result.features.rows[labeled], random_state=result.settings.seed)
        typical = labeled[np.argsort(-scores, kind="stable")[:GALLERY_SIZE]]
    following, disagreeing = next_to_label(result), _disagreements(result)
    student = _second_opinion(result)
    return [
        Gallery(
            "What to label next",
            "Images that the model is unsure about, spread over different kinds of images.",
            _items(images, following, result, result.classes),
        ),
        Gallery(
            "Labelled images",
            "Some of the labels that everything rests on: is each of them right?",
            _items(images, typical, result, result.classes),
        ),
        Gallery(
            "Least confident",
            "Predictions that are most likely wrong.",
            _items(images, order[::-1][:GALLERY_SIZE], result, result.classes),
        ),
        Gallery(
            "Most confident",
            "Spread over the images that the model is surest of.",
            _items(images, spread_over(order), result, result.classes),
        ),
        Gallery(
            "Graph and supervised model disagree",
            "Spread by similarity the label is one thing, by the model trained on the labels "
            "alone another: these pairs of classes are hard to tell apart.",
            _items(
                images,
                disagreeing,
                result,
                result.classes,
                [f"supervised: {result.classes[i]}" for i in student[disagreeing]],
            ),
        ),
    ]


def _accepted(result: FitResult, images: ImageSet) -> list[Gallery]:
    """Show what the networks believed of unlabelled images."""
    if result.training is None:
        return []
    classes = [result.classes[code] for code in np.asarray(result.main.classes_).tolist()]
    predicted = [result.classes[code] for code in result.predicted.tolist()]
    return accepted_galleries(result.training, images, classes, predicted)


def spread_over(order: np.ndarray) -> np.ndarray:
    """Take some of the most confident tenth, evenly: the very top is often one thing.

    Parameters
    ----------
    order : ndarray of shape (m,)
        Images, the surest first.

    Returns
    -------
    ndarray of shape (g,)
        Images for a gallery.
    """
    top = order[: max(GALLERY_SIZE, len(order) // 10)]
    if not len(top):
        return top
    return top[np.unique(np.linspace(0, len(top) - 1, GALLERY_SIZE).astype(int))]


def _second_opinion(result: FitResult) -> np.ndarray:
    """Classes by the supervised baseline, for all images."""
    return result.supervised_proba().argmax(axis=1)


def _disagreements(result: FitResult) -> np.ndarray:
    propagated = result.propagated.argmax(axis=1)
    differ = (propagated != _second_opinion(result)) & (result.labels.training_y < 0)
    rows = np.flatnonzero(differ)
    strength = result.propagated.max(axis=1)[rows]
    return rows[np.argsort(-strength, kind="stable")[:GALLERY_SIZE]]


def next_to_label(result: FitResult, n: int = 12) -> np.ndarray:
    """Choose images whose labels would help most: unsure, and unlike each other.

    Parameters
    ----------
    result : FitResult
        The outcome of a fit.
    n : int
        How many to choose.

    Returns
    -------
    ndarray of shape (n,)
        Images, fewer where fewer are unlabelled.
    """
    unlabeled = np.flatnonzero(result.labels.y < 0)
    top_two = np.sort(result.proba[unlabeled], axis=1)[:, -2:]
    margin = top_two[:, 1] - top_two[:, 0]
    return unsure_and_unlike(result.features.rows, unlabeled, margin, n, result.settings.seed)


def unsure_and_unlike(
    features: np.ndarray, unlabeled: np.ndarray, margin: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Choose images that a model is unsure about, and that are unlike each other.

    Parameters
    ----------
    features : ndarray of shape (n_images, d)
        Features of all images.
    unlabeled : ndarray of shape (u,)
        Images to choose from.
    margin : ndarray of shape (u,)
        How sure the model is of each.
    n : int
        How many to choose.
    seed : int
        Seed of the choice.

    Returns
    -------
    ndarray of shape (n,)
        Images, fewer where fewer are unlabelled.
    """
    if len(unlabeled) <= n:
        return unlabeled
    pool_size = min(_UNSURE_POOL, max(n, len(unlabeled) // 5))
    pool = unlabeled[np.argsort(margin, kind="stable")[:pool_size]]
    picks = pick_representatives(features[pool], n, method="medoids", random_state=seed)
    return pool[picks.indices]


def _items(
    images: ImageSet,
    rows: np.ndarray,
    source: Any,
    classes: tuple[str, ...],
    notes: list[str] | None = None,
) -> list[GalleryItem]:
    labels = [classes[code] for code in source.proba[rows].argmax(axis=1).tolist()]
    return gallery_items(images, rows, labels, source.confidence[rows], notes)


def gallery_items(
    images: ImageSet,
    rows: np.ndarray,
    labels: list[str],
    confidence: np.ndarray,
    notes: list[str] | None = None,
) -> list[GalleryItem]:
    """Read images for a gallery.

    Parameters
    ----------
    images : ImageSet
        Images.
    rows : ndarray of shape (m,)
        Which of them.
    labels : list of str
        What is said of each.
    confidence : ndarray of shape (m,)
        How sure that is.
    notes : list of str, optional
        A few words more of each.

    Returns
    -------
    list of GalleryItem
        The pictures.
    """
    if not len(rows):
        return []
    pixels = read_thumbnails(images, rows)
    return [
        GalleryItem(
            image=image,
            name=images.names[row],
            label=labels[i],
            confidence=float(confidence[i]),
            note=notes[i] if notes else "",
        )
        for i, (row, image) in enumerate(zip(rows.tolist(), pixels, strict=True))
    ]


def _ledger_summary(result: FitResult) -> list[LedgerRow]:
    given = result.labels.training_y >= 0
    spread = apply_temperature(result.propagated, 1.0).max(axis=1)[~given]
    rows: list[LedgerRow] = [{"method": "given", "count": int(given.sum()), "mean_confidence": 1.0}]
    if len(spread):
        rows.append(
            {
                "method": "spread over the graph",
                "count": len(spread),
                "mean_confidence": float(spread.mean()),
            }
        )
    return rows


def next_steps(images: ImageSet, labels: Labels, *, has_audit: bool) -> list[str]:
    """Say what to do after a fit.

    Parameters
    ----------
    images : ImageSet
        The images.
    labels : Labels
        Their labels.
    has_audit : bool
        Whether some were drawn at random to measure accuracy.

    Returns
    -------
    list of str
        A sentence each, with a command between backquotes.
    """
    more = max(10, labels.n_labeled - len(labels.audit))
    source = shlex.quote(images.source)
    steps = []
    if not has_audit:
        steps.append(
            "Check the accuracy on a random sample: "
            f"`fewlabel select {source} --budget 0 --audit 50 --labels labels.csv "
            "--out more.csv` writes a table with your labels and 50 new rows; fill these in and "
            "fit again."
        )
    steps.append(
        "Label more where it helps: "
        f"`fewlabel select {source} --budget {more} --labels labels.csv --out more.csv`."
    )
    steps.append(
        "Use the model on new images: `fewlabel predict RUN IMAGES --out predictions.csv`."
    )
    return steps
