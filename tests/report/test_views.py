import dataclasses

import numpy as np
import pytest

from fewlabel.evaluate import estimate_accuracy, gain_on_audit
from fewlabel.fit_settings import FitSettings
from fewlabel.report.views import (
    _candidates_view,
    _confidence_view,
    _duel,
    _learning_view,
    _ledger_rows,
    _map_view,
    _prediction_rows,
    _weak,
)
from fewlabel.semisupervised.history import TrainingHistory

from .examples import CLASS_ROW, ONE, SEVERAL, TASKS, candidates, curve, fit_result


@pytest.mark.parametrize(
    ("graph", "supervised", "chosen", "sentence"),
    [
        (0.8, 0.7, "graph", "Yes: they add 10.0 points."),
        (0.72, 0.7, "graph", "Not known: they add 2.0 points, but it is within"),
        (0.6, 0.7, "supervised", "wins by 10.0 points. The baseline was kept."),
        (0.68, 0.7, "graph", "two standard errors. See below why the other method was kept"),
        (0.69, 0.7, "supervised", "Not known: the supervised baseline is 1.0 points ahead"),
        (0.7, 0.7, "graph", "No: with and without them, the accuracy is the same."),
    ],
)
def test_verdict(graph, supervised, chosen, sentence):
    view = _duel(fit_result(choice=candidates(graph, supervised, chosen, 0.02)))
    assert sentence in view["sentence"]
    assert [row["value"] for row in view["rows"]] == [graph, supervised]
    assert [row["kept"] for row in view["rows"]] == [chosen == "graph", chosen == "supervised"]


def test_the_baseline_is_compared_with_its_best_rival():
    choice = candidates(chosen="supervised")
    first, baseline = choice.table
    others = [dataclasses.replace(first, accuracy=accuracy) for accuracy in (0.5, 0.65)]
    table = dataclasses.replace(choice, table=(*others, baseline))
    assert _duel(fit_result(choice=table))["rows"][0]["value"] == 0.65
    alone = dataclasses.replace(choice, table=(baseline,))
    assert _duel(fit_result(choice=alone)) is None


def test_the_audit_says_more_than_the_labels():
    right = np.arange(50) < 40
    for others, sentence in [
        (np.arange(50) < 30, "Yes: they add 20.0 points."),
        (np.arange(50) < 38, "Not known: they add 4.0 points, but 50 images of the audit"),
        (np.arange(50) < 42, "Not known: the supervised baseline is 4.0 points ahead"),
        (np.arange(50) < 50, "No: the supervised baseline, trained without them, wins by 20.0"),
    ]:
        gain = gain_on_audit("graph", right, others)
        # A numpy bool would end the writing of metrics.json.
        assert type(gain.is_known) is bool
        view = _duel(fit_result(choice=candidates(0.6, 0.7), audit_gain=gain))
        assert sentence in view["sentence"]
        assert [row["value"] for row in view["rows"]] == [0.8, others.mean()]


@pytest.mark.parametrize(
    ("task", "first", "method", "rule"),
    [
        (ONE, "graph", "auto", "Among those, the one that does best as a rule"),
        (SEVERAL, "graph", "auto", "Among those, the one with the least log loss is kept."),
        (ONE, "self-training", "auto", "Among those, a network is kept."),
        (ONE, "graph", "graph", "The method graph was asked for."),
    ],
)
def test_the_rule_of_the_choice_is_the_one_that_was_used(task, first, method, rule):
    choice = candidates()
    table = (dataclasses.replace(choice.table[0], name=first), choice.table[1])
    choice = dataclasses.replace(choice, table=table, name=first)
    result = fit_result(task, choice=choice, settings=FitSettings(method=method))
    caption = _candidates_view(result, "accuracy")["caption"]
    assert rule in caption
    assert "(two standard errors of the difference)" in caption


@pytest.mark.parametrize("n_accepted", [0, 40])
def test_networks_without_pseudo_labels_say_nothing_for_the_unlabeled(n_accepted):
    history = TrainingHistory()
    history.add_round("network", 0, n_accepted=n_accepted)
    history.add_round("network", 1, n_accepted=60, kept=False)
    view = _duel(fit_result(n_networks=1, training=history))
    assert ("learned from the labels without them" in view["sentence"]) == (n_accepted == 0)
    assert view["rows"][0]["name"].startswith("With" if n_accepted else "Kept, without")


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_counted_by_class(task):
    result = fit_result(task)
    rows = _prediction_rows(result)
    present, known = task.evidence(result.labels.y, 3)
    assert [row["given"] for row in rows] == present.sum(axis=0).tolist()
    found = task.decided(result.proba) & ~known
    assert [row["found"] for row in rows] == found.sum(axis=0).tolist()
    assert rows[0]["recall_low"] == 0.5
    by_class = [CLASS_ROW, CLASS_ROW | {"recall_high": 0.4}, dict.fromkeys(CLASS_ROW)]
    best = dataclasses.replace(result, audit=estimate_accuracy([True] * 99), by_class=by_class)
    assert _weak(best).endswith("below 96.3 %: class 1, class 0.")
    worst = dataclasses.replace(result, audit=estimate_accuracy([False] * 99))
    assert _weak(worst) == ""
    assert all(0.3 < row["confidence"] <= 1 for row in rows)
    never = dataclasses.replace(result, proba=np.tile([0.9, 0.05, 0.05], (200, 1)))
    rows = _prediction_rows(never)
    assert [row["confidence"] for row in rows] == [pytest.approx(0.9), None, None]
    rest = result.confidence[60:]
    caption = _confidence_view(result)["caption"]
    assert caption.startswith(f"140 images without a label: {(rest >= 0.9).sum()} are predicted")
    assert caption.endswith(f"{(rest < 0.5).sum()} with less than 50 %.")
    assert "0 images" in _confidence_view(fit_result(origin=np.full(200, "label")))["caption"]


def test_the_map_which_is_a_sample_of_many():
    view = _map_view(fit_result())
    assert (view["shown"], view["n_images"]) == (200, 200)
    assert "Map of 200 images" in view["svg"]
    assert "60 labeled ones" in view["svg"]
    assert not view["repeats"]
    assert _map_view(fit_result(n_classes=21))["repeats"]
    assert _map_view(fit_result(SEVERAL)) is None
    view = _map_view(fit_result(n=1500))
    assert (view["shown"], view["n_images"]) == (1200, 1500)
    assert "60 labeled ones" in view["svg"]


@pytest.mark.parametrize("task", TASKS)
def test_assumed_labels_are_counted_by_method(task):
    result = fit_result(task)
    given, spread = _ledger_rows(result)
    present, known = task.evidence(result.labels.y, 3)
    assert (given["method"], given["count"]) == ("given", present.sum())
    decided = task.decided(result.proba) & ~known
    assert (spread["method"], spread["count"]) == ("spread over the graph", decided.sum())
    result.model.fitted.settings.clear()
    assert [row["method"] for row in _ledger_rows(result)] == ["given"]


def test_the_caption_explains_the_shift_of_chosen_images():
    assert "Chosen images" not in _learning_view(fit_result(curve=curve()))["caption"]
    view = _learning_view(fit_result(curve=curve(random=False)))
    assert [n for _, n, _ in view["rows"]] == [100, 200]
    now, then = (value for _, _, value in view["rows"])
    assert now.expected < then.expected
    assert "points below the accuracy on them" in view["caption"]
    assert _learning_view(fit_result()) is None
