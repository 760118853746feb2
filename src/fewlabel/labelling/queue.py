"""What to show next: images that help the model most, random ones between them, or whole pages."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fewlabel.data.label_rows import DRAWN
from fewlabel.labelling.messages import Picks, _Round
from fewlabel.labelling.store import _Store


@dataclass(frozen=True)
class _Group:
    """A page of look-alike images."""

    label: str
    images: tuple[int, ...]
    confidence: float
    round: int


class _Queue:
    """The order of images: what the model asks for; before and after it random ones to test on."""

    def __init__(self, store: _Store, seed: int = 0) -> None:
        self._store, self._mutex = store, threading.Lock()
        self._shuffled = np.random.default_rng(seed).permutation(len(store.images))
        self._n_done = 0
        self._picks, self._purposes = np.array([], np.int64), dict[int, str]()
        self._why: dict[int, str] = {}
        # The last one of the model.
        self.round: _Round | None = None

    def begin(self, picks: Picks) -> None:
        """Take the images to begin with."""
        with self._mutex:
            if self.round is None:
                self._take(picks)

    def update(self, found: _Round) -> None:
        """Go on by what a model says."""
        with self._mutex:
            self.round = found
            self._take(found.picks)

    def _take(self, picks: Picks) -> None:
        self._picks = picks.images
        self._purposes = dict(zip(picks.images.tolist(), picks.purposes, strict=True))

    def wanted(self) -> Iterator[int]:
        """Return images to show, the most useful first; the store knows which are done."""
        with self._mutex:
            picks, purposes = self._picks, self._purposes
        done = self._done()
        # What was drawn at random and is open stays: without the hard ones among them the
        # estimate of accuracy would be too high.
        drawn = [i for i, why in self._store.purposes().items() if why in DRAWN]
        for image in itertools.chain(
            drawn, picks.tolist(), map(int, self._shuffled[self._n_done :])
        ):
            if image not in done:
                done.add(image)
                # Kept: a refit in between must not make one that was chosen a random one.
                self._why[image] = purposes.get(image, "random")
                yield image

    def _done(self) -> set[int]:
        """Return images that are not to be shown, and step over those at the front."""
        skipped = self._store.skipped()
        if self._store.repeats > 1:
            # The store gives each to as many annotators as were asked for.
            return skipped
        done = skipped | set(self._store.current())
        while self._n_done < len(self._shuffled) and int(self._shuffled[self._n_done]) in done:
            self._n_done += 1
        return done

    def purpose(self, image: int) -> str:
        """Return why an image is shown."""
        return self._why.get(image, "train")

    def groups(self, n: int = 60) -> Iterator[_Group]:
        """Return pages of look-alike images without a label, the most confident first."""
        found = self.round
        if found is None:
            return
        done = set(self._store.current()) | self._store.skipped()
        for page in found.pages:
            images = tuple(i for i in page.tolist() if i not in done)[:n]
            if images:
                confidence = float(found.confidence[list(images)].mean())
                label = str(found.suggested[images[0]])
                yield _Group(label, images, confidence, found.number)
