"""What the reports of a run show where an image may have several labels."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from fewlabel import __version__
from fewlabel.data import ImageSet
from fewlabel.data.label_texts import BAR, label_texts
from fewlabel.explain.sheets import explain_fit, how_many_explained
from fewlabel.features.pixels import Progress
from fewlabel.fit_result import FitResult
from fewlabel.model import Model, Prediction
from fewlabel.report import Gallery, LedgerRow
from fewlabel.report.multilabel import render_multilabel_evaluation, render_multilabel_report
from fewlabel.report.multilabel_inputs import (
    MultiLabelEvaluationInputs,
    MultiLabelReportInputs,
    MultiLabelScored,
)
from fewlabel.report.run import (
    GALLERY_SIZE,
    gallery_items,
    next_steps,
    spread_over,
    title_of,
    unsure_and_unlike,
)


def multilabel_report(
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
        How many predictions to explain; None explains a few.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    str
        One self-contained HTML page.
    """
    if n_explained is None:
        n_explained = how_many_explained(result, images)
    explained = explain_fit(result, images, n_explained, progress=progress) if n_explained else []
    settings = asdict(replace(result.settings, checkpoint=None)) | result.chosen_settings
    inputs = MultiLabelReportInputs(
        title=title_of(images),
        source=images.source,
        created=created,
        version=__version__,
        n_images=len(images),
        n_labeled=int((result.labels.training_y >= 0).any(axis=1).sum()),
        classes=result.classes,
        estimate=result.estimate,
        scored=MultiLabelScored(result.labels.training_y[result.tested], result.tested_proba),
        scores={k: float("nan") if v is None else v for k, v in result.scores.items()},
        given=result.labels.training_y,
        predictions=result.predicted,
        proba=result.proba,
        confidence=result.confidence,
        origin=result.origin,
        candidates=result.choice.table,
        n_se=result.choice.n_se,
        supervised_name="supervised",
        labels_only=(),
        tested_by="cross-fitting" if not result.n_networks else "labels that were held out",
        audit=result.audit,
        galleries=_galleries(result, images),
        explained=explained,
        warnings=result.warnings,
        skipped=[(skipped.path, skipped.reason) for skipped in images.skipped],
        n_duplicates=result.n_duplicates,
        ledger_summary=_ledger_summary(result),
        next_steps=next_steps(images, result.labels, has_audit=result.audit is not None),
        settings=settings,
        seconds=result.seconds,
        feature_reason=result.features.reason,
        peak_rss_mb=result.peak_rss_mb,
        command=command,
        training=result.training,
    )
    return render_multilabel_report(inputs)


def multilabel_evaluation_report(
    run: Model,
    images: ImageSet,
    y: np.ndarray,
    prediction: Prediction,
    scores: dict[str, float],
    *,
    command: str,
    created: str,
) -> str:
    """Render the report of an evaluation.

    Parameters
    ----------
    run : Model
        The model.
    images : ImageSet
        Labelled images.
    y : ndarray of shape (n, K)
        Their labels: 1, 0 and -1.
    prediction : Prediction
        What the model says.
    scores : dict of str to float
        Measures.
    command : str
        The command that evaluates again.
    created : str
        Time in ISO form.

    Returns
    -------
    str
        One self-contained HTML page.
    """
    scored = MultiLabelScored(y, prediction.proba)
    truth, said = _shown(label_texts(y, run.classes)), _shown(prediction.texts)
    wrong = np.flatnonzero(~scored.correct)
    worst = wrong[np.argsort(-scored.confidence[wrong], kind="stable")][:GALLERY_SIZE]
    unsure = np.argsort(scored.confidence, kind="stable")[:GALLERY_SIZE]
    groups = (
        (
            "Worst mistakes",
            "Wrong and most confident: mislabelled images show up here first.",
            worst,
        ),
        ("Least confident", "Where the model hesitates, right or wrong.", unsure),
    )
    galleries = [
        Gallery(
            heading,
            caption,
            gallery_items(
                images,
                rows,
                [said[i] for i in rows],
                scored.confidence[rows],
                [f"true: {truth[i]}" for i in rows],
            ),
        )
        for heading, caption, rows in groups
    ]
    inputs = MultiLabelEvaluationInputs(
        title=title_of(images),
        source=images.source,
        created=created,
        version=__version__,
        classes=run.classes,
        scored=scored,
        scores=scores,
        expected=run.expected,
        galleries=galleries,
        skipped=[(skipped.path, skipped.reason) for skipped in images.skipped],
        seconds=prediction.seconds,
        command=command,
    )
    return render_multilabel_evaluation(inputs)


def _galleries(result: FitResult, images: ImageSet) -> list[Gallery]:
    known = (result.labels.training_y >= 0).any(axis=1)
    unlabeled, labeled = np.flatnonzero(~known), np.flatnonzero(known)
    confidence = result.confidence
    order = unlabeled[np.argsort(-confidence[unlabeled], kind="stable")]
    following = unsure_and_unlike(
        result.features.rows, unlabeled, confidence[unlabeled], 12, result.settings.seed
    )
    right = MultiLabelScored(result.labels.training_y[result.tested], result.tested_proba).correct
    missed = result.tested[~right]
    said = dict(
        zip(
            result.tested.tolist(),
            _shown(label_texts(result.tested_proba >= 0.5, result.classes)),
            strict=True,
        )
    )
    groups = (
        (
            "What to label next",
            "Images that the model is unsure about, spread over different kinds of images.",
            following,
        ),
        (
            "Labelled images that were predicted otherwise",
            "By models that had not seen their labels: is each of these labels right?",
            missed[:GALLERY_SIZE],
        ),
        (
            "Labelled images",
            "Some of the labels that everything rests on.",
            np.setdiff1d(labeled, missed)[:GALLERY_SIZE],
        ),
        ("Least confident", "Predictions that are most likely wrong.", order[::-1][:GALLERY_SIZE]),
        (
            "Most confident",
            "Spread over the images that the model is surest of.",
            spread_over(order),
        ),
    )
    galleries = []
    for number, (heading, caption, rows) in enumerate(groups):
        said_of = result.labels.training_y if number in (1, 2) else result.predicted
        labels = _shown(label_texts(said_of[rows], result.classes))
        notes = [f"predicted: {said[row]}" for row in rows.tolist()] if number == 1 else None
        items = gallery_items(images, rows, labels, confidence[rows], notes)
        galleries.append(Gallery(heading, caption, items))
    return galleries


def _shown(texts: list[str]) -> list[str]:
    """Say in words where none of the labels is there."""
    return ["none" if text == BAR else text for text in texts]


def _ledger_summary(result: FitResult) -> list[LedgerRow]:
    given = result.labels.training_y
    rows: list[LedgerRow] = [
        {"method": "given", "count": int((given == 1).sum()), "mean_confidence": 1.0}
    ]
    spread = result.propagated[(given < 0) & (result.propagated >= 0.5)]
    if len(spread) and "alpha" in result.chosen_settings:
        count, mean = len(spread), float(spread.mean())
        rows.append({"method": "spread over the graph", "count": count, "mean_confidence": mean})
    if result.ledger is not None and len(result.ledger):
        columns = result.ledger.columns()
        count, mean = len(result.ledger), float(columns["confidence"].mean())
        rows.append({"method": result.method, "count": count, "mean_confidence": mean})
    return rows
