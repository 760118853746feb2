"""The reports: one HTML file each, with nothing loaded from elsewhere and no script."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np

from fewlabel.evaluate import AccuracyEstimate, balanced_accuracy, log_loss
from fewlabel.report.inputs import (
    EvaluationInputs,
    Gallery,
    GalleryItem,
    LedgerRow,
    ReportInputs,
)
from fewlabel.report.learning import learning_view
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

Fact = tuple[str, str, str]  # name, value, what it means
_UNSURE = 0.5
# What HTML forbids in text: control characters other than tab and line feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


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
    return _render(
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
    >>> page = render_evaluation(EvaluationInputs(
    ...     title="Pets", source="photos", created="2025-01-31T12:00", version="1",
    ...     classes=["cat", "dog"], y=np.array([0, 1]), proba=np.eye(2), names=["a", "b"]))
    >>> "No mistakes" in page
    True
    """
    scored = Scored(inputs.y, inputs.proba)
    return _render(
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
        f"From the {estimate.n:,} labels alone, by cross-fitting: {_percent(estimate.value)} "
        f"({_percent(estimate.low)} – {_percent(estimate.high)})."
    )
    if test is not None:
        measure = (*measured(test), 0.95)
        kicker = f"Accuracy, measured on {len(test.y):,} test images"
        lines = [from_labels]
    elif inputs.audit is not None:
        measure = _measure(inputs.audit)
        kicker = f"Accuracy, from a random audit of {inputs.audit.n:,} images"
        lines = [inputs.audit.note, from_labels]
    else:
        measure = _measure(estimate)
        kicker = f"Accuracy, estimated from {estimate.n:,} labelled images"
        weighted = ", each weighted by how many images it stands for"
        lines = [
            f"By cross-fitting on the labels{weighted if _is_weighted(estimate) else ''}.",
            estimate.note,
        ]
    unsure = int(((inputs.confidence < _UNSURE) & (inputs.origin != "label")).sum())
    facts = [
        ("images", _count(inputs.n_images), ""),
        ("labels", _count(inputs.n_labeled), ""),
        ("classes", _count(len(inputs.classes)), ""),
        ("unsure", _count(unsure), "unlabelled images with less than 50 % confidence"),
    ]
    if inputs.n_duplicates:
        facts.append(("duplicates", _count(inputs.n_duplicates), "images that repeat another"))
    return _headline(kicker, measure, lines, facts + _set_aside(inputs.skipped))


def _measure(estimate: AccuracyEstimate) -> tuple[float, float, float, float]:
    return estimate.value, estimate.low, estimate.high, estimate.level


def _set_aside(skipped: Sequence[tuple[str, str]]) -> list[Fact]:
    hint = "files that could not be used: see the end of this page"
    return [("set aside", _count(len(skipped)), hint)] if skipped else []


def _is_weighted(estimate: AccuracyEstimate) -> bool:
    return estimate.method.startswith("weighted")


def _evaluation_headline(inputs: EvaluationInputs, scored: Scored) -> View:
    value, low, high = measured(scored)
    lines = []
    if inputs.expected is not None:
        expected = inputs.expected
        span = f"{_percent(expected.low)} – {_percent(expected.high)}"
        if expected.low <= value <= expected.high:
            verdict = "as expected: inside the interval"
        else:
            verdict = f"{'above' if value > expected.high else 'below'} the interval"
        lines.append(
            f"{verdict[0].upper()}{verdict[1:]} {span} that `fewlabel fit` gave from "
            f"{expected.n:,} labels."
        )
    recall = balanced_accuracy(scored.y, scored.predicted)
    facts = [
        ("images", _count(len(scored.y)), ""),
        ("mistakes", _count(int((~scored.correct).sum())), ""),
        ("classes", _count(len(inputs.classes)), ""),
        ("mean recall", _percent(recall), "mean over the classes: each counts the same"),
        ("log loss", _fixed(log_loss(scored.y, scored.proba)), "lower is better"),
    ]
    kicker = f"Accuracy on {len(scored.y):,} images with known labels"
    facts += _set_aside(inputs.skipped)
    return _headline(kicker, (value, low, high, 0.95), lines, facts)


def _headline(
    kicker: str,
    measure: tuple[float, float, float, float],
    lines: list[str],
    facts: list[Fact],
) -> View:
    value, low, high, level = measure
    return {
        "kicker": kicker,
        "value": value,
        "low": low,
        "high": high,
        "level": level,
        "lines": [line for line in lines if line],
        "facts": facts,
    }


def _render(template: str, **context: Any) -> str:
    page = _environment().get_template(template).render(context)
    # File names that are not UTF-8 come as lone surrogates, which no encoder accepts.
    page = page.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub("\ufffd", page)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fewlabel.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=_count, duration=_duration, fixed=_fixed, percent=_percent, width=_width
    )
    return environment


def _percent(share: float | None, digits: int = 1) -> str:
    if share is None or math.isnan(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    # "100 % sure" would promise more than 99.6 % does.
    if share < 1 and float(text) == 100:
        return f"> {100 - 10**-digits:.{digits}f}\u202f%"
    return f"{text}\u202f%"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _fixed(number: float | None) -> str:
    return "–" if number is None or math.isnan(number) else f"{number:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}\u202fs"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u202fmin {rest}\u202fs"
    return f"{minutes // 60}\u202fh {minutes % 60}\u202fmin"


def _width(share: float) -> str:
    return f"{100 * float(np.clip(np.nan_to_num(share), 0, 1)):.2f}%"
