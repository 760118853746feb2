"""The report of a model on images whose labels are known."""

from collections.abc import Mapping, Sequence
from typing import Any

from fewlabel.data import ImageSet
from fewlabel.evaluate import PROMISES, AccuracyEstimate, accept_at, per_class
from fewlabel.model import Model
from fewlabel.report.galleries import _evaluation_galleries
from fewlabel.report.html import _count, _render
from fewlabel.report.page import _headline, _measure_rows
from fewlabel.report.quality import _confusion_view, _coverage_view, _reliability_view, _Scored
from fewlabel.report.tiles import _filter_view
from fewlabel.texts import _counted, _percent


def _render_evaluation(
    model: Model,
    images: ImageSet,
    scored: _Scored,
    *,
    unseen: Mapping[str, Any] | None,
    seconds: Mapping[str, float],
    warnings: Sequence[str],
    command: str,
    created: str,
) -> str:
    """Render the report of an evaluation; ``unseen`` is the accuracy on images not trained on."""
    confusion = _confusion_view(scored, model.classes)
    galleries, mistakes = _evaluation_galleries(scored, images, model.classes)
    evidence = scored.correct, scored.confidence
    promises = [accept_at(*evidence, error) for error in PROMISES]
    measured = scored._measured()
    lines = [model.task.notes[0]]
    if model.expected is not None and unseen is not None:
        lines.append(_expectation(model.expected, unseen))
    facts = [
        ("images", _count(len(scored.y)), ""),
        ("mistakes", _count(int((~scored.correct).sum())), "images with a wrong label"),
        ("classes", _count(len(model.classes)), ""),
    ]
    kicker = f"{model.task.metric.capitalize()} on {_counted(len(scored.y))} with known labels"
    return _render(
        "evaluation.html",
        images,
        kind="Evaluation",
        created=created,
        command=command,
        sections={
            "mistakes": "Mistakes",
            "good": "Confidence",
            "classes": "Class by class",
            "made": "How it was made",
        },
        head=_headline(kicker, measured, lines, facts, images),
        warnings=warnings,
        measures=_measure_rows(scored),
        confusion=confusion,
        galleries=galleries,
        filters=_filter_view(model.classes, given=False),
        mistakes=mistakes,
        reliability=_reliability_view(*evidence),
        coverage=_coverage_view(*evidence, promises, scored.confidence),
        class_rows=per_class(model.task, scored.y, scored.proba, model.classes),
        seconds=seconds,
    )


def _expectation(expected: AccuracyEstimate, measured: Mapping[str, Any]) -> str:
    """Compare what was measured with what the fit expected."""
    verdict, luck, value = "As expected: inside the interval", "", measured["value"]
    if not expected.low <= value <= expected.high:
        verdict = f"{'Above' if value > expected.high else 'Below'} the interval"
        if measured["low"] <= expected.high and measured["high"] >= expected.low:
            luck = " With so few images that may be luck."
    span = f"{_percent(expected.low)} – {_percent(expected.high)}"
    labels = _counted(expected.n, "label")
    return f"{verdict} {span} that `fewlabel fit` gave from {labels}.{luck}"
