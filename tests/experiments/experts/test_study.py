"""The study of binary experts: its rows, what it says, and ``--quick``."""

import os

import numpy as np
import pytest

from fewlabel_experiments import registry, runner, summary
from fewlabel_experiments.experts import learners, session
from fewlabel_experiments.protocol import Settings
from tests.experiments.examples import summaries

STUDY = registry.find_study("experts")
ROWS = STUDY.rows(STUDY.config(Settings()))

DATA = os.environ.get("FEWLABEL_DATA")


def _row(accuracy, precision, seconds, size):
    return {
        "accuracy": accuracy, "precision_covered": precision, "train_seconds": seconds,
        "kilobytes": size, "balanced": accuracy, "worst_class": 1.0,
    }  # fmt: skip


def test_claims_are_compared_with_the_figures():
    rows = {
        "mnist-500-supervised": _row(90, 95, 1, 100),
        "mnist-500-ova": _row(89, 96, 50, 1_000),
        "mnist-500-own": _row(89, 98, 50, 1_000),
        "mnist-500-experts-1": _row(92, 97, 10, 200),
        "mnist-500-experts": _row(93, 97, 30, 200),
    }
    found = summaries(STUDY, rows)
    results = summary.check_goals(STUDY, found)
    assert [(r.goal.measure, r.bound, r.reached) for r in results] == [
        ("precision_covered", 98, False), ("train_seconds", 12.5, True), ("kilobytes", 200, True),
        ("accuracy", 90, True),
    ]  # fmt: skip


def test_imbalanced_classes_keep_two_images_at_least():
    y = np.repeat(np.arange(10), 600)
    shares = 50.0 ** (-np.arange(10) / 9)
    rows = session._draw(y, shares, 500, np.random.default_rng(0))
    counts = np.bincount(y[rows])
    assert counts[0] > 40 * counts[-1]
    assert counts.min() >= 2
    assert (np.diff(counts) <= 0).all()


def test_resampling_gives_both_sides_the_same_number():
    rows, mine = np.arange(100), np.arange(100) < 10
    rng = np.random.default_rng(0)
    over = learners._sampled(rows, mine, "over-sampling", rng)
    under = learners._sampled(rows, mine, "under-sampling", rng)
    assert (over < 10).sum() == (over >= 10).sum() == 90
    assert (under < 10).sum() == (under >= 10).sum() == 10
    assert sorted(learners._sampled(rows, mine, "plain", rng)) == rows.tolist()


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="FEWLABEL_DATA is not set")
def test_a_quick_run(tmp_path):
    settings = Settings(quick=True)
    result = runner.run_study(STUDY, settings, tmp_path)
    found = {s.row.id.removeprefix("fashion-mnist-200-"): s for s in result.summaries}
    assert set(found) == {
        "supervised", "ova", "ova-over", "ova-under", "own", "experts-1", "experts", "default",
    }  # fmt: skip
    assert 72 < found["default"].mean < 90
    for name in ("supervised", "ova-over", "own", "experts"):
        assert 40 < found[name].mean < 85
    experts, ova = found["experts-1"].extra, found["ova"].extra
    assert ova["kilobytes"] > 4 * experts["kilobytes"]
    assert ova["train_seconds"] > 2 * experts["train_seconds"]
    assert experts["precision_covered"] > 70
    assert (tmp_path / "experts-fashion-mnist.svg").is_file()
