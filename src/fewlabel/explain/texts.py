"""Names and numbers as pictures and pages show them."""

from __future__ import annotations

import math
import unicodedata

from fewlabel.percent import _percent_text


def _printable(text: object, *, limit: int | None = None) -> str:
    r"""Return text on one line that every HTML and SVG reader accepts, shortened in its middle.

    >>> _printable("a\tb\x00c"), _printable("vegetables/carrots", limit=9)
    ('a b�c', 'vege…rots')
    """
    clean = "".join(
        " " if c.isspace() else "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c
        for c in str(text)
    )
    if limit is None or len(clean) <= limit:
        return clean
    head = limit // 2
    # Paths differ at their ends as often as at their beginnings.
    return f"{clean[:head]}…{clean[len(clean) - (limit - head - 1) :]}"


def _percent(fraction: float | None, digits: int = 1, space: str = "\u202f") -> str:
    """Return a fraction in percent, such as ``"84.1 %"``; a dash where there is none."""
    if fraction is None or math.isnan(fraction):
        return "–"
    return _percent_text(fraction, digits, space)


def _fixed(number: float | None, digits: int = 3) -> str:
    """Return a number with so many digits; a dash where there is none."""
    return "–" if number is None or math.isnan(number) else f"{number:.{digits}f}"
