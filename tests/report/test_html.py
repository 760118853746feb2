import math

from fewlabel.report.html import _duration, _width


def test_durations_and_widths():
    texts = [_duration(s).replace("\u202f", " ") for s in (1.25, 61, 3725)]
    assert texts == ["1.2 s", "1 min 1 s", "1 h 2 min"]
    assert [_width(s) for s in (0.5, 2, -1, math.nan)] == ["50.00%", "100.00%", "0.00%", "0.00%"]
