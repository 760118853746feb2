"""What a learner is asked for and says: what its process and that of the page tell each other.

Nothing here imports torch, which only the process that learns needs.
"""

from dataclasses import dataclass, field

import numpy as np

from fewlabel.data.label_rows import RANDOM_FRACTION
from fewlabel.evaluate import Acceptance, AccuracyEstimate
from fewlabel.fit_settings import FitSettings
from fewlabel.labelling.database import Point

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
class _Round:
    """What a model says after a refit, of n images; m of the labeled ones were tested."""

    number: int
    n_labels: int
    classes: tuple[str, ...]
    # Most probable labels (n,), object: several are joined by bars; and how probable, float32.
    suggested: np.ndarray
    confidence: np.ndarray
    # On the images without a label, and what that rests on, in words.
    accuracy: AccuracyEstimate
    rests_on: str
    # Of every round so far.
    curve: tuple[Point, ...]
    promises: tuple[Acceptance, ...]
    # Labeled images (m,) that the tested models did not see, and what these say (m, K), float32.
    tested: np.ndarray
    tested_proba: np.ndarray
    # Where each prediction comes from (n,), uint8, as a position in ``SOURCES``.
    source: np.ndarray
    unlike: np.ndarray
    # Pairs (p, 2) of labeled images that are copies of each other, or nearly.
    near: np.ndarray
    picks: Picks
    # Look-alike images with one suggestion, page by page.
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
