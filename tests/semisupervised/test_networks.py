"""Networks as candidates: what they are given, how they are tested, how long, and what is kept."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import SingleLabel
from fewlabel.nets import NetworkClassifier
from fewlabel.semisupervised.graph_distillation import GraphDistillation
from fewlabel.semisupervised.network_inputs import NetworkSettings
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.self_training import SelfTrained
from tests.semisupervised.conftest import QUICK, follow, start, watch


@pytest.mark.parametrize("method", ["graph-distillation", "self-training", "consistency"])
def test_held_out_labels_never_reach_a_network(monkeypatch, method):
    seen, task = watch(monkeypatch), SingleLabel()
    monkeypatch.setattr(SelfTrained, "max_rounds", 1)
    kept = follow(task, method, seconds=0.1)
    y = start(task)[0].y
    assert kept.fitted.name == method
    (first, known), (last, every) = seen[0], seen[-1]
    assert first == f"{method}-1-tested"
    assert (known[kept.comparison.tested] == -1).all()
    assert (known >= 0).sum() == (y >= 0).sum() - len(kept.comparison.tested)
    if method == "self-training":
        assert last == "self-training-2"
        np.testing.assert_array_equal(every, y)


def test_the_time_budget_ends_the_rounds(monkeypatch):
    short = follow(SingleLabel(), seconds=0.001)
    assert short.n_networks == 1
    monkeypatch.setattr(GraphDistillation, "max_rounds", 2)
    long = follow(SingleLabel(), seconds=600.0)
    rounds = [r for r in long.history.rounds if r["network"] == "graph-distillation"]
    assert len(rounds) == long.n_networks == len(long.fitted.extractor.networks)
    tested = [record["accuracy"] is not None for record in rounds]
    assert tested in ([True, False, False], [True, True, False, False])


def test_the_last_network_is_left_out_where_the_trials_took_the_time(monkeypatch):
    now = [0.0]
    problem, main = start(SingleLabel())
    problem = replace(problem, time_left=lambda: 300.0 - now[0])
    train = SelfTrained.train

    def slow(self, inputs, pseudo):
        now[0] += 200.0
        return train(self, inputs, pseudo)

    monkeypatch.setattr(SelfTrained, "train", slow)
    monkeypatch.setattr("fewlabel.semisupervised.rounds.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(NetworkSettings, "for_features", lambda extractor, device: QUICK)
    for asked, n_networks in ((False, 1), (True, 2)):
        now[0] = 0.0
        networks = NetworkProblem.of(replace(problem, asked=asked), main.kept)
        candidate = SelfTrained()
        assert candidate.finish(candidate.fit(networks)).n_networks == n_networks


def test_networks_are_trained_again_only_if_damaged(task, tmp_path, monkeypatch):
    def run(folder="run", **changes):
        return follow(task, checkpoints=tmp_path / folder, seconds=0.001, **changes)

    def never(self, *args, **settings):
        raise AssertionError("trained again")

    first = run()
    shutil.copytree(tmp_path / "run", tmp_path / "damaged")
    monkeypatch.setattr(NetworkClassifier, "fit_soft", never)
    again = run()
    np.testing.assert_allclose(again.fitted.rows, first.fitted.rows, atol=1e-6)
    loss, same = (kept.history.epochs[0]["loss"] for kept in (first, again))
    assert same == pytest.approx(loss, rel=1e-4)
    for change in ({"seed": 1}, {"settings": replace(QUICK, batch_size=32)}):
        with pytest.raises(AssertionError, match="trained again"):
            run(**change)
    for file in (tmp_path / "damaged").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(AssertionError, match="trained again"):
        run("damaged")
