"""Matplotlib's figures as inline SVG, in the page's light colors, for which CSS has dark ones."""

import base64
import io
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from fewlabel.texts import _printable

INK, MUTED, LINE, ACCENT = "#151a21", "#576170", "#e1e5ea", "#2456d6"
ACCENT_2, HEAT, HEAT_BAD, ON_HEAT = "#b9520b", "#1e3a8a", "#7c2d12", "#ffffff"

# CSS variables of the page, which follow its light or dark mode, by the color they replace.
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    ACCENT: "--accent",
    ACCENT_2: "--accent-2",
    HEAT: "--heat",
    HEAT_BAD: "--heat-bad",
}

HALO = "halo"  # gid of a text that needs an outline in the card's color, to be read over points
DASHED = (0, (4, 3))
WIDTH, HEIGHT = 390.0, 300.0
COUNT = FuncFormatter(lambda value, _: f"{value:,.0f}")

_STYLE: Any = {
    # Text stays text: it can be searched, and takes the font of the page.
    "svg.fonttype": "none",
    # A class may be called $x^2$.
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 11,
    "axes.unicode_minus": False,
    "figure.facecolor": "none",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
# Without a date, the same fit gives the same page.
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_PNG = "data:image/png;base64,"
_LOCK = threading.RLock()  # matplotlib's settings and its font cache belong to the process


def _fraction_axis(axis: Axis, low: float = 0.0, high: float = 1.0) -> None:
    """Show a range of fractions in percent, no farther than fractions go."""
    set_range = axis.axes.set_xlim if axis is axis.axes.xaxis else axis.axes.set_ylim
    set_range(max(low, 0.0), min(high, 1.0))
    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))


def _draw(
    paint: Callable[[Figure], None],
    *,
    name: str,
    alt: str,
    width: float = WIDTH,
    height: float = HEIGHT,
) -> Markup:
    """Return what ``paint`` draws into a figure as an ``<svg>`` element; sizes in CSS pixels."""
    buffer = io.StringIO()
    # The salt keeps the identifiers of several figures on a page apart.
    style = _STYLE | {"svg.hashsalt": name}
    with _LOCK, matplotlib.rc_context(style), warnings.catch_warnings():
        # The browser has fonts for scripts that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        figure.savefig(buffer, format="svg", dpi=160, metadata=_NO_METADATA)
    # The first definitions hold a style sheet for the whole document, which is the page here.
    drawing = buffer.getvalue().partition("</defs>")[2].replace("xlink:href", "href")
    drawing = drawing.replace(f'<g id="{HALO}">', f'<g class="{HALO}">')
    # Groups are numbered anew in each figure, and nothing refers to them.
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)
    drawing = re.sub(rf'(?<={_PNG})[^"]*', _fewer_colors, drawing)
    opening = Markup(
        '<svg viewBox="0 0 {0:g} {1:g}" width="{0:g}" height="{1:g}" role="img" aria-label="{2}">'
    ).format(width, height, escape(_printable(alt)))
    return opening + Markup(drawing)  # matplotlib has escaped its texts


def _fewer_colors(png: re.Match[str]) -> str:
    """Reduce an embedded picture to 256 colors: points need no more, at a quarter of the size."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png[0]))).convert("RGBA")
    picture.quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
