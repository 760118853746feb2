"""Pictures of a self-trained network: the pseudo-labels that it accepted, and what it looks at."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from fewlabel.data import ImageSet, SingleLabel, Task
from fewlabel.explain.figure import draw_sheet
from fewlabel.explain.sheets import explain_sheet

from .. import figures

if TYPE_CHECKING:
    from fewlabel.nets import FineTuning

    from .rounds import SelfTrained
    from .session import PhotoSession

ACCEPTED = "photos-accepted.jpg"
EXPLAINED = "photos-explained.jpg"
FILES = (ACCEPTED, EXPLAINED)
"""The pictures of a run."""

_NONE = "No pseudo-label was accepted."
_COLUMNS, _ROWS = 8, 2
_WIDTH = 1000
_QUALITY = 70


def draw(session: PhotoSession, trained: SelfTrained) -> dict[str, bytes]:
    """Draw the pictures of a run."""
    return {ACCEPTED: accepted(session, trained), EXPLAINED: explained(session, trained)}


def accepted(session: PhotoSession, trained: SelfTrained) -> bytes:
    """Show pseudo-labels of each round, from the most to the least confident that was accepted."""
    if not len(trained.ledger):
        figure = Figure(figsize=(1.2 * _COLUMNS, 0.5), facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.02, 0.5, _NONE, va="center", fontsize=9)
        return _small(figures.to_png(figure, dpi=125))
    entries = trained.ledger.columns()
    numbers = np.unique(entries["round"]).tolist()
    height = 1.38 * _ROWS * len(numbers) + 0.34 * len(numbers)
    figure = Figure(figsize=(1.2 * _COLUMNS, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(numbers), 1, squeeze=False).ravel()
    for part, number in zip(parts.tolist(), numbers, strict=True):
        mine = np.flatnonzero(entries["round"] == number)
        part.suptitle(f"Round {number}: {len(mine):,} new pseudo-labels", fontsize=9)
        order = mine[np.argsort(-entries["confidence"][mine], kind="stable")]
        shown = order[np.linspace(0, len(order) - 1, min(len(order), _COLUMNS * _ROWS)).astype(int)]
        grid = part.subplots(_ROWS, _COLUMNS).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, entry in zip(grid, shown.tolist(), strict=False):
            _show(axes, session, trained, {name: entries[name][entry] for name in entries})
    return _small(figures.to_png(figure, dpi=125))


def explained(session: PhotoSession, trained: SelfTrained) -> bytes:
    """Explain right, wrong and unsure predictions of held-out photos by LIME."""
    model: Any = _Explainable(session, trained.network)
    sheet = explain_sheet(
        model,
        session.test,
        session.config["sheet_photos"],
        y=session.y_test,
        n_samples=session.config["sheet_samples"],
        repeats=2,
        seed=session.seed,
        progress=session.progress,
    )
    return _small(draw_sheet(sheet, session.classes, title="Held-out photos, explained by LIME"))


@dataclass(frozen=True)
class _Size:
    """At which size the network looks at photos."""

    size: tuple[int, int]


@dataclass(frozen=True)
class _Prediction:
    """Class probabilities, one row a photo."""

    proba: np.ndarray


class _Explainable:
    """A self-trained network as the explanations want a model."""

    task: Task = SingleLabel()

    def __init__(self, session: PhotoSession, network: FineTuning) -> None:
        self.extractor = _Size((session.config["size"], session.config["size"]))
        self.classes = session.classes
        self._network = network

    def predict(self, images: ImageSet, *, progress: Any = None) -> _Prediction:
        """Predict photos of the network's size."""
        pixels = images.read(slice(None), size=self.extractor.size, channels=3)
        # A class without a label is never predicted, and has its column all the same.
        proba = np.zeros((len(pixels), len(self.classes)))
        proba[:, self._network.classes_] = self._network.predict_proba(pixels)
        return _Prediction(proba)


def _show(axes: Any, session: PhotoSession, trained: SelfTrained, entry: dict[str, Any]) -> None:
    """Show a photo with its pseudo-label, its confidence and whether it was right."""
    label, truth = trained.classes[entry["label"]], session.y[entry["row"]]
    name = f"{session.classes[label]} {100 * entry['confidence']:.0f} %"
    is_right = label == truth
    below = "" if is_right else f"true: {session.classes[truth]}"
    if entry["revoked"] >= 0:
        below = f"{below}, revoked" if below else "revoked"
    pixels = session.photos[entry["row"]]
    figures.draw_tile(axes, pixels, is_right=is_right, title=name, below=below, sizes=(6, 6))


def _small(png: bytes) -> bytes:
    """Turn a picture into a small one for a page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.width > _WIDTH:
        height = round(picture.height * _WIDTH / picture.width)
        picture = picture.resize((_WIDTH, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()
