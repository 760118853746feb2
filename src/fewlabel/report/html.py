"""The reports: one HTML file each, with nothing loaded from elsewhere and no script."""

from __future__ import annotations

from fewlabel.evaluate import AccuracyEstimate, balanced_accuracy, log_loss
from fewlabel.report.inputs import (
    EvaluationInputs,
    Gallery,
    GalleryItem,
    LedgerRow,
    ReportInputs,
)
from fewlabel.report.learning import learning_view
from fewlabel.report.page import (
    as_count,
    as_fixed,
    as_percent,
    expectation_line,
    headline,
    measure_of,
    render,
    set_aside,
)
from fewlabel.report.scoring import (
    Scored,
    View,
    confusion_view,
    coverage_view,
    measured,
    mistake_rows,
    quality_rows,
    reliability_view,
)
from fewlabel.report.training import training_view
from fewlabel.report.views import (
    candidates_svg,
    class_rows,
    confidence_view,
    duel_view,
    gallery_views,
    map_view,
    time_rows,
)

__all__ = [
    "EvaluationInputs",
    "Gallery",
    "GalleryItem",
    "LedgerRow",
    "ReportInputs",
    "render_evaluation",
    "render_report",
]

_UNSURE = 0.5


def render_report(inputs: ReportInputs) -> str:
    """Make the report of a run.

    Parameters
    ----------
    inputs : ReportInputs
        What the run found.

    Returns
    -------
    str
        A whole HTML page: images and charts inside, no script, nothing loaded from elsewhere;
        it can be encoded as UTF-8. The same inputs give the same page.

    Examples
    --------
    >>> import numpy as np
    >>> from fewlabel.evaluate import estimate_accuracy
    >>> estimate = estimate_accuracy([True, True, True, False])
    >>> page = render_report(ReportInputs(
    ...     title="Pets", source="photos", created="2025-01-31T12:00", version="1",
    ...     n_images=4, n_labeled=4, classes=["cat", "dog"], estimate=estimate,
    ...     labeled_y=np.array([0, 1, 1, 0]), labeled_proba=np.eye(2)[[0, 1, 1, 1]],
    ...     predictions=np.array([0, 1, 1, 0]), confidence=np.ones(4),
    ...     origin=np.array(["label"] * 4)))
    >>> "75.0" in page and "cat" in page
    True
    """
    labeled = Scored(inputs.labeled_y, inputs.labeled_proba)
    scored, name = labeled, "labelled"
    scored_on = (
        f"Measured on {len(labeled.y):,} labelled images by cross-fitting: each is predicted by a "
        "model that did not see its label. Few images make wide intervals."
    )
    if _is_weighted(inputs.estimate):
        scored_on += " Here every label counts once, unlike in the headline."
    if inputs.test_y is not None and inputs.test_proba is not None:
        scored, name = Scored(inputs.test_y, inputs.test_proba), "test"
        scored_on = (
            f"Measured on {len(scored.y):,} test images with known labels, "
            "which the method never saw."
        )
    training, accepted = training_view(inputs.training), gallery_views(inputs.accepted)
    sections = [
        ("next", "What to do next"),
        ("good", "How good is it?"),
        ("images", "Images"),
        *([("why", "Why it decided so")] if inputs.explained else []),
        ("predicted", "Predictions"),
        *([("training", "Training")] if training or accepted else []),
        ("made", "How it was made"),
    ]
    return render(
        "report.html",
        inputs=inputs,
        kind="Report",
        sections=sections if inputs.next_steps else sections[1:],
        head=_report_headline(inputs, scored if name == "test" else None),
        duel=duel_view(inputs),
        map=map_view(inputs),
        galleries=gallery_views(inputs.galleries),
        explained=gallery_views(inputs.explained),
        scored_on=scored_on,
        scored_name=name,
        confusion=confusion_view(scored, inputs.classes),
        reliability=reliability_view(scored),
        coverage=coverage_view(scored, inputs.confidence[inputs.origin != "label"]),
        candidates_svg=candidates_svg(inputs),
        learning=learning_view(inputs.curve, inputs.no_curve),
        training=training,
        accepted=accepted,
        confidence=confidence_view(inputs),
        class_rows=class_rows(inputs, scored),
        time_rows=time_rows(inputs.seconds),
        peak_rss_mb=inputs.peak_rss_mb,
    )


def render_evaluation(inputs: EvaluationInputs) -> str:
    """Make the report of a model on images whose classes are known.

    Parameters
    ----------
    inputs : EvaluationInputs
        What the evaluation found.

    Returns
    -------
    str
        A whole HTML page, as from `render_report`.

    Examples
    --------
    >>> import numpy as np
    >>> page = render_evaluation(EvaluationInputs(
    ...     title="Pets", source="photos", created="2025-01-31T12:00", version="1",
    ...     classes=["cat", "dog"], y=np.array([0, 1]), proba=np.eye(2), names=["a", "b"]))
    >>> "No mistakes" in page
    True
    """
    scored = Scored(inputs.y, inputs.proba)
    return render(
        "evaluation.html",
        inputs=inputs,
        kind="Evaluation",
        sections=[
            ("mistakes", "Mistakes"),
            ("good", "Confidence"),
            ("classes", "Class by class"),
            ("made", "How it was made"),
        ],
        head=_evaluation_headline(inputs, scored),
        galleries=gallery_views(inputs.galleries),
        confusion=confusion_view(scored, inputs.classes),
        reliability=reliability_view(scored),
        coverage=coverage_view(scored),
        mistakes=mistake_rows(scored, inputs.classes, inputs.names),
        class_rows=quality_rows(scored, inputs.classes),
        time_rows=time_rows(inputs.seconds),
        peak_rss_mb=None,
    )


def _report_headline(inputs: ReportInputs, test: Scored | None) -> View:
    estimate = inputs.estimate
    from_labels = (
        f"From the {estimate.n:,} labels alone, by cross-fitting: {as_percent(estimate.value)} "
        f"({as_percent(estimate.low)} – {as_percent(estimate.high)})."
    )
    if test is not None:
        measure = (*measured(test), 0.95)
        kicker = f"Accuracy, measured on {len(test.y):,} test images"
        lines = [from_labels]
    elif inputs.audit is not None:
        measure = measure_of(inputs.audit)
        kicker = f"Accuracy, from a random audit of {inputs.audit.n:,} images"
        lines = [inputs.audit.note, from_labels]
    else:
        measure = measure_of(estimate)
        kicker = f"Accuracy, estimated from {estimate.n:,} labelled images"
        weighted = ", each weighted by how many images it stands for"
        lines = [
            f"By cross-fitting on the labels{weighted if _is_weighted(estimate) else ''}.",
            estimate.note,
        ]
    unsure = int(((inputs.confidence < _UNSURE) & (inputs.origin != "label")).sum())
    facts = [
        ("images", as_count(inputs.n_images), ""),
        ("labels", as_count(inputs.n_labeled), ""),
        ("classes", as_count(len(inputs.classes)), ""),
        ("unsure", as_count(unsure), "unlabelled images with less than 50 % confidence"),
    ]
    if inputs.n_duplicates:
        facts.append(("duplicates", as_count(inputs.n_duplicates), "images that repeat another"))
    return headline(kicker, measure, lines, facts + set_aside(inputs.skipped))


def _is_weighted(estimate: AccuracyEstimate) -> bool:
    return estimate.method.startswith("weighted")


def _evaluation_headline(inputs: EvaluationInputs, scored: Scored) -> View:
    value, low, high = measured(scored)
    lines = []
    if inputs.expected is not None:
        lines.append(expectation_line(inputs.expected, value))
    recall = balanced_accuracy(scored.y, scored.predicted)
    facts = [
        ("images", as_count(len(scored.y)), ""),
        ("mistakes", as_count(int((~scored.correct).sum())), ""),
        ("classes", as_count(len(inputs.classes)), ""),
        ("mean recall", as_percent(recall), "mean over the classes: each counts the same"),
        ("log loss", as_fixed(log_loss(scored.y, scored.proba)), "lower is better"),
    ]
    kicker = f"Accuracy on {len(scored.y):,} images with known labels"
    facts += set_aside(inputs.skipped)
    return headline(kicker, (value, low, high, 0.95), lines, facts)
