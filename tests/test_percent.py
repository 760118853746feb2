"""Percentages never promise more than was measured."""

from __future__ import annotations

import pytest

from fewlabel.texts import _percent_text


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
