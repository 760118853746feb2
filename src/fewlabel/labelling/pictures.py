"""Pictures of what a model looked at, made one after the other in the process that learns."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from fewlabel.errors import UsageError
from fewlabel.labelling.refit import _Refitter

_MAX_KEPT, _MAX_WAITING, _MAX_BYTES = 64, 4, 4_000_000


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
