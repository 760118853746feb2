"""Images whose labels are known, and their charts: the same for a fit and an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from fewlabel.data import Task
from fewlabel.evaluate import (
    Acceptance,
    AccuracyEstimate,
    CoverageCurve,
    confusion_matrix,
    coverage_accuracy_curve,
    estimate_accuracy,
    expected_calibration_error,
    reliability_curve,
    wilson_interval,
)
from fewlabel.report.html import View
from fewlabel.report.plots import (
    MAX_NUMBERED_CLASSES,
    _confusion_figure,
    _coverage_figure,
    _reliability_figure,
)
from fewlabel.texts import _percent_text, _printable

_MAX_CONFUSIONS = 15


@dataclass(frozen=True, eq=False)
class _Scored:
    """Images whose labels are known, and what a model predicts for them."""

    task: Task
    y: np.ndarray
    proba: np.ndarray
    # The same number (n,) for images that belong together.
    groups: np.ndarray | None = None

    @property
    def correct(self) -> np.ndarray:
        """Whether every known label of an image is predicted right, (n,) bool."""
        return self.task.correct(self.y, self.proba)

    def _measured(self, chosen: Any = slice(None)) -> AccuracyEstimate:
        """Return the accuracy on the images, or on some of them, as wide as groups make it."""
        groups = None if self.groups is None else self.groups[chosen]
        return estimate_accuracy(self.correct[chosen], is_random_sample=True, groups=groups)

    @property
    def confidence(self) -> np.ndarray:
        """Probability that every known label is predicted right, (n,)."""
        return self.task.confidence_in(self.y, self.proba)


def _matrix_view(counts: np.ndarray, names: Sequence[str], **labels: str) -> View:
    """Draw a confusion matrix, classes in the order of their names."""
    order = np.argsort([_printable(name).casefold() for name in names], kind="stable")
    return {
        "svg": _confusion_figure(counts[np.ix_(order, order)], [names[k] for k in order], **labels),
        "numbered": len(names) <= MAX_NUMBERED_CLASSES,
        # Width in pixels below which it scrolls.
        "least": 18 * len(names) + 90 if len(names) > 8 else 0,
    }


def _confusion_view(scored: _Scored, classes: Sequence[str]) -> View | None:
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


def _reliability_view(correct: np.ndarray, confidence: np.ndarray, note: str = "") -> View:
    """Draw how far the confidence can be trusted."""
    # About 25 images a bin: an interval of fewer says nothing.
    n_bins = int(np.clip(len(correct) // 25, 2, 12))
    curve = reliability_curve(correct, confidence, n_bins=n_bins)
    error = expected_calibration_error(correct, confidence, n_bins=n_bins)
    gap = float(confidence.mean() - correct.mean())
    verdict = "On average its confidence matches its accuracy"
    if abs(gap) >= 0.015:
        side = "confident" if gap > 0 else "modest"
        verdict = f"On average it is {100 * abs(gap):.0f} points too {side}"
    # Within two standard errors of the accuracy the gap may be the luck of the draw.
    noise = 2 * float(np.sqrt(correct.mean() * (1 - correct.mean()) / len(correct)))
    luck = ", which may be luck" if 0.015 <= abs(gap) <= noise else ""
    sure, right = (_percent_text(float(values.mean()), 0) for values in (confidence, correct))
    caption = (
        f"{verdict} ({sure} sure, {right} right){luck}. "
        f"Bars are 95 % intervals; mean gap over the bins {100 * error:.1f} points. {note}"
    )
    ends = [wilson_interval(s * n, n) for s, n in zip(curve.accuracy, curve.count, strict=True)]
    low, high = np.array(ends).T
    return {"svg": _reliability_figure(curve, (low, high), confidence), "caption": caption}


def _coverage_view(
    correct: np.ndarray,
    confidence: np.ndarray,
    promises: Sequence[Acceptance],
    pool: np.ndarray,
    note: str = "",
) -> View:
    """Draw how accurate the most confident images are, and say how many of ``pool`` to accept."""
    curve = coverage_accuracy_curve(correct, confidence)
    kept = np.rint(curve.coverage * len(correct))
    # The accuracy of one to four images is all or nothing: it would only distract.
    shown = kept >= min(5, len(correct))
    curve, kept = CoverageCurve(*(column[shown] for column in curve)), kept[shown]
    right = np.rint(curve.accuracy * kept)
    # Clopper-Pearson, to one side.
    low = np.where(right > 0, beta.ppf(0.05, np.maximum(right, 0.5), kept - right + 1), 0.0)
    # Larger errors that allow no more are left out.
    made = {found.threshold: found for found in reversed(promises) if found.threshold is not None}
    marks = [
        (found.n_accepted / found.n_labels, 1 - found.max_error)
        for found in made.values()
        if found.n_labels == len(correct)
    ]
    promised = _promised(list(made.values())[::-1], promises, pool, "Dots: of" if marks else "Of")
    caption = (
        "Accuracy among the most confident images. Band: with 95 % certainty, at each point, at "
        f"least so many are right. {promised} {note}"
    )
    return {"svg": _coverage_figure(curve, low, marks), "caption": caption}


def _promised(
    made: list[Acceptance], promises: Sequence[Acceptance], pool: np.ndarray, of: str
) -> str:
    """Say how many images can be accepted at which error, or why none can be."""
    if not made:
        able = promises[-1]
        even = f", even if {_percent_text(able.max_error, 0)} may be wrong" if able.n_labels else ""
        return f"None can be accepted without a look{even}: {able.why_not}."
    parts = []
    for found in made[:3]:
        sure = pool >= found.threshold
        what = f"{sure.sum():,} ({_percent_text(float(sure.mean()), 0)})" if len(pool) else ""
        what = what or f"those with {_percent_text(found.threshold or 0)} confidence"
        parts.append(f"{what} if {_percent_text(found.max_error, 0)} may be wrong")
    which = f"{len(pool):,}" if len(pool) else "new"
    return f"{of} {which} images these can be accepted without a look: {', '.join(parts)}."
