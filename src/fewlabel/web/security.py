"""What stands between the network and the pages: who may ask, from where, and how much."""

import ipaddress
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp as App
from starlette.types import Message, Receive, Scope, Send

Refusal = tuple[int, str]
"""Status and reason of a request that is not answered."""

MAX_BODY = 1_000_000
"""Bytes that a request may carry."""

_MAX_QUERY = 2_000
_SAFE = ("GET", "HEAD")
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    # The token stands in the address.
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class _Guard:
    """ASGI middleware that lets nobody but the user's own pages in.

    The name in ``Host`` must be one of this machine: a page elsewhere whose name was made to
    resolve to 127.0.0.1 (DNS rebinding) sends its own. What changes something must come from
    the same origin. With a token, every request must bring it.
    """

    max_body = MAX_BODY
    # What anybody may ask for, without the token.
    public: frozenset[str] = frozenset()
    no_token = "Open the address that `fewlabel label` printed: it holds the token."

    def __init__(
        self,
        app: App,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        self.app, self.token, self.is_local = app, token, _is_loopback(host)
        self.names = {"localhost", host.lower(), *(name.lower() for name in names)}
        if not self.is_local:
            self.names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            # No page opens a web socket.
            return
        request = Request(scope)
        given = self._given_token(request)
        refusal, body = self._refusal(request, given), b""
        if refusal is None and request.method not in _SAFE:
            body, refusal = await self._body(request, receive)
        keeps = scope["path"].startswith("/images/")
        fresh = "no-cache" if scope["path"].startswith("/static/") else "no-store"

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if not keeps or message["status"] >= 400:
                    headers["cache-control"] = fresh
                if given and refusal is None:
                    cookie = f"{_cookie(scope)}={given}; HttpOnly; SameSite=Strict; Path=/"
                    headers["set-cookie"] = cookie
            await send(message)

        app = self.app if refusal is None else self._response(*refusal)
        await app(scope, _replay(body, receive), send_guarded)

    async def _body(self, request: Request, receive: Receive) -> tuple[bytes, Refusal | None]:
        """Read what a request carries, as far as it may go."""
        too_large = (413, f"A request may carry {self.max_body:,} bytes.")
        if _length(request, 0) > self.max_body:
            return b"", too_large
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"", (400, "The request ended early.")
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > self.max_body:
                return b"", too_large
        return b"".join(parts), None

    def _response(self, status: int, reason: str) -> Response:
        """Return the answer to a request that is refused."""
        return PlainTextResponse(reason, status)

    def _given_token(self, request: Request) -> str:
        """Return the token of an address as it was printed, which becomes a cookie."""
        if self.token is None or request.scope["path"] != "/":
            return ""
        found = request.query_params.get("token", "")
        return found if _same(found, self.token) else ""

    def _refusal(self, request: Request, given: str) -> Refusal | None:
        """Return status and reason for a request that is not answered."""
        if len(request.scope["query_string"]) > _MAX_QUERY:
            return 414, "The address is too long."
        headers = request.headers
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "This address is not the one that fewlabel listens on: use the printed one."
        if request.method not in _SAFE and not _is_same_origin(headers, host):
            return 403, "Changes are taken from fewlabel's own pages only."
        if self.token is not None and not given and request.scope["path"] not in self.public:
            held = headers.get("authorization", "").removeprefix("Bearer ")
            if not _same(held or request.cookies.get(_cookie(request.scope), ""), self.token):
                return 401, self.no_token
        return None

    def _is_ours(self, host: str) -> bool:
        name = _hostname(host)
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Who sends a number has not been led here by a name.
        return address.is_loopback or not self.is_local


def _is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _token_for(host: str, token: str | None) -> str | None:
    """Return the token that is given, or beyond this machine a new one."""
    return token or (None if _is_loopback(host) else secrets.token_urlsafe(24))


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Return whether a change comes from our own page, or from no browser at all."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == host.lower() and origin.startswith("http")
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _cookie(scope: Scope) -> str:
    # Cookies know no ports: two sessions on one machine would overwrite each other's.
    return f"fewlabel_{(scope.get('server') or ('', 0))[1]}"


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _length(request: Request, unknown: int) -> int:
    """Return how many bytes a request promises."""
    length = request.headers.get("content-length", "")
    return int(length[:18]) if length.isdecimal() else unknown


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body once more, then what else comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
