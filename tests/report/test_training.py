"""The training section says what the log says, and stays small and legible."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from markupsafe import Markup

from fewlabel.data import load_images
from fewlabel.report import render_report
from fewlabel.report.accepted import MAX_IMAGES, accepted_galleries, choose_spread
from fewlabel.report.training import MAX_LINES, MAX_ROWS, curves_figure, rounds_view, training_view
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory

from .examples import report_inputs
from .test_html import Page, words


@pytest.fixture(autouse=True)
def no_other_figures(monkeypatch):
    """Leave the other charts of the page out, to be quick."""
    for module in ("plots", "scatter"):
        monkeypatch.setattr(f"fewlabel.report.{module}.draw", lambda *_, **__: Markup("<svg/>"))


def log_of(n_networks=2, n_epochs=4, **figures) -> TrainingHistory:
    log = TrainingHistory()
    for k in range(n_networks):
        log.add_history(
            f"network {k + 1}",
            [{"loss": 1 / (i + 1), **figures} for i in range(n_epochs)],
        )
    return log


def titles(log) -> list[str]:
    return [chart["title"] for chart in training_view(log)["charts"]]


def n_points(chart) -> list[int]:
    """Count the points of the line of each network."""
    paths = [(e.get("style", ""), e.get("d")) for e in ET.fromstring(chart["svg"]).iter("path")]
    return [
        len(re.findall("[ML]", d))
        for _, color in chart["legend"]
        for style, d in paths
        if f"stroke: {color}" in style
    ]


def test_a_loss_in_two_parts_is_drawn_in_two_charts():
    assert titles(log_of()) == ["Loss"]
    both = log_of(labeled_loss=0.5, unlabeled_loss=0.2, accepted=0.4, accepted_precision=0.9)
    assert titles(both) == [
        "Loss on labelled images",
        "Loss on unlabelled images",
        "Pseudo-labels believed",
        "How many of them are right",
    ]
    mixed = log_of(1)
    mixed.add_history("other", [{"loss": 1.0, "labeled_loss": 0.7}] * 3)
    view = training_view(mixed)
    assert [chart["legend"] for chart in view["charts"]] == [[], []]
    assert "network 1 from 1 to 0.25" in view["charts"][0]["svg"]
    assert "other" not in view["charts"][0]["svg"]


def test_nothing_is_shown_of_nothing():
    for log in (None, TrainingHistory(), log_of(1, 0)):
        assert training_view(log) is None
    unknown = TrainingHistory()
    unknown.add_history("network 1", [{"loss": float("nan")}, {"loss": None}])
    assert training_view(unknown) is None
    page = render_report(report_inputs(training=TrainingHistory()))
    assert page == render_report(report_inputs())
    assert "How the networks were trained" not in page


def test_a_loss_that_is_no_number_breaks_the_line():
    values = [1.0, 0.5, float("nan"), float("inf"), 0.3]
    log = TrainingHistory()
    log.add_history("network 1", [{"loss": value} for value in values])
    svg = training_view(log)["charts"][0]["svg"]
    assert "network 1 from 1 to 0.3" in svg
    assert "nan" not in svg.lower()
    assert "inf" not in svg.lower()


def test_lines_of_many_epochs_are_means_and_keep_their_course():
    rng = np.random.default_rng(0)
    log = TrainingHistory()
    for k in range(10):
        noisy = np.linspace(2, 1, 500) + 0.1 * rng.random(500)
        log.add_history(f"network {k + 1}", [{"loss": value} for value in noisy])
    (chart,) = training_view(log)["charts"]
    assert "mean of up to 5 epochs" in chart["caption"]
    assert [name for name, _ in chart["legend"]] == [f"network {k + 1}" for k in range(10)]
    assert len({color for _, color in chart["legend"]}) == 10
    counts = n_points(chart)
    assert len(counts) == 10
    assert max(counts) <= 100
    assert len(chart["svg"]) < 60_000


def test_the_last_of_too_many_networks_are_drawn():
    (chart,) = training_view(log_of(MAX_LINES + 3))["charts"]
    assert f"The last {MAX_LINES} of {MAX_LINES + 3} networks" in chart["caption"]
    assert chart["legend"][0][0] == "network 4"


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1.0, 1.0, 1.0], [1000.0, 0.001], [-1.0, 2]])
def test_odd_courses_are_drawn_too(values, share):
    points = [(float(i), value) for i, value in enumerate(values, start=1)]
    svg = curves_figure({"a": points}, title="Loss", across="epoch", share=share)
    assert "nan" not in svg.lower()
    assert ET.fromstring(svg).get("role") == "img"


def test_a_loss_that_falls_far_is_drawn_by_its_logarithm():
    texts = {
        last: {e.text for e in ET.fromstring(svg).iter("text")}
        for last in (0.5, 0.001)
        for svg in [curves_figure({"a": [(1, 1.0), (2, last)]}, title="Loss", across="epoch")]
    }
    assert {"0.001", "0.01", "0.1", "1"} <= texts[0.001]
    assert not {"0.001", "0.01"} & texts[0.5]


def rounds_log() -> TrainingHistory:
    log = TrainingHistory()
    log.add_round(
        "network", 1, n_accepted=600, n_new=600, mean_confidence=0.91, accuracy=0.9, seconds=61.0
    )
    log.add_round(
        "network", 2, n_accepted=1200, n_new=640, n_revoked=40, mean_confidence=None, accuracy=0.93
    )
    return log


def test_rounds_are_listed_with_what_is_known():
    view = rounds_view(rounds_log())
    assert [heading for heading, _ in view["columns"]] == [
        "accepted", "new", "revoked", "mean confidence", "held-out accuracy", "time",
    ]  # fmt: skip
    ((name, rows),) = view["networks"]
    assert name == ""
    assert rows[1] == {"round": 2, "values": [1200, 640, 40, None, 0.93, None], "kept": True}
    assert titles(rounds_log()) == ["Accuracy by round"]
    text = words(render_report(report_inputs(training=rounds_log())))
    assert "1 600 600 – 91.0 % 90.0 % 1 min 1 s 2 1,200 640 40 – 93.0 % –" in text


def test_one_round_is_no_curve_and_many_rounds_are_cut():
    log = TrainingHistory()
    log.add_round("network", 1, accuracy=0.9)
    assert training_view(log)["charts"] == []
    for number in range(2, MAX_ROWS + 7):
        log.add_round("other", number, accuracy=0.9)
    view = rounds_view(log)
    assert view["left_out"] == 6
    ((name, rows),) = view["networks"]
    assert name == "other"
    assert [row["round"] for row in rows] == list(range(7, MAX_ROWS + 7))
    text = words(render_report(report_inputs(training=log)))
    assert "The 6 earlier rounds are in metrics.json" in text


def test_the_page_holds_curves_rounds_and_galleries():
    log = log_of(3, 12, labeled_loss=0.4)
    log.rounds = rounds_log().rounds
    log.add_round("<b>evil</b>\x00", 1, n_accepted=5)
    images = load_images("digits").subset(range(60))
    log.accepted.append(
        AcceptedLabels("network", 1, np.arange(30), np.arange(30) % 10, np.linspace(0.5, 1, 30))
    )
    galleries = accepted_galleries(log, images, list("0123456789"), ["0"] * 60)
    page = render_report(report_inputs(training=log, accepted=galleries))
    parsed = Page(page)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert '<a href="#training">Training</a>' in page
    assert "<b>evil" not in page
    assert "Pseudo-labels of round 1" in words(page)
    assert "Colours of the networks" in page
    assert len(page) - len(render_report(report_inputs())) < 100_000


def test_galleries_take_the_surest_of_all_classes_and_the_least_sure():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 500)
    confidence = np.where(codes == 0, 0.99, 0.6) + 0.01 * rng.random(500)
    chosen = choose_spread(codes, confidence)
    assert len(set(chosen.tolist())) == MAX_IMAGES
    assert (np.diff(confidence[chosen]) <= 0).all()
    surest, least = chosen[: MAX_IMAGES // 2], chosen[MAX_IMAGES // 2 :]
    assert set(codes[surest]) == set(range(5))
    assert set(least) == set(np.argsort(confidence)[: MAX_IMAGES // 2])
    assert sorted(choose_spread(codes[:7], confidence[:7])) == list(range(7))


def test_galleries_of_some_rounds_say_what_changed():
    images = load_images("digits").subset(range(40))
    log = TrainingHistory()
    for number in range(1, 8):
        rows = np.arange(number if number != 1 else 0)
        codes, confidence = np.zeros(len(rows), int), np.full(len(rows), 0.8)
        log.accepted.append(AcceptedLabels("network", number, rows, codes, confidence))
    galleries = accepted_galleries(log, images, ["no", "yes"], ["no", "yes"] * 20)
    # Round 1 believed nothing.
    assert [gallery.title[-1] for gallery in galleries] == ["2", "4", "5", "7"]
    first = galleries[0].items
    assert [item.note for item in first] == ["", "in the end: yes"]
    assert [item.name for item in first] == list(images.names[:2])
    assert first[0].label == "no"
    assert galleries[0].caption == "All 2 of this round."
    assert accepted_galleries(None, images, [], []) == []
    sure = AcceptedLabels("n", 1, np.arange(30), np.zeros(30, int), np.r_[0.57, np.full(29, 0.996)])
    (gallery,) = accepted_galleries(TrainingHistory(accepted=[sure]), images, ["no"], ["no"] * 40)
    assert "30 images, half of them at least 99 % sure, all at least 57 %." in gallery.caption


def test_the_log_becomes_strict_json():
    log = log_of(1, 2, accepted_precision=np.float32(0.875), learning_rate=1 / 3)
    log.add_round("network", 1, n_accepted=np.int64(4), accuracy=float("inf"), precision=None)
    found = json.loads(json.dumps(log.to_dict(), allow_nan=False))
    assert found["epochs"][1] == {
        "network": "network 1", "epoch": 2, "loss": 0.5, "precision": 0.875,
        "learning_rate": 0.333333,
    }  # fmt: skip
    assert found["rounds"] == [
        {"network": "network", "round": 1, "n_accepted": 4, "accuracy": None, "precision": None}
    ]


def test_epochs_count_from_one_whatever_a_trainer_counts():
    log = TrainingHistory()
    log.add_history("network", [{"epoch": 0, "loss": 1.0}, {"epoch": 0, "loss": 0.5}])
    assert [record["epoch"] for record in log.epochs] == [1, 2]
