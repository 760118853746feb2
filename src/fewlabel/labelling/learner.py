"""What the labels so far teach, and what to ask for next: images, and pages of look-alikes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fewlabel.cluster.kmeans import KMeans
from fewlabel.compute import _as_generator
from fewlabel.data import ImageSet, Labels, load_images
from fewlabel.errors import UsageError
from fewlabel.features.extract import Features, Progress
from fewlabel.fit_result import FitResult
from fewlabel.labelling.database import Point
from fewlabel.labelling.messages import SOURCES, LearnerSettings, Picks, _Round
from fewlabel.pipeline import _extract, fit_images
from fewlabel.selection import select_images

# Images that a model is less sure of are better looked at one by one.
_MIN_CONFIDENCE = 0.5


class _Learner:
    """Features, model and choice of images while somebody labels."""

    def __init__(
        self,
        images: ImageSet | str,
        settings: LearnerSettings | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.images = load_images(images)
        self.settings, self._progress = settings or LearnerSettings(), progress
        self.result: FitResult | None = None
        self._features: Features | None = None
        self._curve: list[Point] = []

    def calls(self) -> dict[str, Callable[..., Any]]:
        """Return what a process can be asked for by name."""
        return {"first": self.first, "fit": self.fit, "explain": self.explain}

    @property
    def features(self) -> Features:
        """Features of all images; computed, or read from the cache, when first asked for."""
        if self._features is None:
            self._features = _extract(self.images, self.settings.fit, self._progress)
        return self._features

    def first(self, labels: Labels) -> Picks:
        """Choose the images to begin with: those that represent many others."""
        return self._choose(labels, self.settings.n_first)

    def fit(self, labels: Labels, past: Sequence[Point] | None = None) -> _Round:
        """Learn from the labels so far, and choose what to ask for next."""
        start = time.perf_counter()
        result = fit_images(
            self.images, labels, self.settings.fit, prepared=self.features, progress=self._progress
        )
        self.result, accuracy = result, result.headline
        self._curve = self._curve if past is None else list(past)
        self._curve.append((labels.n_labeled, accuracy.value, accuracy.low, accuracy.high))
        suggested = np.array(result.task.texts(result.predicted, result.classes), dtype=object)
        confidence = np.clip(result.confidence, 0, 1).astype(np.float32)
        open_ = np.setdiff1d(np.arange(len(self.images)), labels.labeled)
        shown = np.full(len(self.images), "", dtype=object)
        shown[open_] = suggested[open_]
        return _Round(
            number=len(self._curve),
            n_labels=labels.n_labeled,
            classes=result.classes,
            suggested=suggested,
            confidence=confidence,
            accuracy=accuracy,
            rests_on=result.rests_on,
            curve=tuple(self._curve),
            promises=result.promises,
            tested=result.tested,
            tested_proba=result.tested_proba.astype(np.float32),
            source=np.argmax([result.origin == name for name in SOURCES], axis=0).astype(np.uint8),
            unlike=result.unlike,
            near=_pairs(result.copies, labels.labeled),
            picks=self._choose(labels, self.settings.n_next, confidence),
            pages=_look_alikes(
                self.features.rows,
                shown.astype(str),
                confidence,
                self.settings.page_size,
                random_state=self.settings.fit.seed,
            ),
            seconds=time.perf_counter() - start,
        )

    def explain(self, image: int) -> bytes:
        """Draw what the model looked at in an image."""
        if self.result is None:
            raise UsageError("The model has not learned yet, so that it has nothing to explain.")
        from fewlabel.explain.figure import _explanation_png
        from fewlabel.explain.model import _explain_one
        from fewlabel.explain.sheets import _PLANS, _REPEATS, _is_small

        model, images = self.result.model, self.images
        # Somebody waits, and so does the next fit: 3,000 photos took minutes.
        less: dict[str, int] = {} if _is_small(model, images) else _PLANS[0] | {"repeats": _REPEATS}
        explained = _explain_one(model, images, image, progress=self._progress, **less)
        return _explanation_png(explained, self.result.classes)

    def _choose(self, labels: Labels, n: int, confidence: np.ndarray | None = None) -> Picks:
        """Choose up to n images; those that a model is unsure of, if it says how sure it is."""
        groups, known = self.images.content_groups(), np.union1d(labels.labeled, labels.awaited)
        n_free = len(np.setdiff1d(groups, groups[known]))
        if not n_free:
            return Picks(np.array([], np.int64), ())
        chosen = select_images(
            self.images,
            min(n, n_free),
            random_fraction=self.settings.random_fraction,
            labels=labels,
            confidence=confidence,
            seed=self.settings.fit.seed + len(self._curve),
            prepared=self.features,
            progress=self._progress,
        )
        return Picks(chosen.indices, tuple(map(str, chosen.purpose)))


def _pairs(number: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Return pairs (p, 2) of some images that have one number, each with the next one."""
    if number is None:
        return np.zeros((0, 2), np.int64)
    order = rows[np.argsort(number[rows], kind="stable")]
    same = number[order[:-1]] == number[order[1:]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _look_alikes(
    rows: np.ndarray,
    labels: np.ndarray,
    confidence: np.ndarray,
    size: int,
    *,
    random_state: int = 0,
) -> list[np.ndarray]:
    """Return images that look alike and are presumed to have one label, page by page.

    The images of each presumed label are clustered by k-means, the most confident
    cluster first, and cut into pages.

    >>> X = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    >>> [page.tolist() for page in _look_alikes(X, np.array(["a", "a", "b", ""]), np.ones(4), 2)]
    [[0, 1], [2]]
    """
    rng = _as_generator(random_state)
    pages: list[np.ndarray] = []
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & (confidence >= _MIN_CONFIDENCE))
        if label == "" or not len(members):
            continue
        n_clusters = -(-len(members) // size)
        # Cut from the clusters one after the other, so that every page but the last is full.
        if n_clusters > 1:
            seed = int(rng.integers(2**31))
            kmeans = KMeans(n_clusters, spherical=True, max_iter=20, random_state=seed)
            number = kmeans.fit_predict(rows[members])
            sure = np.bincount(number, confidence[members]) / np.maximum(np.bincount(number), 1)
            members = members[np.lexsort((-confidence[members], number, -sure[number]))]
        pages += [members[start : start + size] for start in range(0, len(members), size)]
    return sorted(pages, key=lambda page: -float(confidence[page].mean()))
