"""Requests that come at the same time, predicted together by one thread."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from fewlabel.data.uploads import Upload, _uploaded_images
from fewlabel.model import Prediction
from fewlabel.web.models import _Loaded

_MAX_BATCH = 64


class _FullError(Exception):
    """There is no room for more images; the text says so."""


@dataclass(frozen=True, eq=False)
class _Job:
    """Images of one request."""

    loaded: _Loaded
    images: Sequence[Upload]
    future: asyncio.Future[Prediction]


class _Batcher:
    """Predicts in one thread all requests at once that came while the last batch was predicted."""

    def __init__(self, max_waiting: int, on_batch: Callable[[int], None]) -> None:
        self.max_waiting, self.n_waiting, self._on_batch = max_waiting, 0, on_batch
        self._jobs: deque[_Job] = deque()
        self._changed, self._ended = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="fewlabel-model", daemon=True)

    def start(self) -> None:
        """Begin to predict."""
        self._thread.start()

    def close(self) -> None:
        """Predict what waits, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @contextlib.contextmanager
    def room(self, n: int) -> Iterator[None]:
        """Keep room for images from before they are decoded until they are predicted."""
        # In the thread of the event loop alone, so that nothing is locked.
        if self.n_waiting and self.n_waiting + n > self.max_waiting:
            raise _FullError(f"{self.n_waiting} images are waiting already: try again in a moment.")
        self.n_waiting += n
        try:
            yield
        finally:
            self.n_waiting -= n

    async def predict(self, loaded: _Loaded, images: Sequence[Upload]) -> Prediction:
        """Predict the images of one request."""
        job = _Job(loaded, images, asyncio.get_running_loop().create_future())
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        try:
            return await job.future
        except asyncio.CancelledError:
            # Who gives up leaves no images behind, for which no room is kept any more.
            with self._changed, contextlib.suppress(ValueError):
                self._jobs.remove(job)
            raise

    def _work(self) -> None:
        while jobs := self._take():
            found = _predict(jobs)
            self._on_batch(sum(len(job.images) for job in jobs))
            with contextlib.suppress(RuntimeError):
                # The loop may have ended, and with it all that wait.
                jobs[0].future.get_loop().call_soon_threadsafe(_answer, jobs, found)

    def _take(self) -> list[_Job]:
        """Wait for images, and return all that wait for one model, as far as a batch goes."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._ended)
            jobs: list[_Job] = []
            n = 0
            while self._jobs and (not jobs or self._fits(jobs[0], n)):
                jobs.append(self._jobs.popleft())
                n += len(jobs[-1].images)
            return jobs

    def _fits(self, first: _Job, n: int) -> bool:
        following = self._jobs[0]
        return following.loaded is first.loaded and n + len(following.images) <= _MAX_BATCH


def _predict(jobs: list[_Job]) -> list[Prediction | Exception]:
    """Predict all jobs at once; if that fails, each by itself, so that one spoils no other."""
    try:
        images = _uploaded_images([image for job in jobs for image in job.images])
        return _parts(jobs[0].loaded.model.predict(images), jobs)
    except Exception as error:
        return [error] if len(jobs) == 1 else [found for job in jobs for found in _predict([job])]


def _parts(whole: Prediction, jobs: list[_Job]) -> list[Prediction | Exception]:
    parts: list[Prediction | Exception] = []
    start = 0
    for job in jobs:
        rows = slice(start, start := start + len(job.images))
        unlike = None if whole.unlike is None else whole.unlike[rows]
        parts.append(replace(whole, proba=whole.proba[rows], unlike=unlike))
    return parts


def _answer(jobs: list[_Job], found: list[Prediction | Exception]) -> None:
    """Hand out what was found, in the thread of the event loop."""
    for job, part in zip(jobs, found, strict=True):
        # Who waits no longer has cancelled it.
        if job.future.done():
            continue
        if isinstance(part, Exception):
            job.future.set_exception(part)
        else:
            job.future.set_result(part)
