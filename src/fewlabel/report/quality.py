"""Charts of images whose labels are known: the same for a fit and an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewlabel.evaluate import (
    CoverageCurve,
    confusion_matrix,
    coverage_accuracy_curve,
    coverage_at_accuracy,
    expected_calibration_error,
    reliability_curve,
    wilson_interval,
)
from fewlabel.explain.texts import _printable
from fewlabel.percent import _percent_text
from fewlabel.report.html import View
from fewlabel.report.plots import (
    MAX_NUMBERED_CLASSES,
    _confusion_figure,
    _coverage_figure,
    _reliability_figure,
)
from fewlabel.report.scored import Scored

_MAX_CONFUSIONS = 15
_TARGETS = (0.99, 0.95, 0.9, 0.8)


def _matrix_view(counts: np.ndarray, names: Sequence[str], **labels: str) -> View:
    """Draw a confusion matrix, classes in the order of their names."""
    order = np.argsort([_printable(name).casefold() for name in names], kind="stable")
    return {
        "svg": _confusion_figure(counts[np.ix_(order, order)], [names[k] for k in order], **labels),
        "numbered": len(names) <= MAX_NUMBERED_CLASSES,
        # Width in pixels below which it scrolls.
        "least": 18 * len(names) + 90 if len(names) > 8 else 0,
    }


def _confusion_view(scored: Scored, classes: Sequence[str]) -> View | None:
    """Draw the confusion matrix and list the most frequent ones; None without one class each."""
    true = scored.task.codes(scored.y)
    predicted = scored.task.codes(scored.task.predict(scored.proba))
    if true is None or predicted is None:
        return None
    counts = confusion_matrix(true, predicted, len(classes))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MAX_CONFUSIONS]
    rows = [
        {
            "true": _printable(classes[i], limit=40),
            "predicted": _printable(classes[j], limit=40),
            "count": int(wrong[i, j]),
            "share": float(wrong[i, j] / counts[i].sum()),
        }
        for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[i, j] > 0
    ]
    return _matrix_view(counts, classes) | {"rows": rows, "n_mistakes": int(wrong.sum())}


def _reliability_view(scored: Scored) -> View:
    """Draw how far the confidence can be trusted."""
    correct, confidence = scored.correct, scored.confidence
    # About 25 images a bin: an interval of fewer says nothing.
    n_bins = int(np.clip(len(correct) // 25, 2, 12))
    curve = reliability_curve(correct, confidence, n_bins=n_bins)
    error = expected_calibration_error(correct, confidence, n_bins=n_bins)
    gap = float(confidence.mean() - correct.mean())
    # Beyond two standard errors of the accuracy the gap is more than the luck of the draw.
    noise = 2 * float(np.sqrt(correct.mean() * (1 - correct.mean()) / len(correct)))
    verdict = "On average its confidence matches its accuracy"
    if abs(gap) > max(noise, 0.01):
        side = "confident" if gap > 0 else "modest"
        verdict = f"On average it is {100 * abs(gap):.0f} points too {side}"
    sure, right = (_percent_text(float(values.mean()), 0) for values in (confidence, correct))
    caption = (
        f"{verdict} ({sure} sure, {right} right). "
        f"Bars are 95 % intervals; mean gap over the bins {100 * error:.1f} points."
    )
    interval = _intervals(curve.accuracy, curve.count)
    return {"svg": _reliability_figure(curve, interval, confidence), "caption": caption}


def _coverage_view(scored: Scored, pool: np.ndarray | None = None) -> View:
    """Draw how accurate the most confident predictions are, and how many of ``pool`` are kept."""
    correct, confidence = scored.correct, scored.confidence
    curve = coverage_accuracy_curve(correct, confidence)
    kept = np.rint(curve.coverage * len(correct))
    # The accuracy of one to four images is all or nothing: it would only distract.
    shown = kept >= min(5, len(correct))
    curve = CoverageCurve(*(column[shown] for column in curve))
    mark, caption = None, "Accuracy among the most confident images. Band: 95 % interval."
    # The first demand that a fair share of the images meets, and that all together do not.
    for target in _TARGETS:
        point = coverage_at_accuracy(correct, confidence, target)
        if point.threshold is None or point.accuracy is None or not 0.1 <= point.coverage < 1:
            continue
        mark = (point.coverage, point.accuracy)
        # Rounded down: "at least 100 % sure" would promise more than 99.6 % does.
        sure = f"{np.floor(100 * point.threshold + 1e-9):.0f} %"
        share_kept, right = _percent_text(point.coverage, 0), _percent_text(point.accuracy, 0)
        caption = (
            f"Take only what it is at least {sure} sure of: that keeps {share_kept} of these "
            f"images, of which {right} are right (the dot)."
        )
        if pool is not None and len(pool):
            share = float((pool >= point.threshold).mean())
            caption += f" Of the unlabeled images it keeps {_percent_text(share, 0)}."
        caption += " Band: 95 % interval."
        break
    interval = _intervals(curve.accuracy, kept[shown])
    return {"svg": _coverage_figure(curve, interval, mark), "caption": caption}


def _intervals(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ends = np.array([wilson_interval(s * m, m) for s, m in zip(share, n, strict=True)])
    return ends[:, 0], ends[:, 1]
