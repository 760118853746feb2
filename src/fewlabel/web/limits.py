"""What a prediction service takes, of which it refuses more; what it counts, and its log."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewlabel.web.models import Log
from fewlabel.web.security import Refusal, _Guard, _length

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_MAX_CLIENTS = 10_000
RETRY_AFTER = {"retry-after": "1"}
"""Header of an answer that says when to try again."""


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


class _Gate(_Guard):
    """The guard of a prediction service, which also bounds, counts and logs requests."""

    public = frozenset({"/healthz", "/readyz"})
    no_token = "Send the token of `fewlabel serve` as a header: Authorization: Bearer TOKEN."

    def __init__(
        self,
        app: ASGIApp,
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
            self.metrics.requests.labels(path, about.get("model", ""), status).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            self.log(_line(scope, status, seconds) | about)

    def _refusal(self, request: Request, given: str) -> Refusal | None:
        refusal = super()._refusal(request, given)
        if refusal is None and request.method == "POST":
            wait = self._rate.wait_of(_client(request.scope))
            if wait:
                return 429, f"At most {self._rate.rate:g} requests a second: wait {wait:.1f} s."
        return refusal

    async def _body(self, request: Request, receive: Receive) -> tuple[bytes, Refusal | None]:
        # Without its length, a request may become as large as any.
        n_bytes = _length(request, self.max_body)
        if n_bytes <= self.max_body and self._n_bytes + n_bytes > self.limits.max_bytes:
            return b"", (503, "Other requests fill the memory: try again in a moment.")
        about, n_bytes = request.scope["state"], min(n_bytes, self.max_body)
        about["fewlabel.bytes"] = n_bytes
        self._n_bytes += n_bytes
        try:
            async with asyncio.timeout(self.limits.seconds):
                body, refusal = await super()._body(request, receive)
        except TimeoutError:
            return b"", (408, f"The request took longer than {self.limits.seconds:g} s to arrive.")
        about["bytes"] = len(body)
        return body, refusal

    def _response(self, status: int, reason: str) -> Response:
        headers = RETRY_AFTER if status in (429, 503) else None
        return JSONResponse({"detail": reason}, status, headers)


def _client(scope: Scope) -> str:
    return (scope.get("client") or ("",))[0]


def _line(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    """Return what the log says of a request; nothing that it carried."""
    # As it was sent: decoded, a path may hold line breaks.
    path = scope.get("raw_path") or scope["path"].encode()
    return {
        "event": "request",
        "client": _client(scope),
        "method": scope["method"],
        "path": path[:200].decode("ascii", "backslashreplace"),
        "status": status,
        "seconds": round(seconds, 6),
    }


class _Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.requests = counter("fewlabel_requests", "Requests.", ("path", "model", "status"))
        self.seconds = histogram(
            "fewlabel_request_seconds", "Time of requests.", ("path",), buckets=_SECONDS
        )
        self.batches = histogram(
            "fewlabel_batch_images", "Images predicted at once.", buckets=_SIZES
        )
        self.images = counter(
            "fewlabel_images", "Images, by what came of them.", ("model", "found")
        )
        self.reload_failed = gauge(
            "fewlabel_reload_failed", "1 where the latest model could not be loaded.", ("model",)
        )
        self.waiting = gauge("fewlabel_waiting_images", "Images that wait.")
