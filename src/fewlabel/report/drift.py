"""The report of new images beside those of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.evaluate.drift import _Drift
from fewlabel.model import Prediction
from fewlabel.report.html import View, _count, _render
from fewlabel.report.pictures import _gallery, _pictures, _words
from fewlabel.report.tiles import _filter_view, _marks

_SIZE = 16


def _render_drift(
    drift: _Drift,
    metrics: dict[str, Any],
    prediction: Prediction,
    looks: np.ndarray,
    images: ImageSet,
    command: str,
    created: str,
) -> str:
    """Render a page as that of a fit: the verdict, what differs, and the most unlike images."""
    rows = np.argsort(-looks[:, 0], kind="stable")
    if not looks[:, 0].any():
        rows = np.argsort(prediction.confidence, kind="stable")
    odd = np.isin(prediction.task.stratify(prediction.label), drift.odd)
    galleries = [
        _some(
            "Most unlike", "Least like anything labeled, the first ones most.",
            prediction, images, rows,
        ),
        _some(
            "Predicted as a class that others hide in",
            "The least like it of the classes whose images are not like those of the fit.",
            prediction, images, rows[odd[rows]],
        ),
        _some(
            "Least confident", "Predictions that are most likely wrong.",
            prediction, images, np.argsort(prediction.confidence, kind="stable"),
        ),
    ]  # fmt: skip
    return _render(
        "drift.html",
        images,
        kind="Check",
        created=created,
        command=command,
        sections={"differs": "What differs", "images": "Images", "made": "How it was made"},
        found=metrics,
        n=_count(len(images)),
        galleries=galleries,
        filters=_filter_view(prediction.classes, given=False),
        tiles=None,
        reason="",
        seconds=prediction.seconds,
        peak_rss_mb=None,
        settings={},
    )


def _some(
    title: str, caption: str, prediction: Prediction, images: ImageSet, rows: np.ndarray
) -> View:
    """Show the first of some images, with what is predicted for them."""
    rows, task = rows[:_SIZE], prediction.task
    texts = _words(task, prediction.label[rows], prediction.classes)
    sure, decided = prediction.confidence[rows], task.decided(prediction.proba[rows])
    pictures = _pictures(images, rows, texts, sure, marks=_marks(decided, sure))
    return _gallery(title, caption, pictures)
