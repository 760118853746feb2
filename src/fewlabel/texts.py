"""Fractions, numbers and names, as every page, table and message writes them."""

import math
import unicodedata


def _percent_text(fraction: float, digits: int = 1, space: str = " ") -> str:
    """Return a fraction in percent; only all is 100 % and only nothing 0 %.

    >>> _percent_text(0.8412), _percent_text(0.9996), _percent_text(0.004, 0, "")
    ('84.1 %', '> 99.9 %', '< 1%')
    """
    text, step = f"{100 * fraction:.{digits}f}", 10.0**-digits
    # "100 %" would promise more than 99.6 % does.
    if fraction < 1 and float(text) == 100:
        text = f"> {100 - step:.{digits}f}"
    elif fraction > 0 and float(text) == 0:
        text = f"< {step:.{digits}f}"
    return f"{text}{space}%"


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


def _counted(n: int, thing: str = "image") -> str:
    """Return how many there are of something.

    >>> _counted(1), _counted(1200, "label")
    ('1 image', '1,200 labels')
    """
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def _fixed(number: float | None, digits: int = 3) -> str:
    """Return a number with so many digits; a dash where there is none."""
    return "–" if number is None or math.isnan(number) else f"{number:.{digits}f}"
