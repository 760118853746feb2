"""The ledger of pseudo-labels."""

import numpy as np
import pytest

from fewlabel.semisupervised.ledger import HELD, PseudoLabelLedger


@pytest.mark.parametrize(
    ("rounds", "counts", "entered"),
    [
        ([], [], []),
        # What holds is entered once.
        ([[(0, 1), (3, 2)]] * 2, [(2, 0), (0, 0)], [(0, 1, 1, HELD), (3, 2, 1, HELD)]),
        # What is no longer accepted is revoked in that round.
        ([[(0, 1), (3, 2)], [(3, 2)]], [(2, 0), (0, 1)], [(0, 1, 1, 2), (3, 2, 1, HELD)]),
        # Another class is a revocation and a new entry.
        ([[(4, 0)], [(4, 1)]], [(1, 0), (1, 1)], [(4, 0, 1, 2), (4, 1, 2, HELD)]),
        # A row may come back.
        ([[(2, 0)], [], [(2, 0)]], [(1, 0), (0, 1), (1, 0)], [(2, 0, 1, 2), (2, 0, 3, HELD)]),
        # It may have several labels, each revoked by itself.
        ([[(3, 0), (3, 2)], [(3, 2)]], [(2, 0), (0, 1)], [(3, 0, 1, 2), (3, 2, 1, HELD)]),
    ],
)
def test_rounds_enter_and_revoke(rounds, counts, entered):
    ledger = PseudoLabelLedger()
    for number, (pairs, count) in enumerate(zip(rounds, counts, strict=True), start=1):
        rows, classes = np.array(pairs, int).reshape(-1, 2).T
        assert ledger.enter(number, rows, classes, np.full(len(rows), 0.9)) == count
    columns = ledger.columns()
    found = zip(*(columns[name] for name in ("row", "label", "round", "revoked")), strict=True)
    assert list(found) == entered
    assert len(ledger) == len(entered)
