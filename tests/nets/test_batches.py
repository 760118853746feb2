"""Rows, targets and weights as tensors."""

import numpy as np
import pytest
import torch

from fewlabel.errors import UsageError
from fewlabel.nets.batches import TrainingSet, _as_inputs, _epoch_rows, _n_batches, _to_network

CPU = torch.device("cpu")


def test_images_share_their_memory_and_stay_bytes_and_rows_become_floats():
    images = np.zeros((3, 4, 4), dtype=np.uint8)
    inputs = _as_inputs(images)
    images[1, 2, 3] = 9
    assert inputs.dtype == torch.uint8
    assert inputs[1, 2, 3] == 9
    assert _as_inputs(np.full((2, 3), 7, dtype=np.uint8)).tolist() == [[7.0] * 3] * 2
    # A read-only array is copied.
    rows = np.ones((2, 2), dtype=np.float32)
    rows.flags.writeable = False
    _as_inputs(rows)[0, 0] = 5
    assert rows[0, 0] == 1


@pytest.mark.parametrize(
    ("shape", "expected"), [((2, 5, 6), (2, 1, 5, 6)), ((2, 5, 6, 3), (2, 3, 5, 6))]
)
def test_images_reach_the_network_channels_first_from_0_to_1(shape, expected):
    batch = _to_network(_as_inputs(np.full(shape, 255, dtype=np.uint8)), CPU)
    assert batch.shape == expected
    assert batch.unique().tolist() == [1.0]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 33, 100])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_every_row_is_visited_once_and_no_batch_holds_a_single_row(n, batch_size):
    batches = list(_epoch_rows(n, batch_size, 0, 0))
    assert min(map(len, batches)) >= 2
    assert len(batches) == _n_batches(n, batch_size)
    assert sorted(torch.cat(batches).tolist()) == ([0, 0] if n == 1 else list(range(n)))
    if n == 100:
        orders = {
            tuple(torch.cat(list(_epoch_rows(n, batch_size, seed, epoch))).tolist())
            for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0), (1, 1))
        }
        assert len(orders) == 4


def test_the_digest_sees_every_part_and_lengths_agree():
    with pytest.raises(UsageError, match="Got 3 rows and 2 targets"):
        TrainingSet.of(np.zeros((3, 2)), np.eye(2))
    X, targets = np.arange(6.0).reshape(3, 2), np.eye(3)
    other = X.copy()
    other[2, 1] += 1e-3
    digests = [
        TrainingSet.of(X, targets).digest(),
        TrainingSet.of(other, targets).digest(),
        TrainingSet.of(X, targets[::-1]).digest(),
        TrainingSet.of(X, targets, np.ones(3)).digest(),
        TrainingSet.of(X, targets, known=np.ones((3, 3))).digest(),
    ]
    assert len(set(digests)) == 5
    assert TrainingSet.of(X, targets).digest() == digests[0]
