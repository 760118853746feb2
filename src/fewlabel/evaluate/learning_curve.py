"""What more labels would bring: a power law through the accuracies with fewer labels.

The fraction of errors is taken to fall as ``a * n**-b + c`` with the number ``n`` of labels, the
form that Cortes et al. (1993) derive and that fits most learning curves best (Viering and Loog
2023); Figueroa et al. (2012) fit it by weighted least squares to predict how many labels a
classifier needs. A handful of noisy points does not tell a floor ``c`` from a slow fall, so no
single curve is picked: a grid of all of them, with and without a floor, is weighed by how well
each fits (Bayesian averaging), and the interval holds what they disagree about.

References
----------
Cortes, Jackel, Solla, Vapnik and Denker, "Learning curves: asymptotic values and rate of
convergence", NIPS 1993.
Figueroa, Zeng-Treitler, Kandula and Ngo, "Predicting sample size required for classification
performance", BMC Medical Informatics and Decision Making 12:8, 2012.
Viering and Loog, "The shape of learning curves: a review", IEEE TPAMI 45(6), 2023.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.evaluate.power_law import _LEAST_ERROR, _draw_curves, _errors_at, _mean_and_covariance
from fewlabel.texts import _percent_text

# With fewer tested labels a curve would be guesswork.
_MIN_LABELS = 20

LEVEL = 0.9
"""Probability of the intervals."""

# A gain below one point of accuracy for twice the labels is called hardly worth it.
_WORTH_IT = 0.01

# How fast the curve of representatives goes on, relative to its points. A part of them covers the
# images worse than as many that were chosen as such, so their points fall too steeply.
_SPEED = (0.3, 1.1)


class CurveValue(NamedTuple):
    """Accuracy at one number of labels.

    Attributes
    ----------
    expected : float
        Its median.
    low, high : float
        Ends of the interval.
    """

    expected: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracy against the number of labels, as far as the labels tell.

    Attributes
    ----------
    n_labeled, accuracies, errors : ndarray of shape (p,)
        Numbers of labels that were tried, increasing; the accuracy with each on labeled images
        that were left out; and its standard error.
    n_now, now : int, CurveValue
        Labels there are, and the accuracy with them.
    next_n, expected, low, high : int, float, float, float
        Twice as many, the accuracy that these would bring, and the ends of its interval.
    gain : CurveValue
        What they would bring on top of ``now``; known better than either accuracy.
    level : float
        Probability of the intervals.
    shift : float
        How much less accurate all images are than the labeled ones, as allowed for; 0 for a
        random sample.
    draws : ndarray of shape (s, 7)
        Plausible curves, for `fewlabel.evaluate.power_law`.
    """

    n_labeled: np.ndarray
    accuracies: np.ndarray
    errors: np.ndarray
    n_now: int
    now: CurveValue
    next_n: int
    expected: float
    low: float
    high: float
    gain: CurveValue
    level: float
    shift: float
    draws: np.ndarray

    @property
    def worth_it(self) -> bool:
        """Whether twice the labels would likely bring a point of accuracy or more."""
        return self.gain.expected >= _WORTH_IT

    def at(self, n: float) -> CurveValue:
        """Return the accuracy with n labels, n above 0; far from ``n_now`` it is a guess."""
        if not n > 0:
            raise UsageError(f"The number of labels must be above 0. Got {n!r} instead.")
        return _interval(1 - _errors_at(self.draws, n / self.n_now), self.level)

    def in_words(self) -> str:
        """Return what more labels would bring, in one or two sentences."""
        low, high = (_percent_text(value) for value in (self.low, self.high))
        expected, now = _percent_text(self.expected), _percent_text(self.now.expected)
        text = (
            f"With {self.next_n:,} labels, twice as many, about {expected} would be right "
            f"({low} to {high}); now about {now} are."
        )
        gain, least, most = (100 * value for value in self.gain)
        points = f"about {gain:z.1f} ({least:z.1f} to {most:z.1f})"
        if self.worth_it:
            return f"{text} That is a gain of {points} points."
        return f"{text} Twice the labels are hardly worth it: a gain of {points} points."

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as JSON types."""
        return {
            "n_labeled": [round(float(n), 2) for n in self.n_labeled],
            "accuracies": [round(float(a), 6) for a in self.accuracies],
            "standard_errors": [round(float(e), 6) for e in self.errors],
            "n_now": self.n_now,
            "now": self.now._asdict(),
            "next_n": self.next_n,
            "expected": self.expected,
            "low": self.low,
            "high": self.high,
            "gain": self.gain._asdict(),
            "level": self.level,
            "shift": self.shift,
            "worth_it": self.worth_it,
            "in_words": self.in_words(),
        }


def why_no_curve(classes: Any) -> str:
    """Return why some labels are too few for a learning curve.

    Parameters
    ----------
    classes : array-like of shape (t,), int
        Classes of the labeled images that can be tested, each different image once.

    Returns
    -------
    str
        The reason; empty where there are enough.

    Examples
    --------
    >>> why_no_curve([0, 1, 0, 1])
    'What more labels would bring can be predicted from 20 testable labels on; there are 4.'
    """
    counts = np.unique(np.asarray(classes), return_counts=True)[1]
    if counts.sum() < _MIN_LABELS:
        return (
            f"What more labels would bring can be predicted from {_MIN_LABELS} testable labels on; "
            f"there are {int(counts.sum())}."
        )
    if int((counts >= 2).sum()) < 2:
        return (
            "What more labels would bring can be predicted where at least two classes have two "
            "labels each: label more images of the rare ones."
        )
    return ""


def fit_learning_curve(
    n_labeled: Any,
    right: Any,
    *,
    n_now: int,
    n_classes: int = 2,
    is_random_sample: bool = False,
    unlabeled_fraction: float = 1.0,
    audit: tuple[float, float] | None = None,
    level: float = LEVEL,
) -> LearningCurve:
    """Fit a power law to accuracies with fewer labels, and predict that with twice as many.

    All sizes are tested on the same images, so their accuracies are wrong together; the
    covariance between the sizes, image by image, is taken into account. That is why the gain
    is known better than the accuracy. Sizes with less than a label a class are left out: there
    whole classes are unknown, which no power law describes.

    Labeled images that were chosen to represent the others are easier than these. The
    difference is seen by no label, so what was measured on other data is taken off, with its
    uncertainty (see `_shift_of_representatives`); images drawn at random tell how large it is.

    Parameters
    ----------
    n_labeled : array-like of shape (p,)
        Numbers of labels that models were trained on, increasing.
    right : array-like of shape (t, p)
        For each tested image and size, the share of those models that predicted it right
        without having seen its label.
    n_now : int
        Labels there are.
    n_classes : int
        Number of classes.
    is_random_sample : bool
        Whether the labeled images were drawn at random from all images.
    unlabeled_fraction : float
        Share of the images without a label. If it is small, the labeled images are not unlike
        all images, however they were chosen.
    audit : (float, float), optional
        Right predictions by the model of all labels, among how many random images: the curve is
        laid through that accuracy.
    level : float
        Probability of the intervals.

    Returns
    -------
    LearningCurve
        The accuracy with twice the labels, with its interval.

    Raises
    ------
    UsageError
        If the arrays do not fit together, or a parameter is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sizes = np.array([50, 100, 200, 320])
    >>> right = rng.random((400, 1)) > 2 * sizes**-0.5
    >>> curve = fit_learning_curve(sizes, right, n_now=400, is_random_sample=True)
    >>> curve.next_n, bool(curve.low < 1 - 2 * 800**-0.5 < curve.high)
    (800, True)
    """
    sizes, right = _check_points(n_labeled, right, n_now, level)
    if audit is not None and not 0 <= audit[0] <= audit[1] >= 1:
        raise UsageError(
            "The 'audit' parameter must be how many are right of how many, at least one. "
            f"Got {audit} instead."
        )
    # All sizes are tested on the same images: their accuracies are wrong together.
    mean, covariance = _mean_and_covariance(1 - right)
    kept = sizes >= n_classes
    # Two points are the least through which a curve can be laid.
    kept[-2:] = True
    draws = _draw_curves(
        sizes[kept] / n_now,
        mean[kept],
        covariance[np.ix_(kept, kept)],
        n_now=n_now,
        n_classes=n_classes,
    )
    speed, unseen, falling = np.ones(len(draws)), np.zeros(len(draws)), np.zeros(len(draws))
    if not is_random_sample:
        # A fixed seed: a report must not change from run to run.
        rng = np.random.default_rng(3)
        center, spread = _shift_of_representatives(float(mean[-1]), n_now / n_classes)
        speed += unlabeled_fraction * (rng.uniform(*_SPEED, len(draws)) - 1)
        unseen = unlabeled_fraction * (center + spread * rng.standard_normal(len(draws)))
        # No label shows whether this part of the errors falls with more of them: it may or not.
        falling = rng.random(len(draws))
    draws = np.column_stack([draws, speed, unseen, falling])
    if audit is not None:
        # The curve says by which part errors fall, and the estimate how many there are now.
        n_right, n = audit
        errors = np.random.default_rng(4).beta(n - n_right + 0.5, n_right + 0.5, len(draws))
        errors *= max(1 - n_right / n, _LEAST_ERROR) / np.median(errors)
        draws[:, [0, 5]] *= (errors / _errors_at(draws, 1.0))[:, None]
    now, after = 1 - _errors_at(draws, 1.0), 1 - _errors_at(draws, 2.0)
    expected = _interval(after, level)
    return LearningCurve(
        n_labeled=sizes,
        accuracies=right.mean(axis=0),
        errors=np.sqrt(np.diag(covariance)),
        n_now=int(n_now),
        now=_interval(now, level),
        next_n=2 * int(n_now),
        expected=expected.expected,
        low=expected.low,
        high=expected.high,
        # Curve by curve, so that what all of them share cancels out.
        gain=_interval(after - now, level),
        level=level,
        shift=float(unseen.mean()),
        draws=draws,
    )


def _shift_of_representatives(error: float, labels_per_class: float) -> tuple[float, float]:
    """Return by how much representatives are easier than all images, measured: see decision 8."""
    return 0.02, round(0.015 + error / labels_per_class, 6)


def _check_points(
    n_labeled: Any, right: Any, n_now: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.asarray(n_labeled, dtype=np.float64)
    right = np.asarray(right, dtype=np.float64)
    if sizes.ndim != 1 or len(sizes) < 2 or not (np.diff(sizes) > 0).all() or sizes[0] <= 0:
        raise UsageError(
            "The 'n_labeled' parameter of fit_learning_curve must hold two increasing numbers "
            f"above 0, or more. Got {sizes.tolist()} instead."
        )
    if right.ndim != 2 or right.shape[1] != len(sizes) or len(right) < 2:
        raise UsageError(
            "The 'right' parameter of fit_learning_curve must have a row for each tested image, "
            f"at least two, and {len(sizes)} columns. Got shape {right.shape} instead."
        )
    if not ((right >= 0) & (right <= 1)).all():
        raise UsageError("The 'right' parameter of fit_learning_curve must hold shares in [0, 1].")
    if n_now < sizes[-1]:
        raise UsageError(
            f"The 'n_now' parameter of fit_learning_curve must be at least {sizes[-1]:g}, the "
            f"largest of 'n_labeled'. Got {n_now} instead."
        )
    if not 0 < level < 1:
        raise UsageError(f"The 'level' parameter must lie between 0 and 1. Got {level} instead.")
    return sizes, right


def _interval(values: np.ndarray, level: float) -> CurveValue:
    tail = (1 - level) / 2
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail]).tolist()
    return CurveValue(middle, low, high)
