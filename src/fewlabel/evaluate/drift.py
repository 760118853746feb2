"""Whether new images are like those that a model was fitted on, and its accuracy holds on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.stats import binom

from fewlabel.cluster.neighbors import nearest_neighbors
from fewlabel.data import ImageSet
from fewlabel.data.task import Task
from fewlabel.evaluate.estimates import AccuracyEstimate
from fewlabel.evaluate.posterior import pool_accuracy
from fewlabel.evaluate.selective import Evidence
from fewlabel.params import integer
from fewlabel.persist.schema import _MAX_COUNT, _check_arrays, _check_fields

LOOKS = ("novelty", "brightness", "contrast", "sharpness")
"""What is compared besides the confidence, a column each."""

MIN_IMAGES = 20
"""Of fewer images nothing can be said."""

MAX_IMAGES = 2_000
"""Of more new images, so many are drawn at random: they tell enough."""

# Fixed on seeds 101 to 103, see docs/decisions/0018-shipping.md. A difference counts if it exceeds
# so many standard errors, and by more than images of one source differ anyway: those that a model
# was fitted on are never quite like new ones.
_ERRORS, _TOLERANCE = 2.4, 0.02
_TAIL, _TAIL_ERRORS, _TAIL_TOLERANCE = 0.05, 2.3, 0.01
# The more classes, the more often one of them differs by chance.
_MIX_ERRORS, _MIX_TOLERANCE = 1.7, 0.02
# An image is clustered if of its nearest images so many are new as chance gives to this fraction;
# the odds are larger, since images of the fit are farther from each other in features of theirs.
_NEIGHBORS, _RARE, _SEEN_ODDS = 20, 1e-3, 1.2
# More than these, and than this fraction, are a new class.
_FEW, _FEW_FRACTION = 2, 0.008
_CONFIDENCE_TOLERANCE, _MAX_WEIGHT = 0.02, 20.0
# By so much, divided by their number, images that a graph was made of are more like each other.
_SEEN = 8.0
# As many images as in the fit: a class that few new images show is not known to be gone.
_PRIOR = 10.0
_STEPS, _BOOTSTRAPS = 30, 60
_MAX_KEPT, _MAX_LARGE, _SMALL, _MAX_NUMBERS = 1_000, 400, 256, 200_000
_SIDE = 64
_FIELDS = {"n_images": [integer(1, 2**53)], "n_labels": [integer(0, _MAX_COUNT)]}
_ARRAYS = {"proba": "m K", "looks": "m L", "shares": "two K"}


@dataclass(frozen=True, eq=False)
class _Reference:
    """A sample of the images that a model was fitted on, without those that were labeled.

    Their calibrated probabilities (m, K) and ``LOOKS`` (m, 4); how frequent each class is among
    all such images, and how often it is predicted (2, K); how many such images there were, and how
    many labels the confidence was calibrated on.
    """

    proba: np.ndarray
    looks: np.ndarray
    shares: np.ndarray
    n_images: int
    n_labels: int

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what is saved with a model."""
        arrays = {name: getattr(self, name).astype(np.float32) for name in _ARRAYS}
        return arrays, {"n_images": self.n_images, "n_labels": self.n_labels}

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], n_classes: int
    ) -> Self:
        """Return what was saved; raise `ModelFormatError` if something does not fit."""
        _check_fields(meta, _FIELDS, "reference")
        sizes = {"K": n_classes, "L": len(LOOKS), "two": 2}
        _check_arrays(arrays, _ARRAYS, "reference", sizes)
        proba, looks, shares = (arrays[name].astype(np.float64) for name in _ARRAYS)
        shares = np.clip(shares, 0, 1)
        return cls(np.clip(proba, 0, 1), looks, shares, meta["n_images"], meta["n_labels"])


class _Shift(NamedTuple):
    """How probably a property is larger in a new image than in one of the fit: 0.5 where alike."""

    name: str
    above: float
    low: float
    high: float
    is_alarm: bool


@dataclass(frozen=True, eq=False)
class _Drift:
    """How unlike the images of a fit new images are.

    Which part is more unlike anything labeled than 95 % of those of the fit (``beyond``), and
    whether that is more than chance; those that lie among each other, away from images of the fit
    (``clustered``, indices); how frequent each class was and is, with the interval (4, K), and
    whether it is predicted more or less often; the accuracy to be expected where the images are not
    unlike.
    """

    shifts: tuple[_Shift, ...]
    beyond: float
    many_beyond: bool
    clustered: np.ndarray
    shares: np.ndarray
    moved: np.ndarray
    accuracy: AccuracyEstimate

    @property
    def verdict(self) -> str:
        """Whether they are ``"like"``, of another ``"mix"`` of classes, or ``"unlike"``."""
        if self.many_beyond or len(self.clustered) or any(shift.is_alarm for shift in self.shifts):
            return "unlike"
        return "mix" if self.moved.any() else "like"


def _appearance(images: ImageSet) -> np.ndarray:
    """Return brightness, contrast and sharpness (n, 3) of images as they are seen from afar."""
    found = np.zeros((len(images), 3))
    for where, pixels in images.blocks(256, size=(_SIDE, _SIDE), channels=1):
        gray = pixels[..., 0].astype(np.float32)
        steps = sum(np.abs(np.diff(gray, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
        found[where] = np.stack([gray.mean(axis=(1, 2)), gray.std(axis=(1, 2)), steps], axis=1)
    return found


def _make_reference(
    task: Task, images: ImageSet, proba: np.ndarray, scores: np.ndarray, n_labels: int, seed: int
) -> _Reference | None:
    """Sample images that were predicted without a label of theirs; None of too few."""
    n, n_classes = proba.shape
    if n < MIN_IMAGES:
        return None
    shape = images.native_shape
    # Large photos take long to read once more.
    most = _MAX_KEPT if shape and max(shape[:2]) <= _SMALL else _MAX_LARGE
    size = min(n, most, max(_MAX_NUMBERS // n_classes, MIN_IMAGES))
    rows = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
    looks = np.column_stack([scores[rows], _appearance(images.subset(rows))])
    shares = np.stack([proba.mean(axis=0), task.decided(proba).mean(axis=0)])
    return _Reference(proba[rows], looks, shares, n, n_labels)


def _find_drift(
    task: Task,
    reference: _Reference,
    evidence: Evidence,
    proba: np.ndarray,
    looks: np.ndarray,
    rows: np.ndarray,
    rows_of_fit: np.ndarray,
) -> _Drift:
    """Compare new images with those that a model was fitted on.

    Classes of which more or fewer are predicted than chance gives are a changed mix. Under label
    shift, images of one class look as before: so those of the fit are weighed as in the mix under
    which the calibrated probabilities of the new ones are the likeliest (Saerens, Latinne and
    Decaestecker 2002; Alexandari, Kundaje and Shrikumar 2020). Then confidence and looks are
    compared by the probability that one of a pair is larger (Mann and Whitney). A new class may
    hide in another, but its features lie among each other. The accuracy to be expected is the mean
    probability that a prediction is right, in the new mix where it has changed.
    """
    was, at_fit = reference.proba, reference.shares[0]
    mix = _mix(task, proba, at_fit)
    weights = np.minimum(task.reweigh(was, at_fit, mix)[1], _MAX_WEIGHT)
    old = np.column_stack([task.confidence(was), reference.looks])
    new = np.column_stack([task.confidence(proba), looks])
    seen = _SEEN / reference.n_images
    # What the fit has seen of its images shows in the first two, and twice as much in the tail.
    shifts = [
        _shift(name, old[:, j], new[:, j], weights, seen if j < 2 else 0.0)
        for j, name in enumerate(("confidence", *LOOKS))
    ]
    # The order of confidences that are nearly the same says nothing, and what is nearer to the
    # labels is no trouble.
    step = new[:, 0].mean() - np.average(old[:, 0], weights=weights)
    calm = {"confidence": abs(step) < _CONFIDENCE_TOLERANCE, "novelty": shifts[1].above < 0.5}
    shifts = [s._replace(is_alarm=s.is_alarm and not calm.get(s.name, False)) for s in shifts]
    beyond, many = _beyond(old[:, 1], new[:, 1], weights, 2 * seen)
    likelihood = np.minimum(task.reweigh(proba, at_fit, mix)[1], _MAX_WEIGHT)
    clustered = _clustered(rows, rows_of_fit, likelihood)
    moved = _moved(task, reference, proba)
    accuracy, ends = _accuracy(task, reference, evidence, proba, mix, is_moved=bool(moved.any()))
    shares = np.stack([at_fit, mix, *ends])
    return _Drift(tuple(shifts), beyond, many, clustered, shares, moved, accuracy)


def _moved(task: Task, reference: _Reference, proba: np.ndarray) -> np.ndarray:
    """Return the classes that are predicted more or less often, by tests of two proportions."""
    n, m, before = len(proba), reference.n_images, reference.shares[1]
    now = task.decided(proba).mean(axis=0)
    both = (n * now + m * before + 0.5) / (n + m + 1)
    error = np.sqrt(both * (1 - both) * (1 / n + 1 / m))
    allowed = np.sqrt(_MIX_ERRORS**2 + 2 * np.log(len(now))) * error + _MIX_TOLERANCE
    return np.asarray(np.abs(now - before) > allowed)


def _shift(
    name: str, was: np.ndarray, now: np.ndarray, weights: np.ndarray, allowed: float
) -> _Shift:
    """Compare two samples, of which the first is weighed; by DeLong's standard error (1988)."""
    share = weights / weights.sum()
    of_new, of_old = _below(was, share, now), _below(now, np.full(len(now), 1 / len(now)), was)
    # Sums of shares may end a rounding above 1.
    above = min(float(of_new.mean()), 1.0)
    variance = of_new.var() / len(now) + (share**2 * (of_old - share @ of_old) ** 2).sum()
    error = max(float(np.sqrt(variance)), 1e-9)
    is_alarm = abs(above - 0.5) > _ERRORS * error + _TOLERANCE + allowed
    low, high = (float(np.clip(above + side * 1.96 * error, 0, 1)) for side in (-1, 1))
    return _Shift(name, above, low, high, bool(is_alarm))


def _below(sample: np.ndarray, share: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the share of a sample that is below each value; what is equal counts half."""
    order = np.argsort(sample, kind="stable")
    ranked, total = sample[order], np.concatenate([[0], np.cumsum(share[order])])
    left, right = np.searchsorted(ranked, values), np.searchsorted(ranked, values, "right")
    return np.asarray((total[left] + total[right]) / 2)


def _beyond(
    was: np.ndarray, now: np.ndarray, weights: np.ndarray, allowed: float
) -> tuple[float, bool]:
    """Return the share above the 95 % quantile of the first sample, and whether it is large."""
    share, order = weights / weights.sum(), np.argsort(was, kind="stable")
    at = min(int(np.searchsorted(np.cumsum(share[order]), 1 - _TAIL)), len(was) - 1)
    found = float((now > was[order[at]]).mean())
    error = np.sqrt(_TAIL * (1 - _TAIL) * (1 / len(now) + (share**2).sum()))
    return found, bool(found > _TAIL + _TAIL_ERRORS * error + _TAIL_TOLERANCE + allowed)


def _clustered(rows: np.ndarray, rows_of_fit: np.ndarray, likelihood: np.ndarray) -> np.ndarray:
    """Return new images that lie among each other, where these are more than chance gives.

    Two samples of one source mix among nearest neighbors (Schilling 1986; Henze 1988). Each image
    is tested by itself, at how likely it is in the new mix, since a new class may be few of them.
    """
    rng = np.random.default_rng(0)
    old = rows_of_fit[rng.permutation(len(rows_of_fit))[:MAX_IMAGES]]
    # Where the new ones were more, they would be the neighbors of anything.
    at = rng.permutation(len(rows))[: len(old)]
    if not len(at):
        return at
    near, _ = nearest_neighbors(np.concatenate([rows[at], old]), min(_NEIGHBORS, len(at)))
    near, likely = near[: len(at)], likelihood[at]
    n_new = (near < len(at)).sum(axis=1)
    # Of the new ones around, too: one that is taken for a class that has become rare is of another.
    around = np.concatenate([likely, np.zeros(len(old))])[near].sum(axis=1)
    odds = _SEEN_ODDS * (likely + around) / (1 + n_new) * (len(at) - 1) / len(old)
    found = at[binom.sf(n_new - 1, near.shape[1], odds / (1 + odds)) <= _RARE]
    return np.sort(found) if len(found) > _FEW + _FEW_FRACTION * len(at) else found[:0]


def _mix(task: Task, proba: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return how frequent the classes are, by expectation maximization from a prior."""
    new = old
    for _ in range(_STEPS):
        new = (task.reweigh(proba, old, new)[0].sum(axis=0) + _PRIOR * old) / (len(proba) + _PRIOR)
    return np.asarray(new)


def _accuracy(
    task: Task,
    reference: _Reference,
    evidence: Evidence,
    proba: np.ndarray,
    new: np.ndarray,
    *,
    is_moved: bool,
) -> tuple[AccuracyEstimate, np.ndarray]:
    """Return the accuracy to be expected, and the ends of how frequent the classes are."""
    old, rng = reference.shares[0], np.random.default_rng(0)
    mixes, means = [], []
    for _ in range(_BOOTSTRAPS):
        drawn = proba[rng.integers(len(proba), size=len(proba))]
        mixes.append(_mix(task, drawn, old))
        means.append(_right(task, drawn, old, mixes[-1]).mean())
    right = _right(task, proba, old, new if is_moved else old)
    found = pool_accuracy(*evidence, right, n_labels=reference.n_labels)
    # What is not known of the mix comes on top.
    spread = 1.96 * float(np.std(means)) if is_moved else 0.0
    low = max(found.value - float(np.hypot(found.value - found.low, spread)), 0.0)
    high = min(found.value + float(np.hypot(found.high - found.value, spread)), 1.0)
    n, is_random = len(evidence.correct), bool(len(evidence.correct))
    estimate = AccuracyEstimate(found.value, low, high, n, 0, 0.95, "posterior", is_random, "")
    return estimate, np.quantile(mixes, [0.025, 0.975], axis=0)


def _right(task: Task, proba: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return how probable it is that each prediction is right in another class mix."""
    shifted, _ = task.reweigh(proba, old, new)
    return np.asarray(np.exp(-task.loss(task.predict(proba), shifted)))
