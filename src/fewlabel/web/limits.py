"""What a prediction service takes: bytes, pixels, images, and requests a second; and its log."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fewlabel.web.metrics import _Metrics
from fewlabel.web.models import Log
from fewlabel.web.security import App, Guard, Message, Receive, Refusal, Scope, Send, _refuse

_MAX_CLIENTS = 10_000
_RETRY = {429, 503}


@dataclass(frozen=True)
class _Limits:
    """What a service takes."""

    max_body: int = 32_000_000
    max_bytes: int = 256_000_000
    max_pixels: int = 50_000_000
    max_images: int = 64
    max_waiting: int = 256
    rate: float = 0.0
    seconds: float = 30.0


class _Rate:
    """A token bucket for each client."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self._clock = rate, max(1.0, 2 * rate), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_of(self, client: str) -> float:
        """Return 0 and count a request, or the seconds after which the client may ask again."""
        if not self.rate:
            return 0.0
        now = self._clock()
        left, since = self._left.pop(client, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        wait = max(0.0, (1 - left) / self.rate)
        self._left[client] = (left if wait else left - 1, now)
        # Who has not asked for longest has a full bucket again.
        if len(self._left) > _MAX_CLIENTS:
            self._left.popitem(last=False)
        return wait


class _Gate(Guard):
    """The guard of a prediction service, which also bounds, counts and logs requests."""

    public = frozenset({"/healthz", "/readyz"})
    no_token = "Send the token of `fewlabel serve` as a header: Authorization: Bearer TOKEN."

    def __init__(
        self,
        app: App,
        limits: _Limits,
        metrics: _Metrics,
        log: Log,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        super().__init__(app, host=host, token=token, names=names)
        self.limits, self.metrics, self.log = limits, metrics, log
        self.max_body, self.is_ending = limits.max_body, False
        self._rate, self._n_bytes = _Rate(limits.rate), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it; then count it, and write its line of the log."""
        if scope["type"] != "http":
            return
        start, status = time.perf_counter(), 500
        scope["state"] = about = dict[str, Any]({"fewlabel.bytes": 0})

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.is_ending:
                    closes = (b"connection", b"close")
                    message = {**message, "headers": [*message["headers"], closes]}
            await send(message)

        try:
            await super().__call__(scope, receive, noted)
        finally:
            self._n_bytes -= about.pop("fewlabel.bytes")
            seconds = time.perf_counter() - start
            # Of the route: paths that do not exist would make as many series.
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.count_request(path, about.get("model", ""), status, seconds)
            self.log(_line(scope, status, seconds) | about)

    def _refusal(self, scope: Scope, headers: dict[str, str], given: str) -> Refusal | None:
        refusal = super()._refusal(scope, headers, given)
        if refusal is None and scope["method"] == "POST":
            wait = self._rate.wait_of((scope.get("client") or ("",))[0])
            if wait:
                return 429, f"At most {self._rate.rate:g} requests a second: wait {wait:.1f} s."
        return refusal

    async def _body(
        self, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> tuple[bytes, Refusal | None]:
        length = headers.get("content-length", "")
        # Without its length, a request may become as large as any.
        n_bytes = int(length[:18]) if length.isdecimal() else self.max_body
        if n_bytes <= self.max_body and self._n_bytes + n_bytes > self.limits.max_bytes:
            return b"", (503, "Other requests fill the memory: try again in a moment.")
        n_bytes = min(n_bytes, self.max_body)
        scope["state"]["fewlabel.bytes"] = n_bytes
        self._n_bytes += n_bytes
        try:
            async with asyncio.timeout(self.limits.seconds):
                body, refusal = await super()._body(scope, headers, receive)
        except TimeoutError:
            return b"", (408, f"The request took longer than {self.limits.seconds:g} s to arrive.")
        scope["state"]["bytes"] = len(body)
        return body, refusal

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        status, reason = refusal
        headers = [(b"content-type", b"application/json")]
        headers += [(k.encode(), v.encode()) for k, v in _retry_after(status).items()]
        await _refuse(status, headers, json.dumps({"detail": reason}).encode(), send)


def _retry_after(status: int, seconds: float = 1.0) -> dict[str, str]:
    """Return the header that says when to try again, for a status that wants one."""
    return {"retry-after": str(math.ceil(seconds))} if status in _RETRY else {}


def _line(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    """Return what the log says of a request; nothing that it carried."""
    # As it was sent: decoded, a path may hold line breaks.
    path = scope.get("raw_path") or scope["path"].encode()
    return {
        "event": "request",
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        "path": path[:200].decode("ascii", "backslashreplace"),
        "status": status,
        "seconds": round(seconds, 6),
    }
