import math

import numpy as np
import pytest

from fewlabel.texts import _fixed, _percent, _percent_text, _printable


def test_percent():
    assert _percent(0.8412) == "84.1\u202f%"
    assert _percent(0.9996) == "> 99.9\u202f%"
    assert _percent(0.9996, 0) == "> 99\u202f%"
    assert _percent(1.0) == "100.0\u202f%"
    assert _percent(None) == _percent(math.nan) == _fixed(None) == "–"
    assert _fixed(0.125) == "0.125"


def test_printable():
    assert _printable("a\x00b\udcffc\td") == "a\ufffdb\ufffdc d"
    assert _printable(3) == "3"
    long = "x" * 50 + "y" * 50
    for limit in (2, 9, 10, 99):
        assert len(_printable(long, limit=limit)) == limit
    assert _printable(long, limit=100) == long
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0, 0x11000, 2000)))
    _printable(text).encode("utf-8")


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (0.0, 1, "0.0 %"),
        (1e-9, 1, "< 0.1 %"),
        (0.0005, 1, "0.1 %"),
        (0.9994, 1, "99.9 %"),
        (1 - 1e-9, 1, "> 99.9 %"),
        (0.996, 0, "> 99 %"),
        (1.0, 0, "100 %"),
    ],
)
def test_only_all_is_all_and_only_nothing_is_nothing(fraction, digits, text):
    assert _percent_text(fraction, digits) == text
