"""``model_card.md``: what a model is, on one page (Mitchell et al., Model cards, 2019)."""

import re
from collections import Counter
from functools import partial
from typing import Any

import jinja2

from fewlabel import __version__
from fewlabel.data import ImageSet
from fewlabel.evaluate.estimates import NOT_RANDOM
from fewlabel.fit_checks import _NO_AUDIT
from fewlabel.fit_result import FitResult
from fewlabel.report.html import _environment
from fewlabel.report.views import _prediction_rows
from fewlabel.texts import _percent

_FEW = 5
_MOST_CLASSES = 40
_PURPOSES = {
    "train": "chosen by `fewlabel select`",
    "random": "drawn at random",
    "audit": "drawn at random for the audit and not trained on",
    "": "chosen in a way that is not known",
}


def _render_card(
    result: FitResult,
    images: ImageSet,
    summary: dict[str, Any],
    *,
    command: str,
    created: str,
    run: str,
) -> str:
    """Render the card of a fit from its result and ``summary``, as the report does."""
    rows = _prediction_rows(result)
    small = [row["class"] for row in rows if row["given"] < _FEW]
    unlabeled = result.confidence[result.unlabeled]
    page = _template().render(
        result=result,
        summary=summary,
        source=images.source,
        version=__version__,
        created=created,
        command=_one_line(command),
        run=_one_line(run),
        headline=result.headline,
        # The limits say it once.
        note=result.headline.note.replace(NOT_RANDOM, "").strip(),
        warnings=[text for text in result.warnings if text != _NO_AUDIT],
        rows=rows[:_MOST_CLASSES],
        n_left_out=max(len(rows) - _MOST_CLASSES, 0),
        small=small,
        few=_FEW,
        chosen=_chosen(result),
        mean_confidence=float(unlabeled.mean()) if len(unlabeled) else None,
        # The figure that `fit` prints; the mean over classes is smaller the more there are.
        calibration_error=result.scores.get("expected_calibration_error"),
        same_reason=_same_reason(summary["accepted_without_a_look"]),
    )
    # File names that are not UTF-8 come as lone surrogates, which no encoder accepts.
    return page.encode("utf-8", "replace").decode("utf-8")


def _chosen(result: FitResult) -> list[str]:
    """Say how many labels were chosen how."""
    labels = result.labels
    purposes = [labels.purpose[i] if labels.purpose else "" for i in labels.labeled.tolist()]
    counts = Counter(p if p in _PURPOSES else "" for p in purposes)
    return [f"{counts[p]:,} {text}" for p, text in _PURPOSES.items() if counts[p]]


def _same_reason(promises: list[dict[str, Any]]) -> str | None:
    """Return why nothing is promised, if it is the same for every share of errors."""
    if promises and not any(row["n_labels"] for row in promises):
        return "that takes labels drawn at random"
    reasons = {row["why_not"] if row["threshold"] is None else None for row in promises}
    return reasons.pop() if len(reasons) == 1 else None


def _template() -> jinja2.Template:
    environment = _environment().overlay(autoescape=False, keep_trailing_newline=True)
    environment.filters = environment.filters | {
        "md": _escaped,
        "percent": partial(_percent, space=" "),
    }
    return environment.get_template("model_card.md")


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: class names and paths come from anywhere."""
    # What fewlabel itself says holds commands.
    parts = re.split(r"(`(?:fewlabel|pip|--)[^`|]*`)", _one_line(text))
    parts[::2] = [re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def _one_line(text: str) -> str:
    return " ".join(text.replace("```", "").split())
