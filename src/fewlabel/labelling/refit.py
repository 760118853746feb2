"""Learning and drawing explanations in the background while somebody labels."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from fewlabel.errors import FewLabelError, StorageError, UsageError
from fewlabel.evaluate import AccuracyEstimate
from fewlabel.labelling.messages import LearnerSettings, Picks, _Round
from fewlabel.labelling.queue import _Queue
from fewlabel.labelling.store import _Store
from fewlabel.labelling.worker import Calls, Progress, _Stage, _Worker

_MAX_KEPT, _MAX_WAITING, _MAX_BYTES = 64, 4, 4_000_000

EVERY = 20
"""Answers after which the model is fitted again."""


def _target_reached(accuracy: AccuracyEstimate | None, target: float | None) -> bool:
    """Return whether the accuracy is known to be as high as somebody wants it."""
    # It is looked at after every refit, so that luck has many chances: not the value, but the whole
    # interval is to lie above the target.
    return accuracy is not None and target is not None and accuracy.low >= target


class _Refitter:
    """Fits again after every few answers, in a process of its own; answers never depend on it."""

    def __init__(
        self,
        source: str,
        store: _Store,
        queue: _Queue,
        settings: LearnerSettings | None = None,
        every: int = EVERY,
        worker: _Worker | None = None,
    ) -> None:
        self._store, self._queue, self._every = store, queue, every
        self.worker = worker or _Worker(
            _calls, source, _fingerprint(store.images.names), settings or LearnerSettings()
        )
        self._mutex = threading.Lock()
        self.running, self._due, self._stopped = False, False, False
        self._fitted_at, self._n_new = 0, 0
        # Why the last fit failed, or what it waits for; empty if neither.
        self.error = ""
        self.listeners: list[Callable[[_Round], None]] = []

    @property
    def round(self) -> _Round | None:
        """What the model says since the last fit; None before the first."""
        return self._queue.round

    @property
    def stage(self) -> _Stage:
        """What it is at."""
        return self.worker.stage

    def start(self) -> None:
        """Choose the first images, and fit if there are labels already."""
        with self._mutex:
            self.running = True
        future = self.worker.call("first", self._store.labels())
        future.add_done_callback(self._take_first)

    def answered(self) -> None:
        """Note that there are new answers: fit again if they are enough."""
        self._n_new += 1
        # Labels may become others, or fewer: of those that are corrected the number says nothing.
        n_more = abs(len(self._store.current()) - self._fitted_at)
        if max(self._n_new, n_more) >= self._every:
            self.refit()

    def refit(self) -> None:
        """Fit again, at once or as soon as the fit that runs has ended."""
        with self._mutex:
            self._due = True
            if self.running or self._stopped:
                return
            self.running, self._due = True, False
        self._ask()

    def explain(self, image: int) -> Future[bytes]:
        """Ask for a picture of what the model looked at; it waits until no fit runs."""
        return self.worker.call("explain", image)

    def close(self) -> None:
        """End the process."""
        with self._mutex:
            self._stopped = True
        self.worker.stop()

    def _ask(self) -> None:
        try:
            labels, past = self._store.labels(), [one.point for one in self._store.rounds()]
            self._fitted_at, self._n_new = labels.n_labeled, 0
            self.worker.call("fit", labels, past).add_done_callback(self._take_round)
        except FewLabelError as error:
            # The database is away, and the next answers try again; or it was stopped in between.
            self.running, self.error = False, str(error)

    def _take_first(self, future: Future[Picks]) -> None:
        self.error = _why_not(future)
        if not self.error:
            self._queue.begin(future.result())
            try:
                has_labels = self._store.labels().n_labeled > 0
                with self._mutex:
                    self._due |= has_labels
            except StorageError as error:
                self.error = str(error)
        self._go_on()

    def _take_round(self, future: Future[_Round]) -> None:
        self.error = _why_not(future)
        found = None if self.error else future.result()
        if found is not None:
            self._queue.update(found)
            try:
                self._store.add_round(found.number, found.n_labels, found.accuracy)
            except StorageError as error:
                self.error = str(error)
        self._go_on()
        if found is not None:
            for listener in self.listeners:
                listener(found)

    def _go_on(self) -> None:
        """Fit again if that was asked for in the meantime."""
        with self._mutex:
            self.running = self._due and not self._stopped
            self._due = False
        if self.running:
            self._ask()


def _why_not(future: Future[Any]) -> str:
    """Return why a call failed, for a person; empty if it did not."""
    if future.cancelled():
        return "It has been stopped."
    error = future.exception()
    return "" if error is None else str(error) or type(error).__name__


def _calls(source: str, known: str, settings: LearnerSettings, *, progress: Progress) -> Calls:
    """Return what the process can be asked for."""
    # Imported here: the process of the page opens faster without torch.
    from fewlabel.labelling.learner import _Learner

    learner = _Learner(source, settings, progress)
    if _fingerprint(learner.images.names) != known:
        # By their rows, labels would go to other images.
        raise UsageError(
            f"The images of {source} are others than when the page was opened: end it and start "
            "it again, your answers are kept."
        )
    return learner.calls()


def _fingerprint(names: Iterable[str]) -> str:
    """Return a short text that stands for names and their order."""
    text = "\n".join(names).encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


class _Pictures:
    """The last pictures, and those that are being made."""

    def __init__(self, learner: _Refitter) -> None:
        self._learner, self._lock = learner, threading.Lock()
        self._made: dict[tuple[int, int], Future[bytes]] = {}

    def get(self, image: int, round_: int) -> bytes | None:
        """Return the picture of an image and a round; None while it is made."""
        key = (image, round_)
        with self._lock:
            future = self._made.get(key) or self._ask(key)
            if not future.done():
                return None
            if future.cancelled() or future.exception() is not None:
                # Somebody may have installed what was missing.
                del self._made[key]
        picture = future.result()
        if len(picture) > _MAX_BYTES:
            raise UsageError("The picture is too large for a page: use `fewlabel explain`.")
        return picture

    def _ask(self, key: tuple[int, int]) -> Future[bytes]:
        done = [known for known, future in self._made.items() if future.done()]
        if len(self._made) - len(done) >= _MAX_WAITING:
            raise UsageError(f"{_MAX_WAITING} explanations wait already: try again later.")
        for old in done[: max(0, len(self._made) + 1 - _MAX_KEPT)]:
            del self._made[old]
        self._made[key] = self._learner.explain(key[0])
        return self._made[key]
