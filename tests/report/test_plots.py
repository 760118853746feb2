"""The charts say what their numbers say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fewlabel.evaluate import CoverageCurve, ReliabilityCurve
from fewlabel.report import render_report
from fewlabel.report.plots import (
    candidates_figure,
    confidence_figure,
    confusion_figure,
    coverage_figure,
    reliability_figure,
)

from .examples import candidates, report_inputs


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("text")]


def cells(svg, role):
    return len(re.findall(rf"fill: var\(--{role}\)", svg))


def test_confusion_numbers_and_colours():
    counts = np.array([[7, 2, 0], [0, 5, 0], [1, 0, 12]])
    svg = confusion_figure(counts, ["cat", "dog", "eel"])
    assert sorted(t for t in texts(svg) if t.isdigit()) == ["1", "12", "2", "5", "7"]
    assert cells(svg, "heat") == 3
    assert cells(svg, "heat-bad") == 2
    assert "24 of 27 on the diagonal" in svg


@pytest.mark.parametrize(("n_classes", "numbered"), [(20, True), (21, False), (43, False)])
def test_confusion_of_many_classes_is_legible(n_classes, numbered):
    counts = np.eye(n_classes, dtype=int) * 3
    names = [f"a very long name of class {k:02d}" for k in range(n_classes)]
    svg = confusion_figure(counts, names)
    assert texts(svg).count("3") == (n_classes if numbered else 0)
    labels = [t for t in texts(svg) if t.startswith("a very")]
    assert len(labels) == 2 * n_classes
    assert max(map(len, labels)) == 20
    assert len(set(labels)) == n_classes
    # At least 13 pixels a class, so that its name at 9 pixels does not run into the next.
    assert float(ET.fromstring(svg).get("width")) > 13 * n_classes


def test_confusion_of_a_class_without_images():
    svg = confusion_figure(np.array([[4, 0], [0, 0]]), ["cat", "dog"])
    assert cells(svg, "heat") == 1
    assert "nan" not in svg


def test_reliability_describes_its_points():
    curve = ReliabilityCurve(np.array([0.4, 0.9]), np.array([0.5, 0.8]), np.array([10, 20]))
    svg = reliability_figure(curve, np.array([0.2, 0.6]), np.array([0.8, 0.9]), np.array([0.4, 1]))
    assert "40 % sure, 50 % right; 90 % sure, 80 % right" in svg


@pytest.mark.parametrize("n_points", [1, 2, 5000])
def test_coverage_of_few_and_many_points(n_points):
    coverage = np.linspace(0, 1, n_points + 1)[1:]
    accuracy = 1 - 0.2 * coverage
    curve = CoverageCurve(coverage, accuracy, 1 - coverage)
    svg = coverage_figure(curve, accuracy - 0.05, accuracy + 0.05, mark=(0.5, 0.9))
    assert "80 % among all" in svg
    # The drawing does not grow with the number of images.
    assert len(svg) < 40_000


def test_candidates_mark_the_kept_one_and_the_baseline():
    svg = candidates_figure(candidates(), "supervised")
    assert {"graph", "supervised", "80.0 %", "70.0 %"} <= set(texts(svg))
    assert "graph 80.0 %; supervised 70.0 %" in svg
    without = candidates_figure(candidates())
    assert without != svg


def test_the_bars_of_candidates_are_as_long_as_they_were_chosen_by():
    one, two = (candidates_figure(candidates(), n_se=n_se) for n_se in (1.0, 2.0))
    assert one != two
    assert two == candidates_figure(candidates())
    page = render_report(report_inputs(candidates=candidates(), n_se=1.0))
    assert "(one standard error of the difference)" in page
    page = render_report(report_inputs(candidates=candidates()))
    assert "(two standard errors of the difference)" in page


def test_a_single_candidate():
    assert "graph" in texts(candidates_figure(candidates()[:1]))


def test_confidence_counts_the_sure_ones():
    groups = [("propagated", np.array([0.95, 0.99])), ("model", np.array([0.2, 0.5, 1.0]))]
    svg = confidence_figure(groups)
    assert "5 predictions; 60 % are at least 90 % sure" in svg
    assert {"propagated", "model"} <= set(texts(svg))
    assert "0 predictions" in confidence_figure([("none", np.empty(0))])
