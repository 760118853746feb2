"""Occlusion, which checks LIME, and how far methods and repeats agree: whether to trust them."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fewlabel.explain.perturb import _Perturber

KINDS = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}

_WINDOWS_A_SIDE = 4.5


def _occlusion_map(perturber: _Perturber, target: int) -> NDArray[np.float64]:
    """Return what each pixel (H, W) adds to a probability (Zeiler and Fergus 2014)."""
    height, width = perturber.image.shape[:2]
    window = max(1, round(min(height, width) / _WINDOWS_A_SIDE))
    keep = np.array(
        [
            _without(height, width, top, left, window)
            for top in _starts(height, window)
            for left in _starts(width, window)
        ]
    )
    whole = perturber(np.ones((1, height, width), bool))[0, target]
    drop = whole - perturber.in_batches(keep)[:, target]
    covered = ~keep
    # Windows overlap: a pixel gets the mean of those that cover it.
    return np.tensordot(drop, covered, axes=1) / covered.sum(axis=0)


def _segment_means(values: NDArray[np.float64], segments: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of a map (H, W) over each of its segments (H, W)."""
    return np.bincount(segments.ravel(), values.ravel()) / np.bincount(segments.ravel())


def _starts(side: int, window: int) -> list[int]:
    """Places of a window that moves by half its side and ends flush with the image."""
    last = side - window
    steps = max(1, -(-last // max(1, window // 2)))
    return sorted({round(last * i / steps) for i in range(steps + 1)})


def _without(height: int, width: int, top: int, left: int, window: int) -> NDArray[np.bool_]:
    keep = np.ones((height, width), bool)
    keep[top : top + window, left : left + window] = False
    return keep


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
