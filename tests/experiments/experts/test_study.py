"""The study of binary experts: what its rows are trained on, and a small run."""

import numpy as np
import pytest

from fewlabel_experiments import registry, runner
from fewlabel_experiments.experts import learners, session
from fewlabel_experiments.protocol import Settings

STUDY = registry.find_study("experts")


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


SMALL = {
    "n_images": 150, "n_test": 50, "budgets": [40], "one_versus_all": [], "widths": [4],
    "steps": 4, "retrain_steps": 4, "max_rounds": 1, "seeds": [0],
}  # fmt: skip


def test_an_interrupted_run_goes_on_to_what_a_whole_one_measures(monkeypatch, tmp_path):
    whole = type(STUDY).config
    monkeypatch.setattr(type(STUDY), "config", lambda self, s: whole(self, s) | SMALL)
    settings = Settings(quick=True, data="digits")

    def interrupt(text):
        if ": digits-40-own" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run_study(STUDY, settings, tmp_path / "a", log=interrupt)
    again = []
    resumed = runner.run_study(STUDY, settings, tmp_path / "a", log=again.append)
    expected = runner.run_study(STUDY, settings, tmp_path / "b")
    assert [s.mean for s in resumed.summaries] == [s.mean for s in expected.summaries]
    assert len(again) == len(expected.summaries) - 2
