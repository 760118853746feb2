"""Parameters that every estimator refuses when it is fitted."""

import numpy as np
import pytest

from fewlabel import BinaryExperts, NetworkClassifier, SelfTraining, TeacherStudent
from fewlabel.errors import UsageError
from fewlabel.semisupervised.consistency import ConsistencyTraining

NETWORK = NetworkClassifier(options={"widths": (4,)}, min_steps=1)
REFUSED = {
    SelfTraining: [
        ({"selection": "best"}, "must be one of adaptive, threshold, top-k, curriculum"),
        ({"threshold": 0}, r"'threshold' parameter of SelfTraining must be a float in \(0, 1\]"),
        ({"fraction": 1.5}, r"'fraction' parameter of SelfTraining must be a float in \(0, 1\]"),
        ({"k": 0}, "'k' parameter of SelfTraining must be an int of at least 1"),
        ({"max_rounds": -1}, "'max_rounds' parameter of SelfTraining must be an int of at least 0"),
        ({"patience": 1.5}, "'patience' parameter of SelfTraining must be an int of at least 1"),
        ({"n_folds": 1}, "'n_folds' parameter of SelfTraining must be an int of at least 2"),
        ({"pseudo_weight": 0}, "'pseudo_weight' parameter of SelfTraining must be a number above"),
        ({"start_epoch": 5}, r"'start_epoch' .* is for networks.*LogisticRegression"),
        ({"start_epoch": 0}, r"'start_epoch' parameter .* at least 1 or None"),
    ],
    BinaryExperts: [
        ({"agreement": "all"}, "'agreement' parameter"),
        ({"trunk": "open"}, "'trunk' parameter of BinaryExperts must be one of fine-tuned"),
        ({"balance": "smote"}, "'balance' parameter"),
        ({"pseudo_weight": 0}, "'pseudo_weight' parameter"),
        ({"labeled_fraction": 1.0}, "'labeled_fraction' parameter"),
        ({"n_folds": 6}, "'n_folds' parameter"),
        ({"max_rounds": -1}, "'max_rounds' parameter"),
    ],
    TeacherStudent: [
        ({"positive": 1.5}, "'positive' parameter of TeacherStudent"),
        ({"positive": "high"}, "one of auto"),
        ({"positive": [0.9, 0.9]}, "one number a label or one for all"),
        ({"agreement": 0}, "'agreement' parameter"),
        ({"labeled_fraction": 1.0}, r"a float in \(0, 1\)"),
        ({"val_fraction": 1}, r"float in \[0, 1\)"),
        ({"sample": "some"}, "one of bootstrap, all"),
        ({"max_rounds": -1}, "'max_rounds'"),
        ({"n_members": 0}, "'n_members'"),
        ({"members": []}, "at least one estimator"),
    ],
    ConsistencyTraining: [
        ({"method": "mixmatch"}, "'method' parameter of ConsistencyTraining must be one of fixm"),
        ({"teacher": "both"}, "'teacher' parameter of ConsistencyTraining must be one of ema"),
        ({"mu": 0}, "'mu' parameter of ConsistencyTraining must be an int of at least 1. Got 0"),
        ({"n_steps": 2.5}, "'n_steps' parameter of ConsistencyTraining must be an int"),
        ({"lambda_u": -1}, "'lambda_u' parameter of ConsistencyTraining must be a number of at"),
        ({"threshold": 2}, r"'threshold' parameter of ConsistencyTraining must be a float in \["),
        ({"temperature": 0}, r"'temperature' parameter of ConsistencyTraining must be a float in"),
        ({"fairness": 0.1}, "belongs to method='freematch'. Got method='softmatch'"),
        ({"strong": "hard"}, "The augmentation must be one of none, weak, mild, strong"),
        ({"flip": "maybe"}, "'flip' must be True, False or 'auto'"),
        ({"learning_rate": 0}, "'learning_rate' parameter of ConsistencyTraining must be"),
    ],
}
FIRST = {BinaryExperts: {"estimator": NETWORK}, TeacherStudent: {"members": NETWORK}}


@pytest.mark.parametrize(
    ("kind", "settings", "message"), [(k, *case) for k, cases in REFUSED.items() for case in cases]
)
def test_parameters_out_of_range_are_named(kind, settings, message, few):
    X, y, _, _ = few
    if kind is ConsistencyTraining:
        X = (X.reshape(-1, 8, 8) * 240).astype(np.uint8)
    with pytest.raises(UsageError, match=message):
        kind(**FIRST.get(kind, {}) | settings).fit(X, y)
