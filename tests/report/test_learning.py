"""The learning curve of a report says what its numbers say."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fewlabel.evaluate import fit_learning_curve
from fewlabel.report import render_report
from fewlabel.report.learning import learning_curve_figure, learning_view

from .examples import report_inputs


def curve(n_now=100, random=True, shares=(0.6, 0.7, 0.75, 0.8)):
    right = np.arange(n_now)[:, None] < np.array(shares) * n_now
    sizes = np.array([0.2, 0.4, 0.6, 0.8]) * n_now
    return fit_learning_curve(sizes, right, n_now=n_now, is_random_sample=random)


def test_the_figure_shows_now_and_twice_the_labels():
    found = curve()
    svg = learning_curve_figure(found)
    texts = [element.text for element in ET.fromstring(svg).iter("text")]
    assert f"now {100 * found.now.expected:.1f} %" in texts
    assert f"2× {100 * found.expected:.1f} %" in texts
    assert {"25", "50", "100", "200"} <= set(texts)
    assert "with 200 labels" in svg
    assert "nan" not in svg


@pytest.mark.parametrize("shares", [(1, 1, 1, 1), (0, 0, 0, 0), (0.9, 0.5, 0.9, 0.5)])
def test_odd_curves_are_drawn_too(shares):
    assert "nan" not in learning_curve_figure(curve(shares=shares))


def test_the_caption_explains_the_shift_of_chosen_images():
    assert "Chosen images" not in learning_view(curve(), "")["caption"]
    view = learning_view(curve(random=False), "")
    assert "With 200 labels, twice as many" in view["sentence"]
    assert [row["n"] for row in view["rows"]] == [100, 200]
    assert view["rows"][0]["value"].expected < view["rows"][1]["value"].expected
    caption = view["caption"]
    assert "points below what the labels alone say" in caption
    assert "90 % interval" in caption


def test_the_report_shows_the_curve_or_why_there_is_none():
    with_curve = render_report(report_inputs(curve=curve()))
    assert "Would more labels help?" in with_curve
    assert "With 200 labels" in with_curve
    without = render_report(report_inputs(no_curve="Too few labels to tell."))
    assert "Too few labels to tell." in without
    assert learning_view(None, "") is None
    assert "Would more labels help?" not in render_report(report_inputs())
