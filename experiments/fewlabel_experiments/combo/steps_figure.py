"""The figure of preprocessing: one row an image, one column a step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fewlabel.errors import UsageError
from fewlabel.files import atomic_file

from .. import figures
from .preprocess import HOWS, PreprocessSettings, Steps, preprocessing_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (
    "original",
    "specks gone",
    "blurred",
    "background gone",
    "ink",
    "opened",
    "pieces",
    "characters",
    "re-composed",
)
"""Headings of the columns."""

_COLORS = np.array(
    [[0, 0, 0], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [204, 121, 167]],
    dtype=np.uint8,
)
_MAX_ROWS = 40


def steps_figure(
    images: NDArray[np.uint8],
    path: str | Path | None = None,
    *,
    settings: PreprocessSettings | None = None,
) -> bytes:
    """Draw what each step of preprocessing makes of some images."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not 1 <= len(images) <= _MAX_ROWS:
        raise UsageError(f"The figure takes 1 to {_MAX_ROWS} images. Got {len(images)} instead.")
    steps = preprocessing_steps(images, settings)
    height = 1.1 * len(images) + 0.3
    figure = Figure(figsize=(len(COLUMNS), height))
    figure.subplots_adjust(0.01, 0.15 / height, 0.99, 1 - 0.25 / height, wspace=0.08, hspace=0.16)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(images), len(COLUMNS), squeeze=False)
    for row, axes in enumerate(grid):
        for name, place, pixels in zip(COLUMNS, axes, _pictures(steps, row), strict=True):
            place.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            place.set_axis_off()
            if row == 0:
                place.set_title(name, fontsize=8)
        _mark(axes[-2], steps.parts[row])
        how = HOWS[steps.how[row]]
        axes[-1].text(
            0.5, -0.02, how, transform=axes[-1].transAxes, ha="center", va="top", fontsize=7
        )
    content = figures.to_png(figure)
    if path is not None:
        with atomic_file(path) as temporary:
            temporary.write_bytes(content)
    return content


def _pictures(steps: Steps, row: int) -> list[np.ndarray]:
    flat = steps.flat[row]
    spread = flat * (255 / max(float(flat.max()), 1.0))
    pieces = steps.pieces[row]
    # Numbers run through the whole batch: colors begin anew in each image.
    first = pieces[pieces > 0].min(initial=np.iinfo(np.int32).max)
    codes = np.where(pieces > 0, (pieces - first) % (len(_COLORS) - 1) + 1, 0)
    return [
        steps.original[row],
        steps.specks[row],
        steps.blurred[row],
        np.clip(spread, 0, 255),
        steps.ink[row] * 255,
        steps.opened[row] * 255,
        _COLORS[codes],
        _COLORS[steps.parts[row]],
        steps.result[row],
    ]


def _mark(axes: Axes, parts: NDArray[np.int8]) -> None:
    from matplotlib.patches import Rectangle

    for part in (1, 2):
        y, x = np.nonzero(parts == part)
        if len(x):
            corner = (float(x.min()) - 0.5, float(y.min()) - 0.5)
            size = float(np.ptp(x)) + 1, float(np.ptp(y)) + 1
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor="white", linewidth=0.8))
