"""Precision of believed pseudo-labels: weighted, per epoch, and of known truth alone."""

import numpy as np
import pytest

from fewlabel.semisupervised.accepted_precision import AcceptedPrecision


def test_each_counts_by_its_weight_and_unknown_truth_does_not():
    watch = AcceptedPrecision(["cat", "dog", "-1", "dog"])
    watch.on_pseudo_labels(
        np.array([0, 1]), np.array(["cat", "cat"]), np.array([1.0, 0.5], np.float32)
    )
    watch.on_pseudo_labels(
        np.array([2, 3]), np.array(["cat", "dog"]), np.array([1.0, 0.5], np.float32)
    )
    assert watch.on_epoch_end()["accepted_precision"] == pytest.approx(1.5 / 2)


def test_each_epoch_counts_anew_and_nothing_believed_gives_no_figure():
    watch = AcceptedPrecision([1, 0])
    watch.on_pseudo_labels(np.array([0]), np.array([0]), np.array([1.0]))
    assert watch.on_epoch_end() == {"accepted_precision": 0.0}
    watch.on_pseudo_labels(np.array([0]), np.array([0]), np.array([0.0]))
    assert watch.on_epoch_end() == {}
