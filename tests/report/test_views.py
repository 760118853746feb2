"""Rows and sentences about a run."""

from __future__ import annotations

import numpy as np
import pytest

from fewlabel.report.scoring import Scored
from fewlabel.report.views import (
    candidates_svg,
    class_rows,
    confidence_view,
    duel_view,
    gallery_views,
    map_view,
    time_rows,
)

from .examples import candidates, gallery, report_inputs


@pytest.mark.parametrize(
    ("graph", "supervised", "chosen", "se", "sentence"),
    [
        (0.8, 0.7, "graph", 0.02, "Yes: they add 10.0 points of accuracy."),
        (
            0.72, 0.7, "graph", 0.02,
            "Yes: they add 2.0 points of accuracy. That may be luck: it is within two standard "
            "errors.",
        ),
        (
            0.6, 0.7, "supervised", 0.02,
            "No: the supervised baseline, on the labels alone, wins by 10.0 points. "
            "The baseline was kept.",
        ),
        (
            0.68, 0.7, "graph", 0.02,
            "No: the supervised baseline, on the labels alone, wins by 2.0 points. That may be "
            "luck: it is within two standard errors. See below why the other method was kept all "
            "the same.",
        ),
        (0.7, 0.7, "graph", 0.02, "No: with and without them, the accuracy is the same."),
    ],
)  # fmt: skip
def test_verdict(graph, supervised, chosen, se, sentence):
    tried = candidates(graph, supervised, chosen, se)
    view = duel_view(report_inputs(candidates=tried))
    assert view["sentence"] == sentence
    assert [row["value"] for row in view["rows"]] == [graph, supervised]
    assert [row["kept"] for row in view["rows"]] == [chosen == "graph", chosen == "supervised"]


def test_the_baseline_is_compared_with_its_best_rival():
    others = [
        type(c)(n, a, 0.02, 0.5, 1.0, False, "") for c, n, a in
        zip(candidates() * 1, ("student", "poisson"), (0.5, 0.65), strict=True)
    ]  # fmt: skip
    tried = (*others, candidates(chosen="supervised")[1])
    view = duel_view(report_inputs(candidates=tried))
    assert view["rows"][0]["value"] == 0.65


def test_what_learned_from_the_labels_alone_says_nothing_for_the_unlabelled():
    tried = candidates(graph=0.8, supervised=0.6)
    kept = next(c.name for c in tried if c.chosen)
    view = duel_view(report_inputs(candidates=tried, labels_only=(kept,)))
    assert view["sentence"].startswith("No: what was kept learned from the labels alone")
    assert "+20.0 points" in view["sentence"]
    assert [row["kept"] for row in view["rows"]] == [True, False]


def test_no_duel_without_two_sides():
    assert duel_view(report_inputs(supervised_name="")) is None
    only = candidates(chosen="supervised")[1:]
    assert duel_view(report_inputs(candidates=only)) is None
    assert candidates_svg(report_inputs(candidates=(), supervised_name="")) == ""


def test_class_rows_count():
    inputs = report_inputs()
    rows = class_rows(inputs, Scored(inputs.labeled_y, inputs.labeled_proba))
    assert sum(row["labeled"] for row in rows) == 60
    assert sum(row["predicted"] for row in rows) == 200
    assert sum(row["scored"] for row in rows) == 60
    right = np.sum(inputs.labeled_proba.argmax(axis=1) == inputs.labeled_y)
    assert sum(row["right"] for row in rows) == right
    assert max(row["share"] for row in rows) == 1.0


def test_a_class_that_is_never_predicted():
    inputs = report_inputs(predictions=np.zeros(200, int), confidence=np.full(200, 0.5))
    rows = class_rows(inputs, Scored(inputs.labeled_y, inputs.labeled_proba))
    assert [row["confidence"] for row in rows] == [0.5, None, None]


def test_map_view():
    view = map_view(report_inputs())
    assert view["shown"] == 100
    assert not view["repeats"]
    assert "Map of 100 images" in view["svg"]
    assert "40 labelled ones" in view["svg"]
    assert map_view(report_inputs(n_classes=21))["repeats"]
    assert map_view(report_inputs(map_xy=None, map_index=None)) is None
    empty = report_inputs(map_xy=np.empty((0, 2)), map_index=np.empty(0, int))
    assert map_view(empty) is None


def test_confidence_view_counts_the_unlabelled():
    origin = np.array(["label", "model", "propagated", "model"])
    inputs = report_inputs(
        n_images=4, predictions=np.zeros(4, int), confidence=np.array([1, 0.95, 0.9, 0.2]),
        origin=origin, map_xy=None, map_index=None,
    )  # fmt: skip
    caption = confidence_view(inputs)["caption"]
    assert caption.startswith("3 images without a label: 2 are predicted with at least 90 %")
    assert caption.endswith("1 with less than 50 %.")


def test_everything_labelled():
    inputs = report_inputs(origin=np.full(200, "label"))
    assert confidence_view(inputs)["caption"].startswith("0 images without a label")


def test_galleries():
    big = gallery(side=100, channels=3)
    views = gallery_views([gallery(), gallery(n=0), big])
    assert [view["tiny"] for view in views] == [True, False]
    assert views[0]["items"][0]["alt"] == "a/b.jpg: coat"


def test_long_names_keep_their_end():
    item = gallery_views([gallery(name="a/very/long/folder/IMG_0042.jpg")])[0]["items"][0]
    assert len(item["short"]) == 16
    assert item["short"].endswith("042.jpg")
    assert item["name"] == "a/very/long/folder/IMG_0042.jpg"


def test_time_rows():
    rows = time_rows({"fit": 1.0, "total": 5.0, "features": 4.0})
    assert [row["name"] for row in rows] == ["fit", "features", "total"]
    assert [row["share"] for row in rows] == [0.25, 1.0, None]
    assert time_rows({}) == []


def test_an_explanation_stands_beside_its_image():
    other = np.full((28, 28, 3), 7, np.uint8)
    pair, plain = gallery_views([gallery(beside=other), gallery()])
    assert (pair["paired"], plain["paired"]) == (True, False)
    assert pair["items"][0]["beside"].startswith("data:image/png")
    assert pair["items"][0]["beside"] != pair["items"][0]["uri"]
    assert plain["items"][0]["beside"] == ""
