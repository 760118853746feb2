"""Fractions in percent, as every page, table and message writes them."""

from __future__ import annotations


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
