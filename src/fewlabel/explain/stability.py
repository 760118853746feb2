"""How far to trust an explanation: whether its repeats, and another method, agree."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

KINDS = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}


def _rank_agreement(
    a: NDArray[np.floating], b: NDArray[np.floating], kind: str = "spearman"
) -> float:
    """Return the rank correlation (Spearman or Kendall) of two sets of weights (d,).

    NaN for fewer than three segments, or where all weights of one are equal.
    """
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    # Rounded, since 0.9999999999999998 is full agreement.
    return round(float(KINDS[kind](a, b).statistic), 12)


def _stability(repeats: NDArray[np.floating], kind: str = "spearman") -> float:
    """Return the mean rank agreement of repeats (r, d), pair by pair; NaN without a pair.

    LIME draws at random. Where its repeats with other seeds put the segments in another order,
    the picture shows chance; more samples help.
    """
    values = [_rank_agreement(a, b, kind) for a, b in combinations(np.asarray(repeats), 2)]
    # A repeat whose weights are all equal has no order to compare.
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
