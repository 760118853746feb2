"""The report of new images beside those of a fit."""

from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.evaluate.drift import _Drift
from fewlabel.model import Prediction
from fewlabel.report.galleries import _SIZE, _predictions
from fewlabel.report.html import _render
from fewlabel.report.pictures import _gallery
from fewlabel.report.tiles import _filter_view


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
    unsure = np.argsort(prediction.confidence, kind="stable")
    # All 0 where the model has nothing to measure it by.
    unlike = np.argsort(-looks[:, 0], kind="stable") if looks[:, 0].any() else unsure[:0]
    galleries = [
        _gallery(title, caption, _predictions(prediction, images, shown[:_SIZE]))
        for title, caption, shown in (
            ("Most unlike", "Least like anything labeled, the first ones most.", unlike),
            (
                "Like each other",
                "And not like images of the fit, as those of a new class are.",
                drift.clustered,
            ),
            ("Least confident", "Predictions that are most likely wrong.", unsure),
        )
    ]
    return _render(
        "drift.html",
        images,
        kind="Check",
        created=created,
        command=command,
        sections={"differs": "What differs", "images": "Images", "made": "How it was made"},
        found=metrics,
        galleries=galleries,
        filters=_filter_view(prediction.classes, given=False),
        seconds=prediction.seconds,
    )
