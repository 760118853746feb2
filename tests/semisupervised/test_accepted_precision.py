"""Precision of accepted pseudo-labels: weighted, per epoch, and of known truth alone."""

import numpy as np
import pytest

from fewlabel.semisupervised.history import AcceptedPrecision


def test_each_counts_by_its_weight_unknown_truth_does_not_and_each_epoch_counts_anew():
    watch = AcceptedPrecision(["cat", "dog", "-1", "dog"])
    for rows, labels, weights in (
        ([0, 1], ["cat", "cat"], [1, 0.5]),
        ([2, 3], ["cat", "dog"], [1, 0.5]),
    ):
        watch.on_pseudo_labels(np.array(rows), np.array(labels), np.array(weights))
    assert watch.on_epoch_end()["accepted_precision"] == pytest.approx(1.5 / 2)
    watch.on_pseudo_labels(np.array([1]), np.array(["cat"]), np.array([1.0]))
    assert watch.on_epoch_end() == {"accepted_precision": 0.0}
    watch.on_pseudo_labels(np.array([1]), np.array(["cat"]), np.array([0.0]))
    assert watch.on_epoch_end() == {}
