"""The report of a fit: how good it is, what it sees, and what to do next."""

import shlex
from dataclasses import asdict, replace

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.evaluate import AccuracyEstimate, per_class, scores
from fewlabel.explain.model import Explained
from fewlabel.explain.sheets import _explain_fit, _how_many_explained, _seconds_for_explanations
from fewlabel.features.pixels import Progress
from fewlabel.fit_result import FitResult
from fewlabel.report.galleries import _accepted_galleries, _explained_galleries, _fit_galleries
from fewlabel.report.html import Fact, View, _count, _render
from fewlabel.report.next_steps import _free_name, _is_known_well, _next_steps
from fewlabel.report.quality import _confusion_view, _coverage_view, _reliability_view, _Scored
from fewlabel.report.tiles import _filter_view
from fewlabel.report.training import _training_view
from fewlabel.report.views import (
    _all_images,
    _candidates_view,
    _confidence_view,
    _duel,
    _learning_view,
    _ledger_rows,
    _map_view,
    _prediction_rows,
    _weak,
)
from fewlabel.texts import _percent_text

_MIN_RANDOM = 20
_MEASURES = {
    "balanced_accuracy": ("mean recall", "mean over the classes: each counts the same"),
    "log_loss": ("log loss", "also punishes wrong confidence; lower is better"),
    "mean_average_precision": (
        "mean average precision",
        "how well probabilities rank the images, mean over the classes",
    ),
    "micro_f1": ("micro F1", "precision and recall over all classes together"),
    "macro_f1": ("macro F1", "their mean over the classes: each counts the same"),
    "calibration_error": ("class-wise calibration error", "mean gap of all probabilities"),
}


def _render_report(
    result: FitResult,
    images: ImageSet,
    *,
    command: str,
    created: str,
    run: str = "run",
    n_explained: int | None = 0,
    progress: Progress | None = None,
) -> str:
    """Render the page of a fit; ``n_explained`` None explains a few where that takes seconds."""
    scored = _scored(result)
    explained: list[Explained] = []
    if n_explained is None:
        explained = _explained_in_time(result, images, len(scored.y), run, progress)
    elif n_explained:
        explained = _explain_fit(result, images, n_explained, progress=progress)
    training = _training_view(result.training)
    texts = result.task.texts(result.predicted, result.classes)
    accepted = _accepted_galleries(result.training, images, texts)
    sections = {
        "next": "What to do next",
        "good": "How good is it?",
        "images": "Images",
        "why": "Why it decided so" if explained or result.left_unexplained else "",
        "predicted": "Predictions",
        "training": "Training" if training or accepted else "",
        "made": "How it was made",
    }
    return _render(
        "report.html",
        images,
        kind="Report",
        created=created,
        command=command,
        sections=sections,
        next_steps=_next_steps(result, images.source, run),
        explained=_explained_galleries(explained, result.classes, bool(len(result.audited))),
        training=training,
        accepted=accepted,
        **_measured_views(result, scored),
        **_fit_views(result, images),
    )


def _scored(result: FitResult) -> _Scored:
    """Return what measures rest on: the audit, or what cross-fitting predicted."""
    if result.audit is None:
        return _Scored(result.task, result.labels.training_y[result.tested], result.tested_proba)
    # A random sample that was never trained on says more than cross-fitting.
    return _Scored(result.task, result.labels.y[result.audited], result.proba[result.audited])


def _measured_views(result: FitResult, scored: _Scored) -> View:
    """Show how good it is, on labels that are known."""
    scored_on = _scored_on(result, len(scored.y))
    if result.audit is None and not result.estimate.n:
        nothing: View = {"measures": [], "confusion": None, "class_rows": [], "reliability": None}
        return nothing | {"scored_on": scored_on}
    return {
        "measures": _measure_rows(scored),
        "scored_on": scored_on,
        "confusion": _confusion_view(scored, result.classes),
        "class_rows": per_class(result.task, scored.y, scored.proba, result.classes),
        **_trust_views(result, scored),
    }


def _fit_views(result: FitResult, images: ImageSet) -> View:
    """Show what was chosen and predicted, and how it was made."""
    how = "on held-out labels" if result.n_networks else "by cross-fitting"
    return {
        "head": _head(result, images),
        "duel": _duel(result),
        "how": how,
        "warnings": result.warnings,
        "map": _map_view(result),
        "verdict": _verdict(result),
        "candidates": _candidates_view(result, f"{result.task.metric} {how}"),
        "metric": result.task.metric,
        "learning": _learning_view(result),
        "galleries": _fit_galleries(result, images),
        "tiles": _all_images(result, images),
        "filters": _filter_view(result.classes, given=True),
        "prediction_rows": _prediction_rows(result, images.names),
        "weak": _weak(result),
        "confidence": _confidence_view(result),
        "ledger": _ledger_rows(result),
        "left_unexplained": result.left_unexplained,
        "reason": result.features.reason,
        "seconds": result.seconds,
        "peak_rss_mb": result.peak_rss_mb,
        # The folder of a training in progress is gone when the report is read.
        "settings": asdict(replace(result.settings, checkpoint=None)) | result.chosen_settings,
    }


def _explained_in_time(
    result: FitResult, images: ImageSet, n_most: int, run: str, progress: Progress | None
) -> list[Explained]:
    """Explain a few predictions, and note in the result where the time was for fewer."""
    wanted, seconds = _how_many_explained(result.model, images), _seconds_for_explanations(result)
    if not wanted:
        return []
    explained = _explain_fit(result, images, wanted, seconds=seconds, progress=progress)
    # No more labels may be there to be explained.
    if len(explained) < min(wanted, n_most):
        result.left_unexplained = _left_unexplained(len(explained), images.source, run)
    return explained


def _left_unexplained(n: int, source: str, run: str) -> str:
    """Say why fewer predictions are explained, and how to get more."""
    out = _free_name("", "why", suffix=".png")
    command = shlex.join(["fewlabel", "explain", run, source, "--grid", "6", "--out", out])
    return (
        f"{'No' if n == 0 else f'Only {n}'} prediction{'s are' if n != 1 else ' is'} explained: "
        "others would take more than a tenth of the time of the fit, or hardly be stable. "
        f"`{command}` explains six more thoroughly."
    )


def _verdict(result: FitResult) -> str:
    """Say in a sentence or two what the headline means for the work."""
    found = result.headline
    if found.value != found.value:
        return "How good it is cannot be measured yet."
    low, high = (_percent_text(value, 0) for value in (found.low, found.high))
    some = result.unlabeled.any()
    text = f"Between {low} and {high} of the {'unlabeled' if some else 'new'} images are right"
    if not _is_known_well(result):
        text += ": that is not known well enough to rely on"
    promise = next((p for p in result.promises if some and p.threshold is not None), None)
    if promise is None:
        return text + "."
    return text + (
        f". {_count(result._n_accepted(promise))} of them can be accepted without a look "
        f"if {_percent_text(promise.max_error, 0)} may be wrong."
    )


def _head(result: FitResult, images: ImageSet) -> View:
    """Return the headline: the accuracy with its interval, and the numbers beside it."""
    audit, metric = result.audit, result.task.metric.capitalize()
    lines = [result.task.notes[0]]
    how = "estimated" if audit is None else "audited"
    what = "unlabeled" if result.unlabeled.any() else "new"
    kicker = f"{metric} on {'the ' if what == 'unlabeled' else ''}{what} images, {how}"
    lines += [f"Rests on {result.rests_on}.", result.headline.note]
    unsure = int(((result.confidence < 0.5) & (result.origin != "label")).sum())
    n_labeled = len(result.task.labeled(result.labels.training_y))
    facts = [
        ("images", _count(len(images)), ""),
        ("labeled", _count(n_labeled), "images with a label to train on"),
        ("classes", _count(len(result.classes)), ""),
        ("unsure", _count(unsure), "unlabeled images with less than 50 % confidence"),
    ]
    if result.n_duplicates:
        facts.append(("duplicates", _count(result.n_duplicates), "images that repeat another"))
    if result.n_near_copies:
        facts.append(("near-copies", _count(result.n_near_copies), result.near_copies))
    return _headline(kicker, result.headline, lines, facts, images)


def _headline(
    kicker: str, estimate: AccuracyEstimate, lines: list[str], facts: list[Fact], images: ImageSet
) -> View:
    if images.skipped:
        hint = "files that could not be used: see the end of this page"
        facts = [*facts, ("set aside", _count(len(images.skipped)), hint)]
    return {"kicker": kicker, "estimate": estimate, "lines": filter(None, lines), "facts": facts}


def _trust_views(result: FitResult, scored: _Scored) -> View:
    """Draw what the confidence is worth: by the labels drawn at random, if they are enough."""
    correct, confidence, n = *result.model.evidence, len(result.model.evidence.correct)
    note = f"From {n:,} labels{' drawn at random' if result.unlabeled.any() else ''}."
    if n < _MIN_RANDOM:
        correct, confidence = scored.correct, scored.confidence
        note = f"From {len(correct):,} labels"
        if result.audit is None:
            note += ", too few of which were drawn at random: the unlabeled images may be harder"
        note += "."
    pool, beside = result.confidence[result.unlabeled], _beside_headline(result)
    # What is unlike anything labeled is not accepted, however confident its prediction.
    pool = np.where(np.isin(np.flatnonzero(result.unlabeled), result.unlike), -1.0, pool)
    return {
        "reliability": _reliability_view(correct, confidence, note + beside),
        "coverage": _coverage_view(correct, confidence, result.promises, pool, note),
    }


def _beside_headline(result: FitResult) -> str:
    """Say how confident the model is in the unlabeled images, beside their accuracy."""
    pool, found = result.confidence[result.unlabeled], result.headline
    if not len(pool) or found.value != found.value:
        return ""
    mean = float(pool.mean())
    text = f" In the {len(pool):,} unlabeled images it is {_percent_text(mean)} sure on average"
    if found.low <= mean <= found.high:
        return f"{text}, within the interval of the accuracy above ({_percent_text(found.value)})."
    side = "confident" if mean > found.high else "modest"
    return f"{text}, too {side} for the accuracy above ({_percent_text(found.value)})."


def _scored_on(result: FitResult, n: int) -> str:
    if result.audit is None and not result.estimate.n:
        text = (
            f"Nothing could be measured: of none of the {n:,} labeled images is there another of "
            "its class, and how they are predicted without their labels says nothing."
        )
    elif result.audit is None:
        text = (
            f"Measured on {n:,} labeled images: each is predicted by a model that did not see its "
            "label. Few images make wide intervals."
        )
    else:
        text = f"Measured on {n:,} images of the audit, whose labels the model never saw."
    return text + result.task.notes[1]


def _measure_rows(scored: _Scored) -> list[View]:
    """List the measures that are defined, with what they mean."""
    found = scores(scored.task, scored.y, scored.proba)
    return [
        {"name": name, "value": found[key], "hint": hint}
        for key, (name, hint) in _MEASURES.items()
        if found[key] is not None
    ]
