"""What is said of images whose true class is known: the same for a run and an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fewlabel.evaluate import (
    CoverageCurve,
    accuracy,
    confusion_matrix,
    coverage_accuracy_curve,
    coverage_at_accuracy,
    expected_calibration_error,
    per_class,
    reliability_curve,
    wilson_interval,
)
from fewlabel.report.plots import (
    MAX_NUMBERED_CLASSES,
    confusion_figure,
    coverage_figure,
    reliability_figure,
)
from fewlabel.report.svg import printable

N_CONFUSIONS = 15
N_MISTAKES = 15
_TARGETS = (0.99, 0.95, 0.9, 0.8)
View = dict[str, Any]


class Judged(Protocol):
    """Images of which it is known whether what was said of them is right."""

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which predictions are right, a bool array of shape (n,)."""

    @property
    def confidence(self) -> NDArray[np.floating[Any]]:
        """Confidence of each prediction, a float array of shape (n,)."""


@dataclass(frozen=True)
class Scored:
    """Images whose true class is known, with what the model said of them.

    Parameters
    ----------
    y : ndarray of shape (n,), int
        True classes.
    proba : ndarray of shape (n, K), float
        Probabilities.
    """

    y: NDArray[np.integer[Any]]
    proba: NDArray[np.floating[Any]]

    @property
    def predicted(self) -> NDArray[np.integer[Any]]:
        """Predicted classes, an int array of shape (n,)."""
        return self.proba.argmax(axis=1)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which predictions are right, a bool array of shape (n,)."""
        return self.predicted == self.y

    @property
    def confidence(self) -> NDArray[np.floating[Any]]:
        """Probability of each prediction, a float array of shape (n,)."""
        return self.proba.max(axis=1)

    @property
    def counts(self) -> NDArray[np.integer[Any]]:
        """Confusion matrix, an int array of shape (K, K)."""
        return confusion_matrix(self.y, self.predicted, self.proba.shape[1])


def confusion_view(scored: Scored, classes: Sequence[str]) -> View:
    """Draw the confusion matrix and list the most frequent confusions.

    Parameters
    ----------
    scored : Scored
        Images whose class is known.
    classes : sequence of str
        Class names.

    Returns
    -------
    dict
        ``svg``, ``numbered``, ``least`` (width in pixels below which it scrolls), ``rows``
        and ``n_mistakes``.
    """
    counts = scored.counts
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:N_CONFUSIONS]
    support = counts.sum(axis=1)
    rows = [
        {
            "true": printable(classes[i], limit=40),
            "predicted": printable(classes[j], limit=40),
            "count": int(wrong[i, j]),
            "share": float(wrong[i, j] / support[i]),
        }
        for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[i, j] > 0
    ]
    order_by_name = np.argsort([printable(name).casefold() for name in classes], kind="stable")
    svg = confusion_figure(
        counts[np.ix_(order_by_name, order_by_name)], [classes[k] for k in order_by_name]
    )
    numbered = len(classes) <= MAX_NUMBERED_CLASSES
    return {
        "svg": svg,
        "numbered": numbered,
        "least": 18 * len(classes) + 90 if len(classes) > 8 else 0,
        "rows": rows,
        "n_mistakes": int(wrong.sum()),
    }


def reliability_view(scored: Judged) -> View:
    """Draw how far the confidence can be believed.

    Parameters
    ----------
    scored : Judged
        Images whose class is known.

    Returns
    -------
    dict
        ``svg`` and ``caption``.
    """
    correct, confidence = scored.correct, scored.confidence
    # About 25 images a bin: an interval of fewer says nothing.
    n_bins = int(np.clip(len(correct) // 25, 2, 12))
    curve = reliability_curve(correct, confidence, n_bins=n_bins)
    intervals = _intervals(curve.accuracy, curve.count)
    error = expected_calibration_error(correct, confidence, n_bins=n_bins)
    gap = float(confidence.mean() - correct.mean())
    # Beyond two standard errors of the accuracy the gap is more than the luck of the draw.
    noise = 2 * float(np.sqrt(correct.mean() * (1 - correct.mean()) / len(correct)))
    if abs(gap) <= max(noise, 0.01):
        verdict = "On average its confidence matches its accuracy"
    else:
        verdict = (
            f"On average it is {100 * abs(gap):.0f} points too {'sure' if gap > 0 else 'modest'}"
        )
    caption = (
        f"{verdict} ({100 * confidence.mean():.0f} % sure, {100 * correct.mean():.0f} % right). "
        f"Bars are 95 % intervals; mean gap over the bins {100 * error:.1f} points."
    )
    return {"svg": reliability_figure(curve, *intervals, confidence), "caption": caption}


def coverage_view(scored: Judged, pool: NDArray[np.floating[Any]] | None = None) -> View:
    """Draw how accurate the most confident predictions are.

    Parameters
    ----------
    scored : Judged
        Images whose class is known.
    pool : ndarray of shape (n,), float, optional
        Confidence of all unlabelled images, to say how many of them would be kept.

    Returns
    -------
    dict
        ``svg`` and ``caption``.
    """
    correct, confidence = scored.correct, scored.confidence
    curve = coverage_accuracy_curve(correct, confidence)
    kept = np.rint(curve.coverage * len(correct))
    # The accuracy of the one to four surest images is all or nothing: it would only distract.
    shown = kept >= min(5, len(correct))
    curve = CoverageCurve(*(column[shown] for column in curve))
    intervals = _intervals(curve.accuracy, kept[shown])
    mark, caption = None, "Accuracy among the most confident images. Band: 95 % interval."
    # The first demand that a fair share of the images meets, and that all together do not.
    for target in _TARGETS:
        point = coverage_at_accuracy(correct, confidence, target)
        if point.threshold is None or point.accuracy is None or not 0.1 <= point.coverage < 1:
            continue
        mark = (point.coverage, point.accuracy)
        caption = (
            f"Take only what it is at least {100 * point.threshold:.0f} % sure of: that keeps "
            f"{100 * point.coverage:.0f} % of these images, of which {100 * point.accuracy:.0f} % "
            "are right (the dot)."
        )
        if pool is not None and len(pool):
            share = float((pool >= point.threshold).mean())
            caption += f" Of the unlabelled images it keeps {100 * share:.0f} %."
        caption += " Band: 95 % interval."
        break
    return {"svg": coverage_figure(curve, *intervals, mark=mark), "caption": caption}


def _intervals(
    share: NDArray[np.floating[Any]], n: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ends = np.array([wilson_interval(s * m, m) for s, m in zip(share, n, strict=True)])
    return ends[:, 0], ends[:, 1]


def measured(scored: Scored) -> tuple[float, float, float]:
    """Give the accuracy with its 95 % interval.

    Parameters
    ----------
    scored : Scored
        Images whose class is known.

    Returns
    -------
    tuple of (float, float, float)
        Accuracy, low and high end.

    Examples
    --------
    >>> measured(Scored(np.array([0, 1]), np.eye(2)))[0]
    1.0
    """
    value = accuracy(scored.y, scored.predicted)
    low, high = wilson_interval(int(scored.correct.sum()), len(scored.y))
    return value, low, high


def quality_rows(scored: Scored, classes: Sequence[str]) -> list[View]:
    """Give recall, precision and F1 of each class.

    Parameters
    ----------
    scored : Scored
        Images whose class is known.
    classes : sequence of str
        Class names.

    Returns
    -------
    list of dict
        One row a class; None where a measure is not defined.
    """
    table = per_class(scored.y, scored.predicted, len(classes))
    predicted = np.bincount(scored.predicted, minlength=len(classes))
    names = [printable(name, limit=60) for name in classes]
    return [
        row | {"name": row["class"], "predicted": int(predicted[k])}
        for k, row in enumerate(table.rows(names))
    ]


def mistake_rows(scored: Scored, classes: Sequence[str], names: Sequence[str]) -> list[View]:
    """List the most confident mistakes.

    Parameters
    ----------
    scored : Scored
        Images whose class is known.
    classes : sequence of str
        Class names.
    names : sequence of str
        Path or number of each image.

    Returns
    -------
    list of dict
        Name, true class, predicted class and confidence, at most fifteen rows.
    """
    wrong = np.flatnonzero(~scored.correct)
    confidence, predicted = scored.confidence, scored.predicted
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")[:N_MISTAKES]]
    return [
        {
            "name": printable(names[i], limit=60),
            "true": printable(classes[scored.y[i]], limit=40),
            "predicted": printable(classes[predicted[i]], limit=40),
            "confidence": float(confidence[i]),
        }
        for i in worst
    ]
