"""Inputs that do not fit together are refused before anything is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from .examples import evaluation_inputs, report_inputs, scored

Y, PROBA = scored()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labeled_proba": PROBA[:, :2]}, r"labeled images must have shape \(60, 3\)"),
        ({"labeled_y": Y[:0], "labeled_proba": PROBA[:0]}, "at least one row"),
        ({"labeled_y": Y - 1}, "must lie between 0 and 2; leave unlabelled"),
        ({"labeled_proba": PROBA * np.nan}, "must be finite"),
        ({"test_y": Y}, "test_y and test_proba go together"),
        ({"test_y": Y, "test_proba": PROBA[:9]}, "test images must have shape"),
        ({"predictions": np.zeros(3, int)}, r"predictions of a report .* 200 images.*\(3,\)"),
        ({"confidence": np.zeros(3)}, "confidence of a report"),
        ({"origin": np.full(200, "guess")}, "one of label, propagated, model. Got 'guess'"),
        ({"map_xy": None}, "map_xy and map_index go together"),
        ({"map_index": np.arange(3)}, r"map_xy must be \(3, 2\)"),
        ({"supervised_name": "svm"}, "one of the candidates graph, supervised. Got 'svm'"),
    ],
)
def test_report_inputs_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        report_inputs(**changes)


def test_evaluation_inputs_are_checked():
    with pytest.raises(ValueError, match="name is needed for each of the 90 images"):
        evaluation_inputs(names=["a"])
    with pytest.raises(ValueError, match="evaluated images must have shape"):
        evaluation_inputs(y=Y)
