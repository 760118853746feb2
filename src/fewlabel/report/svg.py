"""Matplotlib figures as inline SVG that follows the page: its colours, its font, its dark mode."""

from __future__ import annotations

import base64
import io
import re
import threading
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

# Figures are drawn in these stand-in colours; the page's own colours take their place, so that
# one drawing serves light, dark and print.
INK = "#010001"
MUTED = "#010002"
LINE = "#010003"
ACCENT = "#010004"
BAD = "#010005"
ON_HEAT = "#010006"
CARD = "#010007"
ACCENT_2 = "#010008"
HEAT = "#010009"
HEAT_BAD = "#01000a"
_ROLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    BAD: "var(--bad)",
    ON_HEAT: "#fff",
    CARD: "var(--card)",
    ACCENT_2: "var(--accent-2)",
    HEAT: "var(--heat)",
    HEAT_BAD: "var(--heat-bad)",
}

HALO = "halo"  # gid of a text that needs an outline in the card's colour, to be read over points

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fewlabel",
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

_LOCK = threading.RLock()  # matplotlib's settings and its font cache belong to the process
_PNG = "data:image/png;base64,"
_XLINK = "{http://www.w3.org/1999/xlink}href"


def printable(text: object, *, limit: int | None = None) -> str:
    r"""Text that every HTML and SVG reader accepts, on one line.

    Control characters and the lone surrogates of file names that are not UTF-8 are replaced.

    Parameters
    ----------
    text : object
        Anything; ``str`` of it is taken.
    limit : int, optional
        Longest result in characters; the middle of a longer text gives way to an ellipsis.

    Returns
    -------
    str
        Clean text.

    Examples
    --------
    >>> printable("a\tb\x00c")
    'a b�c'
    >>> printable("vegetables/carrots", limit=9)
    'vege…rots'
    """
    clean = "".join(
        " " if c.isspace() else "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c
        for c in str(text)
    )
    if limit is None or len(clean) <= limit:
        return clean
    head = limit // 2
    return f"{clean[:head]}…{clean[len(clean) - (limit - head - 1) :]}"


def draw(
    paint: Callable[[Figure], None], *, width: float, height: float, name: str, alt: str
) -> Markup:
    """Draw a figure and return it as inline SVG markup.

    Parameters
    ----------
    paint : callable
        Draws into the figure that it is given, in the stand-in colours of this module.
    width : float
        Width of the figure in CSS pixels.
    height : float
        Height in CSS pixels.
    name : str
        Prefix of the SVG's identifiers, different for each figure of a page.
    alt : str
        What the figure shows, in words, for people who cannot see it.

    Returns
    -------
    markupsafe.Markup
        An ``<svg>`` element without a date, an outside address or a font of its own; the same
        for the same input.

    Examples
    --------
    >>> svg = draw(lambda figure: None, width=100, height=50, name="empty", alt="nothing")
    >>> svg.startswith("<svg")
    True
    """
    buffer = io.BytesIO()
    with _LOCK, matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has fonts for scripts that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())
    _adopt(root, name)
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": f"0 0 {width:g} {height:g}",
            "width": f"{width:g}",
            "height": f"{height:g}",
            "role": "img",
            "aria-label": printable(alt),
        }
    )
    return Markup(ET.tostring(root, encoding="unicode"))  # escaped by ElementTree


def _adopt(root: ET.Element, name: str) -> None:
    """Make matplotlib's SVG fit to stand inside an HTML page beside others."""
    used = set(re.findall(r"#([\w.-]+)", " ".join(_references(root))))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = element.text if element.tag == "text" else None
        element.tail = None
        own = element.attrib.pop("id", "")
        if own in used:
            element.set("id", f"{name}-{own}")
        elif own == HALO:
            element.set("class", HALO)
        if _XLINK in element.attrib:
            target = re.sub(r"\s", "", element.attrib.pop(_XLINK))
            if target.startswith(_PNG):
                element.set("href", _smaller(target))
            else:
                element.set("href", target.replace("#", f"#{name}-", 1))
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{name}-"))
        if "style" in element.attrib:
            element.set("style", _page_style(element.attrib["style"]))


def _smaller(uri: str) -> str:
    """Reduce an embedded picture to 256 colours: points need no more, at a third of the size."""
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(_PNG)))).convert("RGBA")
    buffer = io.BytesIO()
    picture.quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "png", optimize=True)
    return _PNG + base64.b64encode(buffer.getvalue()).decode("ascii")


def _references(root: ET.Element) -> list[str]:
    return [
        value
        for element in root.iter()
        for key, value in element.attrib.items()
        if key in (_XLINK, "clip-path") and not value.startswith("data:")
    ]


def _page_style(style: str) -> str:
    style = re.sub(r"font-family:[^;]*;?\s*", "", style)
    return re.sub(r"#0100[0-9a-f]{2}", lambda match: _ROLES[match[0]], style)
