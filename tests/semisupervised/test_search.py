"""The search within a time budget: what is tried, by which labels it is tested, what is kept."""

import re
from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import SingleLabel
from fewlabel.evaluate import comparison, held_out
from fewlabel.semisupervised.graph_distillation import GraphDistillation
from fewlabel.semisupervised.search import _network_methods
from tests.semisupervised.conftest import digits, follow, labels_of, start, watch


@pytest.fixture(scope="module")
def kept(task):
    return follow(task)


def test_it_predicts_images_that_it_never_saw(kept, task):
    new = digits()[1]
    proba = kept.fitted.predict_proba(kept.fitted.extractor.transform(new))
    # Both of two labels must be right where there are two.
    least = 0.92 if task == SingleLabel() else 0.9
    assert task.correct(labels_of(new, task), proba).mean() > least


def test_a_fifth_of_the_labels_decides(kept, task):
    problem, main = start(task)
    y, folds, compared = problem.y, problem.folds, kept.comparison
    held = np.setdiff1d(held_out(folds, y, task), folds.labeled[folds.unseen])
    assert compared.tested.tolist() == held.tolist()
    assert len(held) >= 0.2 * 180 - 1
    scores = {row.name: row.accuracy for row in compared.choice.table}
    expected = task.correct(y[held], compared.calibrated(kept.fitted.name)).mean()
    assert scores[kept.fitted.name] == pytest.approx(expected)
    assert {"supervised", main.kept.name} <= set(scores)


def test_few_labels_are_too_few_to_decide_and_the_reason_is_given(task):
    kept = follow(task, every=20)
    assert not kept.n_networks
    assert re.search(r"45 labels are too few to hold out at least a fifth, and 20", kept.notes[0])
    sixty = follow(task, every=15)
    assert sixty.n_networks
    assert len(sixty.comparison.tested) >= 20


def test_auto_tries_two_methods_and_reports_how_good_each_was(task):
    kept = follow(task, "auto", seconds=900.0)
    names = [row.name for row in kept.comparison.choice.table]
    tried = [name for name in names if name in _network_methods(task)]
    second = "consistency" if task == SingleLabel() else "teacher-student"
    assert tried == ["graph-distillation", second]
    assert "supervised" in names
    networks_of = {record["network"].split(" (")[0] for record in kept.history.rounds}
    assert set(tried) <= networks_of | {kept.fitted.name}


def test_no_time_is_spent_on_networks_that_are_not_kept(monkeypatch):
    seen, choose = watch(monkeypatch), comparison.choose_candidate
    monkeypatch.setattr(GraphDistillation, "max_rounds", 1)

    def main_wins(task, y, candidates, **settings):
        choice = choose(task, y, candidates, **settings)
        if "graph-distillation" not in candidates:
            return choice
        main = list(candidates)[-1]
        return replace(choice, name=settings["asked"] or main, favored=main)

    monkeypatch.setattr(comparison, "choose_candidate", main_wins)
    kept = follow(SingleLabel(), "auto", seconds=900.0)
    assert not kept.n_networks
    assert "is kept." in kept.notes[0]
    assert [name for name, _ in seen] == ["graph-distillation-1-tested", "consistency-1-tested"]
    seen.clear()
    asked = follow(SingleLabel(), seconds=900.0)
    assert "is kept since you asked for it" in asked.notes[0]
    assert asked.n_networks == 3
    assert [name for name, _ in seen] == [
        "graph-distillation-1-tested", "graph-distillation-2", "graph-distillation-3",
    ]  # fmt: skip
    # Those that follow the test are given all labels.
    assert [(y >= 0).sum() for _, y in seen] == [180 - len(asked.comparison.tested), 180, 180]
