"""The reports where an image may have several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fewlabel.evaluate import average_precisions, label_calibration_errors, wilson_interval
from fewlabel.report.multilabel_inputs import (
    MultiLabelEvaluationInputs,
    MultiLabelReportInputs,
    MultiLabelScored,
)
from fewlabel.report.page import (
    as_percent,
    expectation_line,
    headline,
    measure_of,
    render,
    set_aside,
)
from fewlabel.report.scoring import View, coverage_view, reliability_view
from fewlabel.report.svg import printable
from fewlabel.report.training import training_view
from fewlabel.report.views import (
    candidates_svg,
    confidence_view,
    duel_view,
    gallery_views,
    time_rows,
)

_MEASURES = {
    "mean_average_precision": (
        "mean average precision",
        "how well probabilities rank the images, mean over the labels",
    ),
    "micro_f1": ("micro F1", "precision and recall over all labels together"),
    "macro_f1": ("macro F1", "their mean over the labels: each counts the same"),
    "calibration_error": ("calibration error", "mean gap of the probabilities, label by label"),
}


def render_multilabel_report(inputs: MultiLabelReportInputs) -> str:
    """Make the report of a run.

    Parameters
    ----------
    inputs : MultiLabelReportInputs
        What the run found.

    Returns
    -------
    str
        A whole HTML page, as from `fewlabel.report.render_report`.

    Examples
    --------
    >>> from fewlabel.evaluate import estimate_accuracy
    >>> y = np.array([[1, 0], [1, 1]])
    >>> page = render_multilabel_report(MultiLabelReportInputs(
    ...     title="Pets", source="photos", created="2025-01-31T12:00", version="1",
    ...     n_images=2, n_labeled=2, classes=["cat", "dog"],
    ...     estimate=estimate_accuracy([True, False]),
    ...     scored=MultiLabelScored(y, np.where(y, 0.9, 0.1)), scores={}, given=y, predictions=y,
    ...     proba=y.astype(float), confidence=np.ones(2), origin=np.array(["label"] * 2)))
    >>> "50.0" in page and "cat" in page
    True
    """
    training, accepted = training_view(inputs.training), gallery_views(inputs.accepted)
    sections = [
        *([("next", "What to do next")] if inputs.next_steps else []),
        ("good", "How good is it?"),
        ("images", "Images"),
        *([("why", "Why it decided so")] if inputs.explained else []),
        ("predicted", "Predictions"),
        *([("training", "Training")] if training or accepted else []),
        ("made", "How it was made"),
    ]
    unlabeled = inputs.origin != "label"
    return render(
        "multilabel_report.html",
        inputs=inputs,
        kind="Report",
        sections=sections,
        head=_report_head(inputs),
        duel=duel_view(inputs),
        galleries=gallery_views(inputs.galleries),
        explained=gallery_views(inputs.explained),
        reliability=reliability_view(inputs.scored),
        coverage=coverage_view(inputs.scored, inputs.confidence[unlabeled]),
        candidates_svg=candidates_svg(inputs),
        measures=measure_rows(inputs.scores),
        label_rows=label_rows(inputs.scored, inputs.classes),
        prediction_rows=prediction_rows(inputs),
        training=training,
        accepted=accepted,
        confidence=confidence_view(inputs),
        time_rows=time_rows(inputs.seconds),
        peak_rss_mb=inputs.peak_rss_mb,
    )


def render_multilabel_evaluation(inputs: MultiLabelEvaluationInputs) -> str:
    """Make the report of a model on images whose labels are known.

    Parameters
    ----------
    inputs : MultiLabelEvaluationInputs
        What the evaluation found.

    Returns
    -------
    str
        A whole HTML page.

    Examples
    --------
    >>> y = np.array([[1, 0], [1, 1]])
    >>> page = render_multilabel_evaluation(MultiLabelEvaluationInputs(
    ...     title="Pets", source="photos", created="2025-01-31T12:00", version="1",
    ...     classes=["cat", "dog"], scored=MultiLabelScored(y, np.where(y, 0.9, 0.1)), scores={}))
    >>> "Exact match" in page
    True
    """
    return render(
        "multilabel_evaluation.html",
        inputs=inputs,
        kind="Evaluation",
        sections=[
            ("mistakes", "Mistakes"),
            ("good", "Confidence"),
            ("classes", "Label by label"),
            ("made", "How it was made"),
        ],
        head=_evaluation_head(inputs),
        galleries=gallery_views(inputs.galleries),
        reliability=reliability_view(inputs.scored),
        coverage=coverage_view(inputs.scored),
        measures=measure_rows(inputs.scores),
        label_rows=label_rows(inputs.scored, inputs.classes),
        time_rows=time_rows(inputs.seconds),
        peak_rss_mb=None,
    )


def label_rows(scored: MultiLabelScored, classes: Sequence[str]) -> list[View]:
    """Measure each label by itself.

    Parameters
    ----------
    scored : MultiLabelScored
        Images whose labels are known.
    classes : sequence of str
        Names of the labels.

    Returns
    -------
    list of dict
        ``name, known, present, predicted, precision, recall, f1, average_precision,
        calibration_error``; None where there is nothing to measure on.

    Examples
    --------
    >>> scored = MultiLabelScored(np.array([[1], [0]]), np.array([[0.9], [0.8]]))
    >>> row = label_rows(scored, ["cat"])[0]
    >>> row["recall"], row["precision"]
    (1.0, 0.5)
    """
    known = scored.y >= 0
    precisions = errors = np.full(len(classes), np.nan)
    if known.any():
        precisions = average_precisions(scored.y, scored.proba)
        errors = label_calibration_errors(scored.y, scored.proba)
    rows = []
    for column, name in enumerate(classes):
        truth = scored.y[known[:, column], column] == 1
        found = scored.predicted[known[:, column], column] == 1
        hits = int((truth & found).sum())
        rows.append(
            {
                "name": printable(name),
                "known": len(truth),
                "present": int(truth.sum()),
                "predicted": int(found.sum()),
                "precision": _ratio(hits, int(found.sum())),
                "recall": _ratio(hits, int(truth.sum())),
                "f1": _ratio(2 * hits, int(found.sum() + truth.sum())),
                "average_precision": _known(precisions[column]),
                "calibration_error": _known(errors[column]),
            }
        )
    return rows


def prediction_rows(inputs: MultiLabelReportInputs) -> list[View]:
    """Count where each label was given and where it is predicted.

    Parameters
    ----------
    inputs : MultiLabelReportInputs
        The run.

    Returns
    -------
    list of dict
        ``name, labeled, predicted, share, confidence``.
    """
    present = (inputs.predictions == 1) & (inputs.given < 0)
    most = max(int(present.sum(axis=0).max(initial=0)), 1)
    rows = []
    for column, name in enumerate(inputs.classes):
        found = present[:, column]
        rows.append(
            {
                "name": printable(name),
                "labeled": int((inputs.given[:, column] == 1).sum()),
                "predicted": int(found.sum()),
                "share": found.sum() / most,
                "confidence": float(inputs.proba[found, column].mean()) if found.any() else None,
            }
        )
    return rows


def measure_rows(scores: Mapping[str, float]) -> list[View]:
    """List the measures of several labels, with what they mean.

    Parameters
    ----------
    scores : mapping of str to float
        As `fewlabel.evaluate.multilabel_scores` gives them.

    Returns
    -------
    list of dict
        ``name, value, hint``.

    Examples
    --------
    >>> measure_rows({"micro_f1": 0.9})[0]["name"]
    'micro F1'
    """
    return [
        {"name": name, "value": scores[key], "hint": hint}
        for key, (name, hint) in _MEASURES.items()
        if key in scores
    ]


def _report_head(inputs: MultiLabelReportInputs) -> View:
    estimate = inputs.estimate
    lines = [
        "An image counts as right only if every known label is right.",
        f"By the labels alone: {as_percent(estimate.value)} ({as_percent(estimate.low)} – "
        f"{as_percent(estimate.high)}) of {estimate.n:,} images that were predicted without "
        "their labels.",
        estimate.note if inputs.audit is None else inputs.audit.note,
    ]
    if inputs.audit is None:
        del lines[1]
        kicker = f"Exact match, estimated from {estimate.n:,} labelled images"
    else:
        kicker = f"Exact match, from a random audit of {inputs.audit.n:,} images"
    facts = [
        ("images", f"{inputs.n_images:,}", ""),
        ("labelled", f"{inputs.n_labeled:,}", "images of which a label is known"),
        ("labels", f"{len(inputs.classes):,}", "different ones"),
        *_measure_facts(inputs.scores),
    ]
    if inputs.n_duplicates:
        facts.append(("duplicates", f"{inputs.n_duplicates:,}", "images that repeat another"))
    return headline(
        kicker, measure_of(inputs.audit or estimate), lines, facts + set_aside(inputs.skipped)
    )


def _evaluation_head(inputs: MultiLabelEvaluationInputs) -> View:
    correct = inputs.scored.correct
    value = float(correct.mean())
    low, high = wilson_interval(float(correct.sum()), len(correct))
    lines = ["An image counts as right only if every known label is right."]
    if inputs.expected is not None:
        lines.append(expectation_line(inputs.expected, value))
    facts = [
        ("images", f"{len(correct):,}", ""),
        ("mistakes", f"{int((~correct).sum()):,}", "images with a wrong label"),
        ("labels", f"{len(inputs.classes):,}", "different ones"),
        *_measure_facts(inputs.scores),
    ]
    kicker = f"Exact match on {len(correct):,} images with known labels"
    return headline(kicker, (value, low, high, 0.95), lines, facts + set_aside(inputs.skipped))


def _measure_facts(scores: Mapping[str, float]) -> list[tuple[str, str, str]]:
    return [
        (row["name"], as_percent(row["value"]), row["hint"])
        for row in measure_rows(scores)
        if row["name"] != "calibration error"
    ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
