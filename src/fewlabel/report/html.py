"""The page itself: templates filled in, and how numbers are written in them."""

import functools
import re
from datetime import UTC, datetime
from typing import Any

import jinja2
import numpy as np

from fewlabel import __version__
from fewlabel.data import ImageSet
from fewlabel.report.svg import VARIABLES
from fewlabel.texts import _fixed, _percent, _printable

View = dict[str, Any]  # what a template shows
Fact = tuple[str, str, str]  # name, value, what it means
# What pages of other things lack.
_OF_FITS: View = {"tiles": None, "reason": "", "peak_rss_mb": None, "settings": {}}
# What HTML forbids in text: control characters other than tab and line feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _render(template: str, images: ImageSet, **context: Any) -> str:
    """Return a whole HTML page about images, which can be encoded as UTF-8."""
    title = images.source.rstrip("/\\").replace("\\", "/").split("/")[-1] or images.source
    page = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            source=images.source,
            skipped=images.skipped,
            version=__version__,
            variables=VARIABLES,
            **_OF_FITS | context,
        )
    )
    # File names that are not UTF-8 come as lone surrogates, which no encoder accepts.
    page = page.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub("\ufffd", page)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fewlabel.report", "templates"),
        # Class names and paths come from anywhere.
        autoescape=True,
        # A name that is misspelled in a template is an error, not a gap in the page.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=_count,
        duration=_duration,
        fixed=_fixed,
        percent=_percent,
        short=lambda text: _printable(text, limit=60),
        width=_width,
    )
    return environment


def _now() -> str:
    """Return the time in UTC, in ISO form, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _count(number: float) -> str:
    """Return a whole number with commas between the thousands."""
    return f"{number:,.0f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}\u202fs"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u202fmin {rest}\u202fs"
    return f"{minutes // 60}\u202fh {minutes % 60}\u202fmin"


def _width(share: float) -> str:
    return f"{100 * float(np.clip(np.nan_to_num(share), 0, 1)):.2f}%"
