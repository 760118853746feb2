"""An application on a port, until Ctrl-C."""

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
import webbrowser
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from fewlabel.errors import UsageError
from fewlabel.web.security import App

_GRACE_S = 3
# In which a client that was connected at the very end sends its request.
_LAST_S = 0.5


def listen(host: str, port: int, *, or_any: bool = False) -> socket.socket:
    """Open a port.

    Parameters
    ----------
    host : str
        Name or number of the address.
    port : int
        The port; 0 for any that is free.
    or_any : bool
        Whether another port will do where this one is taken.

    Returns
    -------
    socket.socket
        Listening.

    Raises
    ------
    UsageError
        If the port is taken, or the address is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        if or_any and getattr(error, "errno", None) == errno.EADDRINUSE:
            return listen(host, 0)
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Cannot listen on {host}, port {port} ({reason}): give another --port, or 0 for any "
            "that is free, and an address of this machine."
        ) from error
    # Connections inherit it. asyncio sets it only where a socket names its protocol, and without
    # it each response waits 40 ms for the browser to acknowledge its header.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(listening: socket.socket, host: str, token: str | None = None) -> str:
    """Return the address to open.

    Parameters
    ----------
    listening : socket.socket
        From `listen`.
    host : str
        As it was given.
    token : str, optional
        What requests must know.

    Returns
    -------
    str
        With the token.
    """
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")


def serve(
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

    Parameters
    ----------
    app : callable
        ASGI application.
    listening : socket.socket
        From `listen`.
    ready : callable, optional
        Called once requests are answered.
    log : callable, optional
        Called with what the server warns of; by default it is written to stderr.
    grace_s : float
        Seconds in which requests under way must end.
    drain : callable, optional
        Called at SIGTERM.
    drain_s : float
        Seconds from SIGTERM on in which new requests are answered still, so that whoever
        sends them learns of it first.
    """
    server = _server_of(app, grace_s, drain, drain_s)
    if log is not None:
        logger = logging.getLogger("uvicorn.error")
        logger.propagate, logger.handlers = False, [_Lines(log)]
    if ready is not None:
        threading.Thread(target=_when_started, args=(server, ready), daemon=True).start()
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
        self, config: uvicorn.Config, drain: Callable[[], None] | None, drain_s: float
    ) -> None:
        super().__init__(config)
        self._drain, self._drain_s, self._drained = drain, drain_s, False

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


def open_browser(url: str) -> None:
    """Open an address in the user's browser, if there is one.

    Parameters
    ----------
    url : str
        The address.
    """
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)


def _server_of(
    app: App,
    grace_s: float = _GRACE_S,
    drain: Callable[[], None] | None = None,
    drain_s: float = 0.0,
) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=math.ceil(grace_s),
        ),
        drain,
        drain_s,
    )


def _when_started(server: uvicorn.Server, ready: Callable[[], None]) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    ready()
