"""The training section says what the log says, and stays small and legible."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fewlabel.report.training import (
    _MAX_LINES,
    _MAX_ROWS,
    _curves_figure,
    _rounds_view,
    _training_view,
)
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory

from .examples import Page, fit_result, page_of, words

pytestmark = pytest.mark.usefixtures("only_training_figures")


def log_of(n_networks=2, n_epochs=4, **figures) -> TrainingHistory:
    log = TrainingHistory()
    for k in range(n_networks):
        log.add_history(
            f"network {k + 1}",
            [{"loss": 1 / (i + 1), **figures} for i in range(n_epochs)],
        )
    return log


def titles(log) -> list[str]:
    return [chart["title"] for chart in _training_view(log)["charts"]]


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
        "Loss on labeled images",
        "Loss on unlabeled images",
        "Pseudo-labels accepted",
        "How many of them are right",
    ]
    mixed = log_of(1)
    mixed.add_history("other", [{"loss": 1.0, "labeled_loss": 0.7}] * 3)
    view = _training_view(mixed)
    assert [chart["legend"] for chart in view["charts"]] == [[], []]
    assert "network 1 from 1 to 0.25" in view["charts"][0]["svg"]
    assert "other" not in view["charts"][0]["svg"]


def test_nothing_is_shown_of_nothing():
    for log in (None, TrainingHistory(), log_of(1, 0)):
        assert _training_view(log) is None
    unknown = TrainingHistory()
    unknown.add_history("network 1", [{"loss": float("nan")}, {"loss": None}])
    assert _training_view(unknown) is None
    page = page_of(fit_result(training=TrainingHistory()))
    assert page == page_of(fit_result())
    assert "How the networks were trained" not in page


def test_a_loss_that_is_no_number_breaks_the_line():
    values = [1.0, 0.5, float("nan"), float("inf"), 0.3]
    log = TrainingHistory()
    log.add_history("network 1", [{"loss": value} for value in values])
    svg = _training_view(log)["charts"][0]["svg"]
    assert "network 1 from 1 to 0.3" in svg
    assert "nan" not in svg.lower()
    assert "inf" not in svg.lower()


def test_lines_of_many_epochs_are_means_and_keep_their_course():
    rng = np.random.default_rng(0)
    log = TrainingHistory()
    for k in range(10):
        noisy = np.linspace(2, 1, 500) + 0.1 * rng.random(500)
        log.add_history(f"network {k + 1}", [{"loss": value} for value in noisy])
    (chart,) = _training_view(log)["charts"]
    assert "mean of up to 5 epochs" in chart["caption"]
    assert [name for name, _ in chart["legend"]] == [f"network {k + 1}" for k in range(10)]
    assert len({color for _, color in chart["legend"]}) == 10
    counts = n_points(chart)
    assert len(counts) == 10
    assert max(counts) <= 100
    assert len(chart["svg"]) < 60_000


def test_the_last_of_too_many_networks_are_drawn():
    (chart,) = _training_view(log_of(_MAX_LINES + 3))["charts"]
    assert f"The last {_MAX_LINES} of {_MAX_LINES + 3} networks" in chart["caption"]
    assert chart["legend"][0][0] == "network 4"


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1.0, 1.0, 1.0], [1000.0, 0.001], [-1.0, 2]])
def test_odd_courses_are_drawn_too(values, share):
    points = [(float(i), value) for i, value in enumerate(values, start=1)]
    svg = _curves_figure({"a": points}, title="Loss", across="epoch", share=share)
    assert "nan" not in svg.lower()
    assert ET.fromstring(svg).get("role") == "img"


def test_a_loss_that_falls_far_is_drawn_by_its_logarithm():
    texts = {
        last: {e.text for e in ET.fromstring(svg).iter("text")}
        for last in (0.5, 0.001)
        for svg in [_curves_figure({"a": [(1, 1.0), (2, last)]}, title="Loss", across="epoch")]
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
    view = _rounds_view(rounds_log())
    assert [heading for heading, _ in view["columns"]] == [
        "accepted", "new", "revoked", "mean confidence", "held-out accuracy", "time",
    ]  # fmt: skip
    ((name, rows),) = view["networks"]
    assert name == ""
    assert rows[1] == {"round": 2, "values": [1200, 640, 40, None, 0.93, None], "kept": True}
    assert titles(rounds_log()) == ["Accuracy by round"]
    text = words(page_of(fit_result(training=rounds_log())))
    assert "1 600 600 – 91.0 % 90.0 % 1 min 1 s 2 1,200 640 40 – 93.0 % –" in text


def test_one_round_is_no_curve_and_many_rounds_are_cut():
    log = TrainingHistory()
    log.add_round("network", 1, accuracy=0.9)
    assert _training_view(log)["charts"] == []
    for number in range(2, _MAX_ROWS + 7):
        log.add_round("other", number, accuracy=0.9)
    view = _rounds_view(log)
    assert view["left_out"] == 6
    ((name, rows),) = view["networks"]
    assert name == "other"
    assert [row["round"] for row in rows] == list(range(7, _MAX_ROWS + 7))
    text = words(page_of(fit_result(training=log)))
    assert "The 6 earlier rounds are in metrics.json" in text


def test_the_page_holds_curves_rounds_and_galleries():
    log = log_of(3, 12, labeled_loss=0.4)
    log.rounds = rounds_log().rounds
    log.add_round("<b>evil</b>\x00", 1, n_accepted=5)
    log.accepted.append(
        AcceptedLabels("network", 1, np.arange(30), np.arange(30) % 10, np.linspace(0.5, 1, 30))
    )
    log.classes = tuple("0123456789")
    page = page_of(fit_result(training=log))
    parsed = Page(page)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert '<a href="#training">Training</a>' in page
    assert "<b>evil" not in page
    assert "Pseudo-labels of round 1" in words(page)
    assert "Colors of the networks" in page
    assert len(page) - len(page_of(fit_result())) < 100_000
