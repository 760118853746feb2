"""When binary experts agree."""

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.semisupervised.agreement import AgreementRule, has_collapsed

CLAIMS = np.array(
    [
        [0.97, 0.10, 0.20],  # one expert alone
        [0.97, 0.60, 0.20],  # two claim it
        [0.70, 0.10, 0.20],  # not sure enough
        [0.10, 0.20, 0.95],  # the network says otherwise
        [0.40, 0.30, 0.20],  # nobody claims it
    ]
)
NETWORK = np.eye(3)[[0, 0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (AgreementRule("veto"), [True, False, False, True, False]),
        (AgreementRule("vote"), [True, False, False, False, False]),
        (AgreementRule("margin", margin=0.3), [True, True, False, True, False]),
        (AgreementRule("margin", margin=0.8), [False, False, False, False, False]),
        (AgreementRule("veto", threshold=0.6), [True, False, True, True, False]),
    ],
)
def test_rules(rule, expected):
    accepted, codes, confidence = rule.judge(CLAIMS, NETWORK)
    assert accepted.tolist() == expected
    assert codes.tolist() == [0, 0, 0, 2, 0]
    np.testing.assert_array_equal(confidence, CLAIMS.max(axis=1))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (AgreementRule("majority"), "must be one of vote, veto, margin. Got 'majority'"),
        (AgreementRule(threshold=1.0), "'threshold' parameter of X must be a float in"),
        (AgreementRule(margin=0.0), "'margin' parameter of X must be a float in"),
    ],
)
def test_settings_out_of_range_are_refused(rule, message):
    with pytest.raises(UsageError, match=message):
        rule.check("X")


def test_a_collapse_is_one_class_that_is_not_so_common_among_the_labels():
    one = np.zeros(200, dtype=int)
    assert has_collapsed(one, np.full(10, 0.1))
    assert not has_collapsed(one, np.array([0.97, 0.03]))
    assert not has_collapsed(one[:5], np.full(10, 0.1))
    assert not has_collapsed(np.arange(200) % 2, np.full(10, 0.1))
