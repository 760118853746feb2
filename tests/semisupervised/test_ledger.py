"""The ledger of pseudo-labels."""

import numpy as np

from fewlabel.semisupervised.ledger import HELD, PseudoLabelLedger


def judge(ledger, number, labels):
    rows = np.array(sorted(labels), dtype=np.int64)
    classes = np.array([labels[row] for row in sorted(labels)], dtype=np.int64)
    return ledger.judge(number, rows, classes, np.full(len(rows), 0.9))


def test_what_holds_is_entered_once():
    ledger = PseudoLabelLedger(5)
    assert judge(ledger, 1, {0: 1, 3: 2}) == (2, 0)
    assert judge(ledger, 2, {0: 1, 3: 2}) == (0, 0)
    assert len(ledger) == 2
    assert ledger.columns()["revoked"].tolist() == [HELD, HELD]


def test_what_is_no_longer_accepted_is_revoked_in_that_round():
    ledger = PseudoLabelLedger(5)
    judge(ledger, 1, {0: 1, 3: 2})
    assert judge(ledger, 2, {3: 2}) == (0, 1)
    columns = ledger.columns()
    assert columns["row"].tolist() == [0, 3]
    assert columns["revoked"].tolist() == [2, HELD]


def test_another_class_is_a_revocation_and_a_new_entry():
    ledger = PseudoLabelLedger(5)
    judge(ledger, 1, {4: 0})
    assert judge(ledger, 2, {4: 1}) == (1, 1)
    columns = ledger.columns()
    assert columns["label"].tolist() == [0, 1]
    assert columns["round"].tolist() == [1, 2]
    assert columns["revoked"].tolist() == [2, HELD]


def test_a_row_may_come_back():
    ledger = PseudoLabelLedger(5)
    judge(ledger, 1, {2: 0})
    judge(ledger, 2, {})
    assert judge(ledger, 3, {2: 0}) == (1, 0)
    assert ledger.columns()["revoked"].tolist() == [2, HELD]


def test_an_empty_ledger_has_empty_columns():
    columns = PseudoLabelLedger(3).columns()
    assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(
        ("row", "label", "confidence", "round", "revoked"), 0
    )
