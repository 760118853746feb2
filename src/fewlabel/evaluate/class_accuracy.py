"""How well each class is recognized in unlabeled images: precision and recall, with intervals."""

import math

import numpy as np
from scipy.special import expit

from fewlabel.data.task import Task
from fewlabel.evaluate.metrics import wilson_interval
from fewlabel.evaluate.posterior import pool_accuracy

# A calibration of all classes together is off for each one by more: as much as if it rested on
# three labels for every one that is predicted as the class, and never on more than 60.
_LABELS_EACH, _MAX_LABELS = 3, 60
# Less probable classes than this are no hidden ones; they are taken at their word.
_LEAST = 0.005
_TINY = 1e-9


def class_accuracy(
    task: Task,
    y: np.ndarray,
    proba: np.ndarray,
    pool: np.ndarray,
    n_predicted: np.ndarray,
    groups: np.ndarray | None = None,
) -> list[dict[str, float | None]]:
    """Estimate precision and recall of each class in a pool of unlabeled images.

    Precision is `pool_accuracy` of the images that are predicted as the class, with its
    probability as the confidence. The images of the class among the others are counted
    likewise, and recall is the found ones out of both. Its interval joins those of the two
    counts in log-odds, by the square root of the sum of squares (Zou & Donner 2008).

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : ndarray of shape (m,) or (m, K)
        Labels of images that were drawn at random.
    proba : ndarray of shape (m, K)
        Their calibrated probabilities, by models that had not seen the label.
    pool : ndarray of shape (n, K)
        Calibrated probabilities of the unlabeled images.
    n_predicted : ndarray of shape (K,), int
        How many of the labels that they were calibrated on are predicted as each class.
    groups : ndarray of shape (m,), optional
        The same number for labels that belong together.

    Returns
    -------
    list of dict
        For each class ``precision``, ``precision_low``, ``precision_high`` and the same for
        ``recall``, the intervals of 95 %; None for both where no image is predicted as the class,
        and for the intervals where no label was drawn at random.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> y, proba = np.arange(100) % 2, np.eye(2)[np.arange(100) % 2] * 0.8 + 0.1
    >>> row = class_accuracy(SingleLabel(), y, proba, proba, np.array([50, 50]))[0]
    >>> [round(row[name], 2) for name in ("precision_low", "precision", "recall_high")]
    [0.88, 0.98, 1.0]
    """
    present, known = task.evidence(y, pool.shape[1])
    decided, of_pool = task.decided(proba), task.decided(pool)
    rows = []
    for k, n_labels in enumerate(np.clip(_LABELS_EACH * n_predicted, 3, _MAX_LABELS).tolist()):
        counts = []
        for named in (True, False):
            mine, theirs = (
                (found[:, k] == named) & ((p[:, k] >= _LEAST) | named)
                for found, p in ((decided, proba), (of_pool, pool))
            )
            mine &= known[:, k]
            share = pool_accuracy(
                present[mine, k] == 1,
                proba[mine, k],
                pool[theirs, k],
                n_labels=n_labels,
                groups=None if groups is None else groups[mine],
            )
            counts.append(np.nan_to_num(share) * theirs.sum())
        counts[1] = counts[1] + pool[~of_pool[:, k] & (pool[:, k] < _LEAST), k].sum()
        if not theirs.any():
            # Where no other image may be one, nothing was tested: all labels right, and no more.
            sure, _ = wilson_interval(n_labels, n_labels)
            counts[1][2] = max(counts[1][2], counts[0][0] * (1 / sure - 1))
        n_found = int(of_pool[:, k].sum())
        rows.append(_row(counts[0], counts[1], n_found, has_interval=bool(len(y))))
    return rows


_MEASURES = ("precision", "recall")


def _row(
    hits: np.ndarray, missed: np.ndarray, n: int, *, has_interval: bool
) -> dict[str, float | None]:
    """Return precision and recall of so many right and missed images: value, low, high."""
    (hit, hit_low, hit_high), (miss, miss_low, miss_high) = (
        np.log(np.maximum(counts, _TINY)) for counts in (hits, missed)
    )
    odds = hit - miss
    low = odds - math.hypot(hit - hit_low, miss_high - miss)
    high = odds + math.hypot(hit_high - hit, miss - miss_low)
    row: dict[str, float | None] = {}
    for name, ends in zip(_MEASURES, (hits / max(n, 1), expit([odds, low, high])), strict=True):
        for suffix, value in zip(("", "_low", "_high"), ends.tolist(), strict=True):
            row[name + suffix] = value if n and (has_interval or not suffix) else None
    return row
