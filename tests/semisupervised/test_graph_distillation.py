"""Graph distillation: all that is propagated is learned, and none of it in place of a label."""

import numpy as np

from fewlabel.data import SingleLabel
from tests.semisupervised.conftest import follow, start


def test_every_unlabeled_image_has_a_pseudo_label_and_no_labeled_one(task):
    problem, _ = start(task)
    kept = follow(task, seconds=0.001)
    (record,) = kept.history.rounds
    unlabeled = np.setdiff1d(np.arange(900), task.labeled(problem.y))
    # Held-out labels are not known to the network that is tested.
    expected = np.union1d(unlabeled, kept.comparison.tested)
    assert record["n_accepted"] == len(expected)
    rows = kept.history.accepted[0].rows
    assert set(rows.tolist()) <= set(expected.tolist())
    assert task != SingleLabel() or len(rows) == len(expected)
