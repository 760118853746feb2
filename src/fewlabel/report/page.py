"""What every report is built from: the page itself, its headline, and how numbers are written."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np

from fewlabel.evaluate import AccuracyEstimate
from fewlabel.report.scoring import View

Fact = tuple[str, str, str]  # name, value, what it means
# What HTML forbids in text: control characters other than tab and line feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def render(template: str, **context: Any) -> str:
    """Fill in a template.

    Parameters
    ----------
    template : str
        Name of the template.
    **context
        What it shows.

    Returns
    -------
    str
        A whole HTML page, which can be encoded as UTF-8.
    """
    page = _environment().get_template(template).render(context)
    # File names that are not UTF-8 come as lone surrogates, which no encoder accepts.
    page = page.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub("\ufffd", page)


def headline(
    kicker: str,
    measure: tuple[float, float, float, float],
    lines: list[str],
    facts: list[Fact],
) -> View:
    """Put the headline together.

    Parameters
    ----------
    kicker : str
        What was measured, and on what.
    measure : tuple of (float, float, float, float)
        Value, low and high end of its interval, and the level of the interval.
    lines : list of str
        Sentences below it; empty ones are left out.
    facts : list of (str, str, str)
        Name and value of other numbers, and what each means.

    Returns
    -------
    dict
        What the template shows.
    """
    value, low, high, level = measure
    return {
        "kicker": kicker,
        "value": value,
        "low": low,
        "high": high,
        "level": level,
        "lines": [line for line in lines if line],
        "facts": facts,
    }


def measure_of(estimate: AccuracyEstimate) -> tuple[float, float, float, float]:
    """Give an estimate as `headline` takes it.

    Parameters
    ----------
    estimate : AccuracyEstimate
        The estimate.

    Returns
    -------
    tuple of (float, float, float, float)
        Value, low and high end, and level.
    """
    return estimate.value, estimate.low, estimate.high, estimate.level


def set_aside(skipped: Sequence[tuple[str, str]]) -> list[Fact]:
    """Count the files that were set aside.

    Parameters
    ----------
    skipped : sequence of (str, str)
        Path and reason of each.

    Returns
    -------
    list of (str, str, str)
        One fact, or none.

    Examples
    --------
    >>> set_aside([])
    []
    """
    hint = "files that could not be used: see the end of this page"
    return [("set aside", as_count(len(skipped)), hint)] if skipped else []


def expectation_line(expected: AccuracyEstimate, value: float) -> str:
    """Compare what was measured with what the fit expected.

    Parameters
    ----------
    expected : AccuracyEstimate
        What ``fewlabel fit`` expected.
    value : float
        What was measured.

    Returns
    -------
    str
        A sentence.
    """
    span = f"{as_percent(expected.low)} – {as_percent(expected.high)}"
    if expected.low <= value <= expected.high:
        verdict = "As expected: inside the interval"
    else:
        verdict = f"{'Above' if value > expected.high else 'Below'} the interval"
    return f"{verdict} {span} that `fewlabel fit` gave from {expected.n:,} labels."


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fewlabel.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=as_count, duration=_duration, fixed=as_fixed, percent=as_percent, width=_width
    )
    return environment


def as_percent(share: float | None, digits: int = 1) -> str:
    """Write a share in percent.

    Parameters
    ----------
    share : float or None
        From 0 to 1.
    digits : int
        Digits behind the point.

    Returns
    -------
    str
        Such as ``"84.1 %"``; a dash where there is none.
    """
    if share is None or math.isnan(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    # "100 % sure" would promise more than 99.6 % does.
    if share < 1 and float(text) == 100:
        return f"> {100 - 10**-digits:.{digits}f}\u202f%"
    return f"{text}\u202f%"


def as_count(number: float) -> str:
    """Write a number of things.

    Parameters
    ----------
    number : float
        The number.

    Returns
    -------
    str
        With commas between the thousands.

    Examples
    --------
    >>> as_count(1234)
    '1,234'
    """
    return f"{number:,.0f}"


def as_fixed(number: float | None) -> str:
    """Write a number with three digits behind the point.

    Parameters
    ----------
    number : float or None
        The number.

    Returns
    -------
    str
        Such as ``"0.125"``; a dash where there is none.

    Examples
    --------
    >>> as_fixed(0.125)
    '0.125'
    """
    return "–" if number is None or math.isnan(number) else f"{number:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}\u202fs"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u202fmin {rest}\u202fs"
    return f"{minutes // 60}\u202fh {minutes % 60}\u202fmin"


def _width(share: float) -> str:
    return f"{100 * float(np.clip(np.nan_to_num(share), 0, 1)):.2f}%"
