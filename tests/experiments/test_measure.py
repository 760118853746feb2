import sys
import time

import numpy as np
import pytest

from fewlabel_experiments import measure


def test_shared_pieces_are_made_once_and_timed_apart():
    work = measure.SharedWork()
    made = []

    def make():
        made.append(1)
        time.sleep(0.05)
        return "clustering"

    costs = []
    for _ in range(2):
        with work.row() as cost:
            assert work.get("kmeans", make) == "clustering"
        costs.append(cost)
    # A row names only what it used.
    with work.row() as other:
        work.get("b", lambda: 2)
    assert list(other.shared) == ["b"]
    assert made == [1]
    assert all(cost.seconds < 0.04 for cost in costs)
    assert all(cost.shared["kmeans"] >= 0.05 for cost in costs)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux alone")
def test_the_peak_is_that_of_the_row():
    work = measure.SharedWork()
    with work.row() as large:
        np.ones(30_000_000).sum()
    with work.row() as small:
        pass
    assert large.peak_mb - small.peak_mb > 150
