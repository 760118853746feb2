import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fewlabel.evaluate import CoverageCurve, ReliabilityCurve
from fewlabel.report.plots import (
    _candidates_figure,
    _confidence_figure,
    _confusion_figure,
    _coverage_figure,
    _learning_figure,
    _reliability_figure,
)
from fewlabel.report.svg import HEAT, HEAT_BAD

from .examples import candidates, curve, texts


def test_confusion_numbers_and_colors():
    counts = np.array([[7, 2, 0], [0, 5, 0], [1, 0, 12]])
    svg = _confusion_figure(counts, ["cat", "dog", "eel"])
    assert sorted(t for t in texts(svg) if t.isdigit()) == ["1", "12", "2", "5", "7"]
    assert [svg.count(f"fill: {color}") for color in (HEAT, HEAT_BAD)] == [3, 2]
    assert "24 of 27 on the diagonal" in svg
    without_images = _confusion_figure(np.array([[4, 0], [0, 0]]), ["cat", "dog"])
    assert without_images.count(f"fill: {HEAT}") == 1
    assert "nan" not in without_images


@pytest.mark.parametrize(("n_classes", "numbered"), [(20, True), (21, False), (43, False)])
def test_confusion_of_many_classes_is_legible(n_classes, numbered):
    counts = np.eye(n_classes, dtype=int) * 3
    names = [f"a very long name of class {k:02d}" for k in range(n_classes)]
    svg = _confusion_figure(counts, names)
    assert texts(svg).count("3") == (n_classes if numbered else 0)
    labels = [t for t in texts(svg) if t.startswith("a very")]
    assert len(labels) == 2 * n_classes
    assert max(map(len, labels)) == 20
    assert len(set(labels)) == n_classes
    # At least 13 pixels a class, so that its name at 9 pixels does not run into the next.
    assert float(ET.fromstring(svg).get("width")) > 13 * n_classes


@pytest.mark.parametrize("n_points", [1, 2, 5000])
def test_reliability_and_coverage_describe_their_points(n_points):
    points = ReliabilityCurve(np.array([0.4, 0.9]), np.array([0.5, 0.8]), np.array([10, 20]))
    interval = (np.array([0.2, 0.6]), np.array([0.8, 0.9]))
    svg = _reliability_figure(points, interval, np.array([0.4, 1]))
    assert "40 % sure, 50 % right; 90 % sure, 80 % right" in svg
    coverage = np.linspace(0, 1, n_points + 1)[1:]
    accuracy = 1 - 0.2 * coverage
    points = CoverageCurve(coverage, accuracy, 1 - coverage)
    svg = _coverage_figure(points, accuracy - 0.05, [(0.5, 0.9)])
    assert "80 % among all" in svg
    # The drawing does not grow with the number of images.
    assert len(svg) < 40_000


def test_candidates_mark_the_kept_one_and_the_baseline():
    table = candidates().table
    svg = _candidates_figure(table, "supervised", 2.0, "accuracy by cross-fitting")
    assert {"graph", "supervised", "80.0 %", "accuracy by cross-fitting"} <= set(texts(svg))
    assert "graph 80.0 %; supervised 70.0 %" in svg
    assert _candidates_figure(table, "", 2.0, "accuracy by cross-fitting") != svg
    assert _candidates_figure(table, "supervised", 1.0, "accuracy by cross-fitting") != svg
    assert "graph" in texts(_candidates_figure(table[:1], "", 2.0, "accuracy"))


def test_confidence_counts_the_sure_ones():
    groups = [("propagated", np.array([0.95, 0.99])), ("model", np.array([0.2, 0.5, 1.0]))]
    svg = _confidence_figure(groups)
    assert "5 predictions; 60 % are at least 90 % sure" in svg
    assert {"propagated", "model"} <= set(texts(svg))
    assert "0 predictions" in _confidence_figure([("none", np.empty(0))])


def test_the_learning_curve_shows_now_and_twice_the_labels():
    found = curve()
    svg = _learning_figure(found)
    assert f"now {100 * found.now.expected:.1f} %" in texts(svg)
    assert f"2× {100 * found.expected:.1f} %" in texts(svg)
    assert {"25", "50", "100", "200"} <= set(texts(svg))
    assert "with 200 labels" in svg


def test_no_axis_of_fractions_goes_beyond_all_or_nothing():
    right, one = np.array([1.0]), np.array([1.0])
    drawings = [
        _reliability_figure(ReliabilityCurve(one, right, one), (right, right), one),
        _coverage_figure(CoverageCurve(one, right, one), right, [(1.0, 1.0)]),
        _candidates_figure(candidates(1.0, 0.999).table, "supervised", 2.0, "accuracy"),
        _candidates_figure(candidates(0.0, 0.001).table, "supervised", 2.0, "accuracy"),
        _confidence_figure([("model", one)]),
        *(_learning_figure(curve(shares=s)) for s in ((1,) * 4, (0,) * 4, (0.9, 0.5, 0.9, 0.5))),
    ]
    for svg in drawings:
        assert "nan" not in svg
        shown = [float(text[:-2]) for text in texts(svg) if re.fullmatch(r"-?[\d.]+ %", text or "")]
        assert shown
        assert all(0 <= value <= 100 for value in shown)
