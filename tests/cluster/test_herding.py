"""Coverage of what a model is unsure of."""

import numpy as np
import pytest

from fewlabel.cluster.representatives import _pick_representatives
from fewlabel.cluster.strategies import Pool, herding
from tests.cluster.examples import GROUP, X


def test_uncertain_groups_come_first_and_certain_ones_are_covered_all_the_same():
    uncertainty = np.where(np.isin(GROUP, [2, 4]), 0.5, 0.0)
    picks = _pick_representatives(
        X, 2, method="herding", labeled=np.array([0]), uncertainty=uncertainty, random_state=0
    )
    assert sorted(GROUP[picks.indices]) == [2, 4]
    assert picks.cluster_sizes.min() > 0
    # Where nothing is uncertain, what is far from all labels comes first: a group each.
    sure = np.zeros(len(X))
    picks = _pick_representatives(X, 6, method="herding", uncertainty=sure, random_state=0)
    assert sorted(GROUP[picks.indices]) == [0, 1, 2, 3, 4, 5]
    assert picks.cluster_sizes.sum() == len(X)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_greedy_choice_is_that_of_all_gains_computed_anew(batch, monkeypatch):
    monkeypatch.setattr(herding, "_BATCH", batch)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 5)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weight, held, free = rng.random(150), np.arange(10), np.arange(20, 150)
    pool = Pool(rows, 12, held, np.ones(150, bool), rng, uncertainty=weight)
    kernel = np.exp(2 * (rows @ rows.T - 1) / 0.3)
    covered, expected = kernel[:10].max(axis=0), []
    for _ in range(12):
        gains = np.maximum(kernel[free] - covered, 0) @ weight
        gains[np.isin(free, expected)] = -1
        expected.append(int(free[gains.argmax()]))
        covered = np.maximum(covered, kernel[expected[-1]])
    assert herding._cover(pool, held, free, 12, 0.3).tolist() == expected


def test_of_many_rows_a_sample_stands_for_all(monkeypatch):
    monkeypatch.setattr(herding, "_MAX_COVERED", 40)
    picks = _pick_representatives(X, 12, method="herding", n_random=3, random_state=0)
    assert (picks.n_random, len(set(picks.indices.tolist()))) == (3, 12)
    assert len(set(GROUP[picks.indices[:9]].tolist())) == 6
