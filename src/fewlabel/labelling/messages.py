"""What a learner is asked for and says: what its process and that of the page tell each other.

Nothing here imports torch, which only the process that learns needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fewlabel.data.label_rows import RANDOM_FRACTION
from fewlabel.evaluate import Acceptance, AccuracyEstimate
from fewlabel.fit_settings import FitSettings
from fewlabel.labelling.rounds import Point

SOURCES = ("label", "propagated", "model")
"""Where a prediction may come from."""


@dataclass(frozen=True, eq=False)
class Picks:
    """Images to ask for.

    Attributes
    ----------
    images : ndarray of shape (n,), dtype int64
        The most useful first, and random ones between them.
    purposes : tuple of str
        ``"train"`` or ``"random"`` of each.
    """

    images: np.ndarray
    purposes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Round:
    """What a model says after a refit.

    Attributes
    ----------
    number : int
        Rounds before this one, and it.
    n_labels : int
        Labels it was fitted on.
    classes : tuple of str
        Names of the columns.
    suggested : ndarray of shape (n,), dtype object
        Most probable label of each image; where it may have several, joined by bars.
    confidence : ndarray of shape (n,), dtype float32
        Probability that this is right.
    accuracy : AccuracyEstimate
        How often it is, on the images without a label.
    rests_on : str
        What that rests on, in words.
    curve : tuple of (int, float, float, float)
        Labels, accuracy and the ends of its interval of every round so far.
    promises : tuple of Acceptance
        What can be accepted without a look.
    tested : ndarray of shape (m,), dtype int64
        Labeled images that the tested models did not see.
    tested_proba : ndarray of shape (m, K), dtype float32
        What these models say of them.
    source : ndarray of shape (n,), dtype uint8
        Where each prediction comes from, as a position in ``SOURCES``.
    unlike : ndarray of shape (u,), dtype int64
        Images that are unlike anything labeled.
    near : ndarray of shape (p, 2), dtype int64
        Pairs of labeled images that are copies of each other, or nearly.
    picks : Picks
        What to ask for next.
    pages : list of ndarray
        Look-alike images with one suggestion, page by page.
    seconds : float
        How long all that took.
    """

    number: int
    n_labels: int
    classes: tuple[str, ...]
    suggested: np.ndarray
    confidence: np.ndarray
    accuracy: AccuracyEstimate
    rests_on: str
    curve: tuple[Point, ...]
    promises: tuple[Acceptance, ...]
    tested: np.ndarray
    tested_proba: np.ndarray
    source: np.ndarray
    unlike: np.ndarray
    near: np.ndarray
    picks: Picks
    pages: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class LearnerSettings:
    """How to learn while somebody labels.

    Attributes
    ----------
    fit : FitSettings
        Features, seed and device; no networks are trained.
    n_first : int
        Representatives to begin with.
    n_next : int
        Images to choose after each refit.
    page_size : int
        Look-alike images on a page.
    random_fraction : float
        Fraction of the images that are drawn at random: the accuracy rests on these.
    """

    fit: FitSettings = field(default_factory=lambda: FitSettings(cache=True))
    n_first: int = 60
    n_next: int = 60
    page_size: int = 60
    random_fraction: float = RANDOM_FRACTION
