"""The 2-D map of the images: where the classes lie, which images are labeled, who is unsure."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fewlabel.report.svg import HALO, INK, _draw
from fewlabel.texts import _printable

# Mid-tones: each stands out from a white page and from a dark one.
PALETTE = (
    "#3b82f6", "#f97316", "#1fa35b", "#e0445c", "#9467e8", "#a0704a", "#e06bb8", "#708096",
    "#b0a30d", "#12a5b8", "#86b4f2", "#f2ab6d", "#7fcb95", "#f0949f", "#bda0f0", "#c9a183",
    "#f0aad8", "#aeb9c8", "#d6cb58", "#74cfdb",
)  # fmt: skip
_WIDTH, _HEIGHT = 500.0, 460.0


def _class_color(index: int) -> str:
    """Return the color of a class; the twenty colors repeat."""
    return PALETTE[index % len(PALETTE)]


def _map_figure(
    xy: np.ndarray,
    codes: np.ndarray,
    confidence: np.ndarray,
    is_labeled: np.ndarray,
    classes: Sequence[str],
) -> Markup:
    """Draw images as points colored by class, labeled ones as stars, unsure ones faint."""

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set(**dict(zip(("xlim", "ylim"), np.transpose(_limits(xy)), strict=True)))
        _points(axes, xy, codes, confidence, is_labeled)
        _class_names(axes, xy, codes, classes)

    counts = np.bincount(codes, minlength=len(classes))
    largest = ", ".join(_printable(classes[c], limit=30) for c in np.argsort(-counts)[:3])
    alt = (
        f"Map of {len(xy):,} images as points colored by predicted class, "
        f"{int(is_labeled.sum()):,} labeled ones as stars. Most frequent: {largest}."
    )
    return _draw(paint, width=_WIDTH, height=_HEIGHT, name="map", alt=alt)


def _limits(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower left and the upper right corner of what is drawn."""
    # A few far-off images must not press all others into a corner.
    low, high = np.percentile(xy, [0.5, 99.5], axis=0)
    margin = 0.12 * np.maximum(high - low, 1e-9)
    low, high = np.maximum(low - margin, xy.min(0)), np.minimum(high + margin, xy.max(0))
    pad = 0.04 * np.maximum(high - low, 1e-9)
    return low - pad, high + pad


def _places(xy: np.ndarray) -> np.ndarray:
    """Return where points are drawn (n, 2), from the left and the top, as shares of the map."""
    low, high = _limits(xy)
    left, bottom = ((xy - low) / (high - low)).T
    return np.column_stack([left, 1 - bottom])


def _points(
    axes: Axes, xy: np.ndarray, codes: np.ndarray, confidence: np.ndarray, is_labeled: np.ndarray
) -> None:
    palette = np.array([to_rgb(color) for color in PALETTE])
    rgb = palette[codes % len(PALETTE)]
    alpha = 0.35 + 0.55 * np.clip(np.nan_to_num(confidence), 0, 1)
    rest = ~is_labeled
    # Many points are small, so that they do not hide each other.
    size = float(np.clip(24_000 / max(len(xy), 1), 7, 36))
    x, y = xy[:, 0], xy[:, 1]
    colors = np.column_stack([rgb, alpha])[rest]
    # As a picture at twice the screen's resolution, whose size does not grow with their number.
    axes.scatter(x[rest], y[rest], size, colors, linewidths=0, rasterized=True)
    star = float(np.clip(18_000 / max(int(is_labeled.sum()), 1), 36, 150))
    # A white rim around the black one keeps the stars apart from the points in dark mode too.
    for scale, face, edge in ((1.9, "white", "white"), (1.0, None, "black")):
        axes.scatter(
            x[is_labeled],
            y[is_labeled],
            star * scale,
            rgb[is_labeled] if face is None else face,
            marker="*",
            edgecolors=edge,
            linewidths=0.7,
            rasterized=True,
        )


def _class_names(axes: Axes, xy: np.ndarray, codes: np.ndarray, classes: Sequence[str]) -> None:
    """Write each class name at the median of its images, moved where two would overlap."""
    size = 13.0 if len(classes) <= 12 else 11.0 if len(classes) <= 20 else 9.5
    placed: list[tuple[float, float, float]] = []
    counts = np.bincount(codes, minlength=len(classes))
    for k in np.argsort(-counts, kind="stable"):
        if counts[k] == 0:
            break
        text = _printable(classes[k], limit=22 if len(classes) <= 20 else 14)
        middle = np.median(xy[codes == k], axis=0)
        x, y = np.asarray(axes.transAxes.inverted().transform(axes.transData.transform(middle)))
        spot = _free_spot(float(x) * _WIDTH, float(y) * _HEIGHT, text, size, placed)
        if spot is None:
            continue
        axes.text(
            spot[0] / _WIDTH,
            spot[1] / _HEIGHT,
            text,
            transform=axes.transAxes,
            ha="center",
            va="center",
            size=size,
            weight="bold",
            color=INK,
            gid=HALO,
        )


def _free_spot(
    x: float, y: float, text: str, size: float, placed: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    """Nearest place where a text overlaps no earlier one; None if there is none close by."""
    # Half the width of a bold text by its mean letter: the browser's font is not known here.
    half, line = 0.29 * size * len(text) + 3, 1.15 * size
    x = float(np.clip(x, half, max(_WIDTH - half, half)))
    for step in (0, 1, -1, 2, -2, 3, -3):
        spot = (x, float(np.clip(y + step * line, line / 2, _HEIGHT - line / 2)))
        if all(
            abs(spot[0] - other_x) > half + other_half or abs(spot[1] - other_y) > 0.95 * line
            for other_x, other_y, other_half in placed
        ):
            placed.append((*spot, half))
            return spot
    return None
