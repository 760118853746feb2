"""Pictures of explanations: green speaks for the class, red against it, beside the original."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fewlabel.explain.explanation import Explanation
from fewlabel.explain.model import Explained
from fewlabel.texts import _fixed, _percent, _printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOR = (0, 150, 96)
"""Green, RGB: speaks for the class. A bluish one, which nobody takes for the red."""

AGAINST = (214, 48, 28)
"""Red, RGB: speaks against it."""

# Opacity of the strongest segment: the image must still be seen below it.
_STRONGEST = 0.75
# Below this part of the strongest weight there is no tint: it would be noise.
_FAINTEST = 0.08
_DARKEST, _CONTRAST = 85, 0.5
_INK, _MUTED = "#151a21", "#576170"
_DPI = 150
_COLUMNS = 4  # explanations in a row of a sheet

KINDS = {
    "right": "Right, and most confident",
    "wrong": "Wrong, and most confident",
    "sure": "Most confident",
    "unsure": "Unsure: another prediction is nearly as probable",
}
"""What the groups of a sheet are called."""


def _original_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Return the image that was explained, in RGB (k·H, k·W, 3)."""
    pixels = explanation.image if explanation.display is None else explanation.display
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _overlay_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Tint the image, pale and gray, by its weights: green for the class, red against it."""
    return _tinted(explanation, explanation.weights[explanation.segments])


def _occlusion_pixels(explanation: Explanation) -> NDArray[np.uint8]:
    """Tint the image by what covering each place does, in the same colors."""
    return _tinted(explanation, explanation.occlusion)


def _explanation_png(explained: Explained, classes: Sequence[str]) -> bytes:
    """Return a PNG of one explanation: the original, what LIME finds, and occlusion."""
    from matplotlib.figure import Figure

    explanation = explained.explanation
    height, width = explanation.segments.shape
    panel, head, foot, gap = 3.0, 0.85, 0.78, 0.12
    # A panorama or a tower would leave no room for the texts.
    tall = panel * min(1.6, max(0.5, height / width))
    size = (3 * panel + 4 * gap, tall + head + foot)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    target = _printable(classes[explanation.target], limit=24)
    panels = (
        (_original_pixels(explanation), "what the model sees"),
        (_overlay_pixels(explanation), f"LIME: for and against {target}"),
        (_occlusion_pixels(explanation), "check by occlusion"),
    )
    for column, (pixels, title) in enumerate(panels):
        left = gap + column * (panel + gap)
        _show(figure, pixels, (left, foot, panel, tall))
        place = (left + panel / 2, foot + tall + 0.06)
        _text(figure, title, place, fontsize=9, color=_MUTED, ha="center", va="bottom")
    above = foot + tall + head
    _text(figure, _title(explained, classes), (gap, above - 0.28), fontsize=13, weight="bold")
    place = (size[0] - gap, above - 0.28)
    name = _printable(explained.name, limit=48)
    _text(figure, name, place, fontsize=8, color=_MUTED, ha="right")
    _text(figure, _scores_line(explanation), (gap, 0.48), fontsize=9)
    _legend(figure, (gap, 0.2))
    return _png(figure)


def draw_sheet(explained: Sequence[Explained], classes: Sequence[str], *, title: str = "") -> bytes:
    """Return a picture of explained predictions, each beside its original, kind by kind.

    Parameters
    ----------
    explained : sequence of Explained
        From `fewlabel.explain.sheets.explain_sheet`; at least one.
    classes : sequence of str
        Names of the classes.
    title : str
        A line above all.

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.figure import Figure

    rows = [
        (heading if start == 0 else "", those[start : start + _COLUMNS])
        for kind, heading in KINDS.items()
        for those in [[one for one in explained if one.kind == kind]]
        for start in range(0, len(those), _COLUMNS)
    ]
    side, gap, below, above = 1.4, 0.26, 0.56, 0.34
    columns = max(len(items) for _, items in rows)
    heights = [side + below + (above if heading else 0.0) for heading, _ in rows]
    size = (max(columns * (2 * side + gap) + gap, 6.4), sum(heights) + 0.95)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    top = size[1] - 0.5
    _text(figure, _printable(title, limit=100), (gap, top + 0.2), fontsize=12, weight="bold")
    for (heading, items), height in zip(rows, heights, strict=True):
        if heading:
            _text(figure, heading, (gap, top - 0.17), fontsize=10.5, weight="bold")
        for column, item in enumerate(items):
            left = gap + column * (2 * side + gap)
            _pair(figure, item, classes, (left, top - height + below, side))
        top -= height
    _legend(figure, (gap, 0.22))
    return _png(figure)


def _scores_line(explanation: Explanation) -> str:
    """Return in one line how far an explanation can be trusted."""
    n = len(explanation.repeats)
    return (
        f"stability {_fixed(explanation.stability, 2)}   ·   "
        f"agreement with occlusion {_fixed(explanation.agreement, 2)}   ·   "
        f"fidelity {_fixed(explanation.fidelity, 2)}   ·   "
        f"{n} × {explanation.n_samples:,} samples, {len(explanation.weights)} segments"
    )


def _tinted(explanation: Explanation, values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lay green where values are positive and red where they are negative over the image."""
    strength = np.abs(values)
    share = strength / (strength.max() or 1.0)
    # The square root lets weak segments be seen beside a strong one.
    opacity = np.where(share > _FAINTEST, _STRONGEST * np.sqrt(share), 0.0)[..., None]
    color = np.where(values[..., None] > 0, FOR, AGAINST)
    base = _original_pixels(explanation).astype(np.float64)
    fine = base.shape[0] // values.shape[0]
    opacity = opacity.repeat(fine, axis=0).repeat(fine, axis=1)
    color = color.repeat(fine, axis=0).repeat(fine, axis=1)
    # Luma, as a gray photo weighs the colors.
    gray = (base @ [0.299, 0.587, 0.114])[..., None]
    pale = _DARKEST + gray * _CONTRAST
    return np.rint(pale * (1 - opacity) + color * opacity).astype(np.uint8)


def _title(explained: Explained, classes: Sequence[str]) -> str:
    proba, target = explained.explanation.proba, explained.explanation.target
    text = f"{_printable(classes[target], limit=40)} {_percent(proba[target], 0, ' ')}"
    if explained.predicted == classes[target]:
        return text
    predicted = _printable(explained.predicted, limit=30)
    if explained.predicted in classes:
        share = proba[list(classes).index(explained.predicted)]
        predicted += f" {_percent(share, 0, ' ')}"
    return f"{text}   (predicted: {predicted})"


def _pair(
    figure: Figure, item: Explained, classes: Sequence[str], place: tuple[float, float, float]
) -> None:
    left, low, side = place
    for step, pixels in enumerate(
        (_original_pixels(item.explanation), _overlay_pixels(item.explanation))
    ):
        _show(figure, pixels, (left + step * side, low, 0.98 * side, side))
    stable = f"stability {_fixed(item.explanation.stability, 2)}"
    target, proba = item.explanation.target, item.explanation.proba
    bold = f"{classes[target]} {_percent(proba[target], 0, ' ')}"
    lines = (
        (bold, {"fontsize": 8.5, "weight": "bold"}),
        (" · ".join(filter(None, (item.note, stable))), {"fontsize": 7.2, "color": _INK}),
        (item.name, {"fontsize": 6.5, "color": _MUTED}),
    )
    for row, (line, style) in enumerate(lines):
        _text(figure, _printable(line, limit=54), (left, low - 0.11 - 0.145 * row), **style)


def _show(
    figure: Figure, pixels: NDArray[np.uint8], box: tuple[float, float, float, float]
) -> None:
    left, low, width, height = box
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, low / up, width / across, height / up))
    axes.imshow(pixels, interpolation="nearest")
    axes.set_axis_off()


def _text(figure: Figure, text: str, place: tuple[float, float], **style: Any) -> None:
    x, y = place / figure.get_size_inches()
    # A class may be called $x^2$: it is a name, not a formula.
    figure.text(x, y, text, parse_math=False, **{"va": "center", "color": _INK} | style)


def _legend(figure: Figure, place: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    x, y = place
    for color, text in ((FOR, "speaks for the class"), (AGAINST, "speaks against it")):
        figure.add_artist(
            Rectangle(
                (x, y - 0.06),
                0.13,
                0.13,
                transform=figure.dpi_scale_trans,
                facecolor=[part / 255 for part in color],
            )
        )
        _text(figure, text, (x + 0.2, y), fontsize=8.5, color=_MUTED)
        x += 1.75


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks becomes boxes, which is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
