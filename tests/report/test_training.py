import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fewlabel.report.training import (
    _KINDS,
    _MAX_LINES,
    _MAX_ROWS,
    _curves_figure,
    _rounds_view,
    _training_view,
)
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory

from .examples import Page, fit_result, page_of, texts, words


def log_of(n_networks=2, n_epochs=4, **figures) -> TrainingHistory:
    log = TrainingHistory()
    for k in range(n_networks):
        epochs = [{"loss": 1 / (i + 1), **figures} for i in range(n_epochs)]
        log.add_history(f"network {k + 1}", epochs)
    return log


def titles(log) -> list[str]:
    return [chart["title"] for chart in _training_view(log)["charts"]]


def test_a_loss_in_two_parts_is_drawn_in_two_charts():
    assert titles(log_of()) == ["Loss"]
    both = log_of(labeled_loss=0.5, unlabeled_loss=0.2, accepted=0.4, accepted_precision=0.9)
    assert titles(both) == [_KINDS[key][0] for key in list(_KINDS)[1:5]]
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
    # A value that is no number breaks the line.
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
    lines = [element.get("d") for element in ET.fromstring(chart["svg"]).iter("path")]
    assert max(len(re.findall("[ML]", line)) for line in lines) == 100
    assert len(chart["svg"]) < 60_000

    # The last ones are drawn where there are too many.
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
    far, near = (
        set(texts(_curves_figure({"a": [(1, 1.0), (2, last)]}, title="Loss", across="epoch")))
        for last in (0.001, 0.5)
    )
    assert {"0.001", "0.01", "0.1", "1"} <= far
    assert not {"0.001", "0.01"} & near


def rounds_log() -> TrainingHistory:
    log, known = TrainingHistory(), {"mean_confidence": 0.91, "accuracy": 0.9, "seconds": 61.0}
    log.add_round("network", 1, n_accepted=600, n_new=600, **known)
    known = {"mean_confidence": None, "accuracy": 0.93}
    log.add_round("network", 2, n_accepted=1200, n_new=640, n_revoked=40, **known)
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
    # Without experts nothing of them is shown.
    assert _training_view(rounds_log())["by_class"] == _training_view(rounds_log())["votes"] == []
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
    assert "The 6 earlier rounds are in" in words(page_of(fit_result(training=log)))


def test_the_page_holds_curves_rounds_and_galleries():
    log = log_of(3, 12, labeled_loss=0.4)
    log.rounds = rounds_log().rounds
    log.add_round("<b>evil</b>\x00", 1, n_accepted=5)
    rows, confidence = np.arange(30), np.linspace(0.5, 1, 30)
    log.accepted.append(AcceptedLabels("network", 1, rows, rows % 10, confidence))
    log.classes = tuple("0123456789")
    page = page_of(fit_result(training=log))
    parsed = Page(page)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert '<a href="#training">Training</a>' in page
    assert "<b>evil" not in page
    assert "Pseudo-labels of round 1" in words(page)
    assert "Colors of the networks" in page
    assert len(page) - len(page_of(fit_result())) < 100_000
