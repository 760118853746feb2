"""How many images can be accepted without a look if only so many may be wrong."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom, nbinom, poisson

from fewlabel.errors import _damaged
from fewlabel.evaluate.reliability import _check_confidence, coverage_accuracy_curve
from fewlabel.params import _check_arguments, number
from fewlabel.persist.schema import _check_arrays
from fewlabel.texts import _counted

PROMISES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Round errors that are tried, the smallest first."""

_LEVEL = 0.95


class Acceptance(NamedTuple):
    """The images that can be accepted without a look: those of at least a confidence.

    Attributes
    ----------
    max_error : float
        Fraction of the accepted images that may be wrong.
    threshold : float or None
        Least confidence of an image that is accepted; None where nothing can be promised.
    n_labels : int
        Labels drawn at random that were tested.
    n_accepted, n_wrong : int
        How many of them are at least so confident, and how many of those are wrong.
    n_missing : int
        How many more random labels the promise takes at least; 0 where it can be made.
    """

    max_error: float
    threshold: float | None
    n_labels: int
    n_accepted: int
    n_wrong: int
    n_missing: int

    @property
    def why_not(self) -> str:
        """Why nothing can be promised, as a clause; empty where something can."""
        if self.threshold is not None:
            return ""
        if not self.n_labels:
            return "of no label is it known that its image was drawn at random"
        more = _counted(self.n_missing, "more random label")
        be = "is" if self.n_labels == 1 else "are"
        return f"that takes at least {more} than the {self.n_labels:,} there {be}"


class Evidence(NamedTuple):
    """Predictions of images that were drawn at random, by models that had not seen their labels.

    Attributes
    ----------
    correct : ndarray of shape (n,), bool
        Whether they are right.
    confidence : ndarray of shape (n,), float32
        Calibrated confidence.
    """

    correct: np.ndarray = np.zeros(0, dtype=bool)
    confidence: np.ndarray = np.zeros(0, dtype=np.float32)


def accept_at(correct: Any, confidence: Any, max_error: float) -> Acceptance:
    """Compute the confidence from which on at most ``max_error`` of the images are wrong.

    Learn-then-Test (Angelopoulos et al. 2021): thresholds are tested one after the other, from
    some high one downward, until one fails; each by the exact binomial test that more than
    ``max_error`` of the images above it are wrong. So the last that passes is too low with a
    probability of at most 5 %. Whether an image is right must not decide on the order:
    the first threshold is that which by the confidences is the likeliest to pass, and between
    two tested ones there are as many labels as one more mistake takes.

    Parameters
    ----------
    correct : array-like of shape (n,), bool
        Whether predictions are right, of images that were drawn at random and not trained on.
    confidence : array-like of shape (n,)
        Their confidence, from 0 to 1.
    max_error : float
        Fraction of the accepted images that may be wrong, between 0 and 1.

    Returns
    -------
    Acceptance
        The threshold, or how many labels are missing.

    Raises
    ------
    UsageError
        If the arrays do not fit together, or ``max_error`` is out of range.

    Examples
    --------
    >>> accept_at([True] * 60, [0.9] * 60, 0.05).threshold
    0.9
    >>> accept_at([True] * 60, [0.9] * 60, 0.02).n_missing
    89
    """
    open_ends = [number(0, 1, closed="neither")]
    _check_arguments("accept_at", {"max_error": open_ends}, max_error=max_error)
    if not len(correct):
        return Acceptance(max_error, None, 0, 0, 0, int(_needed(np.zeros(1), max_error)[0]))
    right, sure = _check_confidence(correct, confidence)
    curve, n = coverage_accuracy_curve(right, sure), len(right)
    kept = np.rint(curve.coverage * n).astype(np.int64)
    wrong = np.rint((1 - curve.accuracy) * kept).astype(np.int64)
    steps = _needed(np.arange(math.floor(n * max_error) + 1), max_error)
    at = np.searchsorted(kept, np.append(steps[steps <= n], n) if steps[0] <= n else steps[:0])
    # By its confidence, that many of them should be wrong.
    expected = np.cumsum(np.sort(1 - sure))[kept - 1]
    passed = 0
    if len(at):
        chance = poisson.cdf(np.arange(len(at) - 1), expected[at[:-1]])
        at = np.unique(at[int(np.argmax(chance)) :])
        passes = binom.cdf(wrong[at], kept[at], max_error) <= 1 - _LEVEL
        passed = int(np.cumprod(passes).sum())
    if passed:
        last = at[passed - 1]
        # Rounded down: one confidence, computed twice, may differ in the last digits, and what
        # is nearly 1 was rounded to it.
        threshold = min(math.floor(1e6 * curve.threshold[last]) / 1e6, 1 - 1e-6)
        return Acceptance(max_error, threshold, n, int(kept[last]), int(wrong[last]), 0)
    # If all that come were right, and surer than the rest.
    missing = max(1, int((_needed(wrong, max_error) - kept).min()))
    return Acceptance(max_error, None, n, 0, 0, missing)


def _needed(wrong: np.ndarray, max_error: float) -> np.ndarray:
    """Return how many labels pass the test with so many wrong ones among them."""
    return np.asarray(nbinom.ppf(_LEVEL, wrong + 1, max_error) + wrong + 1, dtype=np.int64)


def _saved_evidence(arrays: Mapping[str, np.ndarray]) -> Evidence:
    """Return evidence as it was saved, none where there is none; raise `ModelFormatError`."""
    if not arrays:
        return Evidence()
    n = _check_arrays(arrays, {"confidence": "n"}, "evidence")["n"]
    correct, confidence = arrays.get("correct", np.zeros(0)), arrays["confidence"]
    in_range = confidence.min() >= 0 and confidence.max() <= 1
    if correct.dtype != bool or correct.shape != (n,) or not in_range:
        raise _damaged("The evidence of the saved model is not one of right and wrong predictions")
    return Evidence(correct, confidence)
