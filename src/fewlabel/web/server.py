"""An application on a port, until Ctrl-C; and what answers there while images are read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import uvicorn

from fewlabel.errors import UsageError
from fewlabel.web.security import App

# Of images that are open before, nobody needs to be told anything.
_PATIENCE_S = 1.5

_GRACE_S = 3
# In which a client that was connected at the very end sends its request.
_LAST_S = 0.5


def _listen(host: str, port: int, *, or_any: bool = False) -> socket.socket:
    """Open a port; another one where this is taken if ``or_any``."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        if or_any and getattr(error, "errno", None) == errno.EADDRINUSE:
            return _listen(host, 0)
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Cannot listen on {host}, port {port} ({reason}): give another --port, or 0 for any "
            "that is free, and an address of this machine."
        ) from error
    # Connections inherit it. asyncio sets it only where a socket names its protocol, and without
    # it each response waits 40 ms for the browser to acknowledge its header.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _url_of(listening: socket.socket, host: str, token: str | None = None) -> str:
    """Return the address to open, with the token."""
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")


def _serve(
    app: App,
    listening: socket.socket,
    *,
    ready: Callable[[], None] | None = None,
    log: Callable[[dict[str, Any]], None] | None = None,
    grace_s: float = _GRACE_S,
    drain: Callable[[], None] | None = None,
    drain_s: float = 0.0,
) -> None:
    """Answer requests until Ctrl-C or SIGTERM; those under way are answered first.

    ``ready`` is called once requests are answered, ``log`` with what the server warns of (stderr
    by default), and ``drain`` at SIGTERM, from which on new requests are answered for ``drain_s``
    seconds still, so that whoever sends them learns of it first. Then those under way must end
    within ``grace_s``.
    """
    server = _Server(app, ready, grace_s, drain, drain_s)
    if log is not None:
        logger = logging.getLogger("uvicorn.error")
        logger.propagate, logger.handlers = False, [_Lines(log)]
    # It raises the signal again once it has ended.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


class _Lines(logging.Handler):
    """Hands on what is logged, a call each."""

    def __init__(self, log: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log({"event": record.levelname.lower(), "text": self.format(record)})


class _Server(uvicorn.Server):
    """A server that goes on for a while after SIGTERM."""

    def __init__(
        self,
        app: App,
        ready: Callable[[], None] | None = None,
        grace_s: float = _GRACE_S,
        drain: Callable[[], None] | None = None,
        drain_s: float = 0.0,
    ) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=math.ceil(grace_s),
        )
        super().__init__(config)
        self._ready, self._drain, self._drain_s, self._drained = ready, drain, drain_s, False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer from now on, and say so, in a thread: it may take long."""
        await super().startup(sockets)
        if self._ready is not None:
            threading.Thread(target=self._ready, daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        drain, self._drain = self._drain, None
        if sig != signal.SIGTERM or drain is None:
            super().handle_exit(sig, frame)
            return
        drain()
        self._drained = True
        timer = threading.Timer(self._drain_s, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, and wait for what was connected before that and has not asked yet."""
        for server in self.servers:
            server.close()
        end = time.monotonic() + _LAST_S * self._drained
        while self.server_state.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)


class _Waiting:
    """Answers while images are read; calls ``begun`` once, and is called with done and total."""

    def __init__(
        self, listening: socket.socket, host: str, token: str | None, begun: Callable[[], None]
    ) -> None:
        self.has_begun, self.done, self.total = False, 0, 0
        self._listening, self._guard, self._begun = listening, (host, token), begun
        self._start, self._has_ended = time.monotonic(), False
        self._server: _Server | None = None

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
