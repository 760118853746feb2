"""How far to believe an explanation: whether its repeats, and another method, agree."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

KINDS = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}


def rank_agreement(
    a: NDArray[np.floating], b: NDArray[np.floating], kind: str = "spearman"
) -> float:
    """Tell whether two explanations put the segments in the same order.

    Parameters
    ----------
    a, b : ndarray of shape (d,)
        Weights of the segments.
    kind : {"spearman", "kendall"}
        Which rank correlation.

    Returns
    -------
    float
        1 for the same order, 0 for unrelated ones, -1 for the opposite; NaN for fewer than
        three segments, or where all weights of one are equal.

    Examples
    --------
    >>> rank_agreement(np.array([0.1, 0.5, 0.3]), np.array([1.0, 3.0, 2.0]))
    1.0
    """
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return round(float(KINDS[kind](a, b).statistic), 12)


def stability(repeats: NDArray[np.floating], kind: str = "spearman") -> float:
    """Give the mean rank agreement of repeated explanations, pair by pair.

    LIME draws at random. Where its repeats with other seeds put the segments in another order,
    the picture shows chance; more samples help.

    Parameters
    ----------
    repeats : ndarray of shape (r, d)
        Weights of the segments in each repeat.
    kind : {"spearman", "kendall"}
        Which rank correlation.

    Returns
    -------
    float
        Mean over all pairs; NaN for a single repeat, or where no pair can be compared.

    Examples
    --------
    >>> stability(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).__round__(2)
    -0.33
    """
    values = [rank_agreement(a, b, kind) for a, b in combinations(np.asarray(repeats), 2)]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
