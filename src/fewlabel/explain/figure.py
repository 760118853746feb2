"""Pictures of explanations: green speaks for the class, red against it, beside the original."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fewlabel.explain.explanation import Explanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOR = (0, 150, 96)
"""Green, RGB: speaks for the class. A bluish one, which nobody takes for the red."""

AGAINST = (214, 48, 28)
"""Red, RGB: speaks against it."""

_STRONGEST = 0.75
_FAINTEST = 0.08
_DARKEST, _CONTRAST = 85, 0.5
_INK, _MUTED = "#151a21", "#576170"
_DPI = 150


@dataclass(frozen=True, eq=False)
class SheetItem:
    """One explained prediction of a sheet.

    Attributes
    ----------
    explanation : Explanation
        The explanation.
    heading : str
        What is explained, in bold, such as ``"Coat 93 %"``.
    note : str
        A line more, such as the true class.
    name : str
        Path or number of the image.
    """

    explanation: Explanation
    heading: str
    note: str = ""
    name: str = ""


def original_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Give the image that was explained, in RGB.

    Parameters
    ----------
    explanation : Explanation
        The explanation.

    Returns
    -------
    ndarray of shape (k·H, k·W, 3), dtype uint8
        Pixels, k times as fine as the model sees them.
    """
    pixels = explanation.image if explanation.display is None else explanation.display
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def overlay_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Tint the image by what each segment says: green for the class, red against it.

    The strongest segment is tinted most. The image itself is shown pale and grey, so that its
    own colours are not taken for the explanation.

    Parameters
    ----------
    explanation : Explanation
        The explanation.

    Returns
    -------
    ndarray of shape (k·H, k·W, 3), dtype uint8
        Pixels, k times as fine as the model sees them.

    Examples
    --------
    >>> from fewlabel.explain.explanation import explain_image
    >>> model = lambda images: np.stack([images[:, 0, 0, 0], images[:, 7, 7, 0]], 1) / 200
    >>> image = np.full((8, 8, 1), 200, np.uint8)
    >>> pixels = overlay_pixels(explain_image(model, image, target=0, n_samples=50, fill="grey"))
    >>> red, green, blue = pixels[0, 0].tolist()
    >>> green > red
    True
    """
    return _tinted(explanation, explanation.weights[explanation.segments])


def occlusion_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Tint the image by what covering each place does, in the same colours.

    Parameters
    ----------
    explanation : Explanation
        The explanation.

    Returns
    -------
    ndarray of shape (k·H, k·W, 3), dtype uint8
        Pixels, k times as fine as the model sees them.
    """
    return _tinted(explanation, explanation.occlusion)


def explanation_png(explanation: Explanation, classes: Sequence[str], *, name: str = "") -> bytes:
    """Draw one explanation: the original, what LIME says, and occlusion beside it.

    Parameters
    ----------
    explanation : Explanation
        The explanation.
    classes : sequence of str
        Names of the classes.
    name : str
        Path or number of the image.

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.figure import Figure

    height, width = explanation.segments.shape
    panel, head, foot, gap = 3.0, 0.85, 0.78, 0.12
    tall = panel * min(1.6, max(0.5, height / width))
    size = (3 * panel + 4 * gap, tall + head + foot)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    target = _short(classes[explanation.target], 24)
    panels = (
        (original_pixels(explanation), "what the model sees"),
        (overlay_pixels(explanation), f"LIME: for and against {target}"),
        (occlusion_pixels(explanation), "check by occlusion"),
    )
    for column, (pixels, title) in enumerate(panels):
        left = gap + column * (panel + gap)
        _show(figure, pixels, (left, foot, panel, tall), size)
        place = (left + panel / 2, foot + tall + 0.06)
        _text(figure, title, place, size, fontsize=9, color=_MUTED, ha="center", va="bottom")
    above = foot + tall + head
    _text(
        figure, _told(explanation, classes), (gap, above - 0.28), size, fontsize=13, weight="bold"
    )
    place = (size[0] - gap, above - 0.28)
    _text(figure, _short(name, 48), place, size, fontsize=8, color=_MUTED, ha="right")
    _text(figure, scores_line(explanation), (gap, 0.48), size, fontsize=9)
    _legend(figure, (gap, 0.2), size)
    return _png(figure)


def sheet_png(
    groups: Sequence[tuple[str, Sequence[SheetItem]]], *, columns: int = 4, title: str = ""
) -> bytes:
    """Draw many explanations, group by group, each beside its original.

    Parameters
    ----------
    groups : sequence of (str, sequence of SheetItem)
        Heading and items of each group; empty groups are left out.
    columns : int
        Most items in a row.
    title : str
        A line above all.

    Returns
    -------
    bytes
        A PNG file.

    Raises
    ------
    ValueError
        If there is no item.
    """
    from matplotlib.figure import Figure

    rows = [
        (heading if start == 0 else "", list(items[start : start + columns]))
        for heading, items in groups
        for start in range(0, len(items), columns)
    ]
    if not rows:
        raise ValueError("A sheet needs at least one explained image.")
    side, gap, below, above = 1.4, 0.26, 0.56, 0.34
    columns = max(len(items) for _, items in rows)
    heights = [side + below + (above if heading else 0.0) for heading, _ in rows]
    size = (max(columns * (2 * side + gap) + gap, 6.4), sum(heights) + 0.95)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    top = size[1] - 0.5
    _text(figure, _short(title, 100), (gap, top + 0.2), size, fontsize=12, weight="bold")
    for (heading, items), height in zip(rows, heights, strict=True):
        if heading:
            _text(figure, heading, (gap, top - 0.17), size, fontsize=10.5, weight="bold")
        for column, item in enumerate(items):
            left = gap + column * (2 * side + gap)
            _pair(figure, item, (left, top - height + below, side), size)
        top -= height
    _legend(figure, (gap, 0.22), size)
    return _png(figure)


def scores_line(explanation: Explanation) -> str:
    """Say in one line how far to believe an explanation.

    Parameters
    ----------
    explanation : Explanation
        The explanation.

    Returns
    -------
    str
        Stability, agreement with occlusion, fidelity, and how they were found.
    """
    n = len(explanation.repeats)
    return (
        f"stability {_number(explanation.stability)}   ·   "
        f"agreement with occlusion {_number(explanation.agreement)}   ·   "
        f"fidelity {_number(explanation.fidelity)}   ·   "
        f"{n} × {explanation.n_samples:,} samples, {len(explanation.weights)} segments"
    )


def percent(share: float) -> str:
    """Give a probability in per cent; what is below 1 is never called 100.

    Parameters
    ----------
    share : float
        Between 0 and 1.

    Returns
    -------
    str
        Such as ``"93 %"``.

    Examples
    --------
    >>> percent(0.9999)
    '> 99 %'
    """
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _tinted(explanation: Explanation, values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lay green where values are positive and red where they are negative over the image."""
    strength = np.abs(values)
    share = strength / (strength.max() or 1.0)
    opacity = np.where(share > _FAINTEST, _STRONGEST * np.sqrt(share), 0.0)[..., None]
    colour = np.where(values[..., None] > 0, FOR, AGAINST)
    base = original_pixels(explanation).astype(np.float64)
    fine = base.shape[0] // values.shape[0]
    opacity = opacity.repeat(fine, axis=0).repeat(fine, axis=1)
    colour = colour.repeat(fine, axis=0).repeat(fine, axis=1)
    grey = (base @ [0.299, 0.587, 0.114])[..., None]
    pale = _DARKEST + grey * _CONTRAST
    return np.rint(pale * (1 - opacity) + colour * opacity).astype(np.uint8)


def _told(explanation: Explanation, classes: Sequence[str]) -> str:
    proba, target = explanation.proba, explanation.target
    told = f"{_short(classes[target], 40)} {percent(proba[target])}"
    predicted = int(proba.argmax())
    if predicted == target:
        return told
    return f"{told}   (predicted: {_short(classes[predicted], 30)} {percent(proba[predicted])})"


def _pair(
    figure: Figure,
    item: SheetItem,
    place: tuple[float, float, float],
    size: tuple[float, float],
) -> None:
    left, low, side = place
    for step, pixels in enumerate(
        (original_pixels(item.explanation), overlay_pixels(item.explanation))
    ):
        _show(figure, pixels, (left + step * side, low, 0.98 * side, side), size)
    stable = f"stability {_number(item.explanation.stability)}"
    lines = (
        (item.heading, {"fontsize": 8.5, "weight": "bold"}),
        (" · ".join(filter(None, (item.note, stable))), {"fontsize": 7.2, "color": _INK}),
        (item.name, {"fontsize": 6.5, "color": _MUTED}),
    )
    for row, (line, style) in enumerate(lines):
        _text(figure, _short(line, 54), (left, low - 0.11 - 0.145 * row), size, **style)


def _show(
    figure: Figure,
    pixels: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    size: tuple[float, float],
) -> None:
    left, low, width, height = box
    axes = figure.add_axes((left / size[0], low / size[1], width / size[0], height / size[1]))
    axes.imshow(pixels, interpolation="nearest")
    axes.set_axis_off()


def _text(
    figure: Figure, text: str, place: tuple[float, float], size: tuple[float, float], **style: Any
) -> None:
    x, y = place[0] / size[0], place[1] / size[1]
    # A class may be called $x^2$: it is a name, not a formula.
    figure.text(x, y, text, parse_math=False, **{"va": "center", "color": _INK} | style)


def _legend(figure: Figure, place: tuple[float, float], size: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    x, y = place
    for colour, text in ((FOR, "speaks for the class"), (AGAINST, "speaks against it")):
        figure.add_artist(
            Rectangle(
                (x / size[0], (y - 0.06) / size[1]),
                0.13 / size[0],
                0.13 / size[1],
                transform=figure.transFigure,
                facecolor=[part / 255 for part in colour],
            )
        )
        _text(figure, text, (x + 0.2, y), size, fontsize=8.5, color=_MUTED)
        x += 1.75


def _short(text: str, limit: int) -> str:
    """Keep a text on one line; the middle of a long one gives way to an ellipsis."""
    clean = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
    if len(clean) <= limit:
        return clean
    head = limit // 2
    return f"{clean[:head]}…{clean[len(clean) - (limit - head - 1) :]}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks becomes boxes, which is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
