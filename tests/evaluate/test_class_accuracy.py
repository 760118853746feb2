import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.evaluate import class_accuracy

ONE, SEVERAL = SingleLabel(), MultiLabel()


def draw(task, rng, n, easy=(3.0, 2.0, 0.8)):
    """Labels of three classes, the last one hard, and probabilities that are off by a factor."""
    y = rng.integers(0, 3, n) if task == ONE else rng.integers(0, 2, (n, 3))
    present, _ = task.evidence(y, 3)
    return y, task.activate(rng.normal(size=(n, 3)) + 1.2 * np.array(easy) * (present - 0.5))


@pytest.mark.parametrize("task", [ONE, SEVERAL])
def test_the_intervals_hold_the_truth(task):
    rng = np.random.default_rng(0)
    pool_y, pool = draw(task, rng, 4_000)
    present, decided = task.evidence(pool_y, 3)[0] == 1, task.decided(pool)
    hits = (present & decided).sum(axis=0)
    truth = {"precision": hits / decided.sum(axis=0), "recall": hits / present.sum(axis=0)}
    held, values = [], []
    for _ in range(12):
        y, proba = draw(task, rng, 60)
        rows = class_accuracy(task, y, proba, pool, task.decided(proba).sum(axis=0))
        for name, true in truth.items():
            held += [
                row[f"{name}_low"] <= t <= row[f"{name}_high"]
                for row, t in zip(rows, true, strict=True)
            ]
            values.append([row[name] for row in rows] - true)
    assert np.mean(held) > 0.9
    assert np.abs(np.mean(values, axis=0)).max() < 0.08


def test_a_few_labels_of_a_class_that_nothing_looks_like_do_not_make_it_certain():
    y = np.repeat([0, 1], [7, 30])
    proba = np.where(np.eye(2)[y] == 1, 0.9999, 0.0001)
    few, more = class_accuracy(ONE, y, proba, proba, np.array([7, 30]))
    assert 0.8 < few["recall_low"] < more["recall_low"] < 0.95
    assert few["recall"] > 0.99


def test_without_random_labels_there_is_no_interval_and_a_class_never_predicted_has_nothing():
    pool = np.tile([0.7, 0.2, 0.1], (50, 1))
    first, second, _ = class_accuracy(
        ONE, np.zeros(0, int), np.zeros((0, 3)), pool, np.array([9, 0, 0])
    )
    assert first["precision"] == pytest.approx(0.7, abs=0.1)
    assert first["precision_low"] is None
    assert set(second.values()) == {None}
