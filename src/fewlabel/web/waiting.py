"""A page that says how far the images are read, until there is something to label."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import uvicorn

# Of images that are open before, nobody needs to be told anything.
_PATIENCE_S = 1.5


class _Waiting:
    """Answers while images are read; calls ``begun`` once, and is called with done and total."""

    def __init__(
        self, listening: socket.socket, host: str, token: str | None, begun: Callable[[], None]
    ) -> None:
        self.has_begun, self.done, self.total = False, 0, 0
        self._listening, self._guard, self._begun = listening, (host, token), begun
        self._start, self._has_ended = time.monotonic(), False
        self._server: uvicorn.Server | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take note of how many images are read; begin if that takes long."""
        self.done, self.total = done, total
        if not self.has_begun and time.monotonic() - self._start > _PATIENCE_S:
            self.has_begun = True
            # What it loads must not hold up the reading, nor what is said of its pace.
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        from fewlabel.web.app import _create_waiting_app
        from fewlabel.web.server import _Server

        self._server = _Server(_create_waiting_app(self, *self._guard))
        if not self._has_ended:
            self._begun()
            # A copy: it is closed in the end, and connections that come in between wait.
            self._server.run(sockets=[self._listening.dup()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._has_ended = True
        if self._server is not None:
            self._server.should_exit = True
        if self.has_begun:
            self._thread.join()
