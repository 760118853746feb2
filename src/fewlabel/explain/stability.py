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
    """Return the rank correlation of two sets of weights (d,); NaN for fewer than three."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    # Rounded, since 0.9999999999999998 is full agreement.
    return round(float(KINDS[kind](a, b).statistic), 12)


def _stability(repeats: NDArray[np.floating], kind: str = "spearman") -> float:
    """Return the mean rank agreement of LIME's repeats (r, d), pair by pair; NaN without a pair."""
    values = [_rank_agreement(a, b, kind) for a, b in combinations(np.asarray(repeats), 2)]
    # A repeat whose weights are all equal has no order to compare.
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
