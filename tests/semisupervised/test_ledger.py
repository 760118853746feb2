"""The ledger of pseudo-labels."""

import numpy as np

from fewlabel.semisupervised.ledger import HELD, PseudoLabelLedger


def enter(ledger, number, labels):
    rows = np.array(sorted(labels), dtype=np.int64)
    classes = np.array([labels[row] for row in sorted(labels)], dtype=np.int64)
    return ledger.enter(number, rows, classes, np.full(len(rows), 0.9))


def test_what_holds_is_entered_once():
    ledger = PseudoLabelLedger()
    assert enter(ledger, 1, {0: 1, 3: 2}) == (2, 0)
    assert enter(ledger, 2, {0: 1, 3: 2}) == (0, 0)
    assert len(ledger) == 2
    assert ledger.columns()["revoked"].tolist() == [HELD, HELD]


def test_what_is_no_longer_accepted_is_revoked_in_that_round():
    ledger = PseudoLabelLedger()
    enter(ledger, 1, {0: 1, 3: 2})
    assert enter(ledger, 2, {3: 2}) == (0, 1)
    columns = ledger.columns()
    assert columns["row"].tolist() == [0, 3]
    assert columns["revoked"].tolist() == [2, HELD]


def test_another_class_is_a_revocation_and_a_new_entry():
    ledger = PseudoLabelLedger()
    enter(ledger, 1, {4: 0})
    assert enter(ledger, 2, {4: 1}) == (1, 1)
    columns = ledger.columns()
    assert columns["label"].tolist() == [0, 1]
    assert columns["round"].tolist() == [1, 2]
    assert columns["revoked"].tolist() == [2, HELD]


def test_a_row_may_come_back():
    ledger = PseudoLabelLedger()
    enter(ledger, 1, {2: 0})
    enter(ledger, 2, {})
    assert enter(ledger, 3, {2: 0}) == (1, 0)
    assert ledger.columns()["revoked"].tolist() == [2, HELD]


def test_a_row_may_have_several_labels_each_revoked_by_itself():
    ledger = PseudoLabelLedger()
    pair = np.array([3, 3]), np.array([0, 2]), np.array([0.9, 0.8])
    assert ledger.enter(1, *pair) == (2, 0)
    assert ledger.enter(2, *(part[1:] for part in pair)) == (0, 1)
    assert ledger.revoked == [2, HELD]


def test_an_empty_ledger_has_empty_columns():
    columns = PseudoLabelLedger().columns()
    assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(
        ("row", "label", "confidence", "round", "revoked"), 0
    )
