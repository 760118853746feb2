"""Numbers on a page say no more than is true."""

from __future__ import annotations

import math

from fewlabel.explain.texts import _fixed, _percent
from fewlabel.report.html import _duration, _width


def test_percent():
    assert _percent(0.8412) == "84.1\u202f%"
    assert _percent(0.9996) == "> 99.9\u202f%"
    assert _percent(0.9996, 0) == "> 99\u202f%"
    assert _percent(1.0) == "100.0\u202f%"
    assert _percent(None) == _percent(math.nan) == _fixed(None) == "–"
    assert _fixed(0.125) == "0.125"


def test_durations_and_widths():
    texts = [_duration(s).replace("\u202f", " ") for s in (1.25, 61, 3725)]
    assert texts == ["1.2 s", "1 min 1 s", "1 h 2 min"]
    assert [_width(s) for s in (0.5, 2, -1, math.nan)] == ["50.00%", "100.00%", "0.00%", "0.00%"]
