"""Rows and sentences about images whose class is known."""

from __future__ import annotations

import numpy as np
import pytest

from fewlabel.report.scoring import (
    Scored,
    confusion_view,
    coverage_view,
    measured,
    mistake_rows,
    quality_rows,
    reliability_view,
)

from .examples import scored

CLASSES = ["cat", "dog", "eel"]


def exactly(y, predicted, confidence=0.8, n_classes=3):
    proba = np.full((len(y), n_classes), (1 - confidence) / (n_classes - 1))
    proba[np.arange(len(y)), predicted] = confidence
    return Scored(np.array(y), proba)


def test_confusions_by_frequency():
    view = confusion_view(exactly([0, 0, 0, 0, 1, 2], [0, 1, 1, 2, 1, 0]), CLASSES)
    assert view["n_mistakes"] == 4
    assert view["rows"][0] == {"true": "cat", "predicted": "dog", "count": 2, "share": 0.5}
    assert [row["count"] for row in view["rows"]] == [2, 1, 1]


def test_confusion_matrix_is_ordered_by_name():
    view = confusion_view(exactly([0, 1, 2], [0, 1, 2]), ["Zebra", "ant", "Bee"])
    svg = view["svg"]
    assert svg.index(">ant<") < svg.index(">Bee<") < svg.index(">Zebra<")


def test_at_most_fifteen_confusions():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 25, 600)
    view = confusion_view(exactly(y, (y + rng.integers(1, 20, 600)) % 25, 0.8, 25), list("x" * 25))
    assert len(view["rows"]) == 15
    assert not view["numbered"]


@pytest.mark.parametrize(
    ("confidence", "verdict"),
    [(0.99, "points too sure"), (0.5, "points too modest"), (0.75, "matches its accuracy")],
)
def test_reliability_says_which_way_it_errs(confidence, verdict):
    y = np.zeros(200, int)
    view = reliability_view(exactly(y, (np.arange(200) % 4 == 0).astype(int), confidence))
    assert verdict in view["caption"]
    assert "75 % right" in view["caption"]


def test_coverage_names_a_threshold():
    confidence = np.linspace(0.5, 0.99, 100)
    correct = confidence > 0.7
    proba = np.c_[confidence, 1 - confidence]
    view = coverage_view(Scored(np.where(correct, 0, 1), proba), pool=np.array([0.6, 0.9]))
    assert "at least 70 % sure of: that keeps 59 %" in view["caption"]
    assert "Of the unlabelled images it keeps 50 %" in view["caption"]


@pytest.mark.parametrize("n", [2, 6, 30])
def test_few_images_are_enough(n):
    y, proba = scored(n=max(n, 3))
    pair = Scored(y[:n], proba[:n])
    assert "interval" in coverage_view(pair)["caption"]
    assert "right" in reliability_view(pair)["caption"]
    assert confusion_view(pair, CLASSES)["rows"] is not None


def test_measured_and_quality():
    pair = exactly([0, 0, 1, 1], [0, 0, 1, 0])
    value, low, high = measured(pair)
    assert value == 0.75
    assert low < 0.75 < high
    rows = quality_rows(pair, CLASSES)
    assert [row["recall"] for row in rows] == [1.0, 0.5, None]
    assert rows[0]["precision"] == pytest.approx(2 / 3)
    assert [row["predicted"] for row in rows] == [3, 1, 0]


def test_mistakes_most_confident_first():
    proba = np.array([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.8, 0.2]])
    rows = mistake_rows(Scored(np.array([1, 1, 1, 0]), proba), ["cat", "dog"], list("abcd"))
    assert [(row["name"], row["confidence"]) for row in rows] == [("b", 0.9), ("a", 0.6)]
    assert rows[0]["true"] == "dog"
