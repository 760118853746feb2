import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.cluster.topk import _ScoreBuffer, _TopScores


def test_product_is_padded_with_minus_infinity_and_reuses_its_room():
    buffer = _ScoreBuffer()
    left, right = torch.arange(6.0).reshape(2, 3), torch.ones(3, 5)
    first = buffer.product(left, right, bias=torch.arange(5.0))
    assert first.shape == (2, 16)
    assert first[:, :5].tolist() == [[3, 2, 1, 0, -1], [12, 11, 10, 9, 8]]
    assert torch.isneginf(first[:, 5:]).all()
    second = buffer.product(left[:1], right)
    assert second.data_ptr() == first.data_ptr()


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_scores_above_a_floor_are_those_of_a_plain_comparison(seed, n_rows, n_groups):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, size=(n_rows, 16 * n_groups)).astype(np.float32)
    floor = rng.integers(-1, 7, size=n_rows).astype(np.float32)
    buffer = _ScoreBuffer()
    buffer.product(torch.eye(n_rows), torch.from_numpy(scores))
    rows, columns = buffer.above(torch.from_numpy(floor))
    expected = np.nonzero(scores > floor[:, None])
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(columns, expected[1])


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_top_scores_arriving_in_portions_are_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    n_rows, n_ids, k = 7, 40, 5
    scores = rng.permutation(n_rows * n_ids).reshape(n_rows, n_ids).astype(np.float32)
    top = _TopScores(n_rows, k)
    top.put(slice(0, n_rows), torch.from_numpy(scores[:, :3].copy()), np.arange(3))
    for part in np.split(rng.permutation(np.arange(3, n_ids)), [4, 20]):
        rows, ids = np.repeat(np.arange(n_rows), len(part)), np.tile(part, n_rows)
        mixed = rng.permutation(len(rows))
        top.add(rows[mixed], ids[mixed], scores[rows, ids][mixed])
        if rng.random() < 0.5:
            top.flush()
    top.flush()
    np.testing.assert_array_equal(top.ids, np.argsort(-scores, axis=1)[:, :k])
    np.testing.assert_array_equal(top.values, -np.sort(-scores, axis=1)[:, :k])


def test_waiting_candidates_are_merged_before_they_take_too_much_room(monkeypatch):
    monkeypatch.setattr(_TopScores, "_FLUSH_AT", 3)
    top = _TopScores(2, 1)
    top.add(np.zeros(4, dtype=int), np.arange(4), np.arange(4, dtype=np.float32))
    assert top.ids.ravel().tolist() == [3, -1]
