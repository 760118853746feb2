"""What stands between the network and the pages: who may ask, from where, and how much."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Refusal = tuple[int, str]
"""Status and reason of a request that is not answered."""

MAX_BODY = 1_000_000
"""Bytes that a request may carry."""

_MAX_QUERY = 2_000
_SAFE = ("GET", "HEAD")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
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


class Guard:
    """ASGI middleware that lets nobody but the user's own pages in.

    The name in ``Host`` must be one of this machine: a page elsewhere whose name was made to
    resolve to 127.0.0.1 (DNS rebinding) sends its own. What changes something must come from
    the same origin. With a token, every request must bring it.

    Parameters
    ----------
    app : callable
        The ASGI application behind.
    host : str
        The address that is listened on.
    token : str, optional
        What requests must know; None where anybody on this machine may ask.
    names : iterable of str
        More names under which it may be asked.
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
        self.app, self.token, self.is_local = app, token, is_loopback(host)
        self.names = {"localhost", host.lower(), *(name.lower() for name in names)}
        if not self.is_local:
            self.names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            # No page opens a web socket.
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        given = self._given_token(scope, headers)
        refusal = self._refusal(scope, headers, given)
        body = b""
        if refusal is None and scope["method"] not in _SAFE:
            body, refusal = await self._body(scope, headers, receive)
        keeps = scope["path"].startswith("/images/")
        fresh = "no-cache" if scope["path"].startswith("/static/") else "no-store"

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = dict(_HEADERS)
                if not keeps or message["status"] >= 400:
                    added["cache-control"] = fresh
                if given and refusal is None:
                    added["set-cookie"] = (
                        f"{_cookie(scope)}={given}; HttpOnly; SameSite=Strict; Path=/"
                    )
                kept = [(k, v) for k, v in message["headers"] if k.decode() not in added]
                encoded = [(k.encode(), v.encode("latin-1")) for k, v in added.items()]
                message = {**message, "headers": [*kept, *encoded]}
            await send(message)

        if refusal is None:
            await self.app(scope, _replay(body, receive), send_guarded)
        else:
            await self._refuse(refusal, send_guarded)

    async def _body(
        self, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> tuple[bytes, Refusal | None]:
        """Read what a request carries, as far as it may go."""
        return await _body(headers, receive, self.max_body)

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        """Answer a request that is refused."""
        await _refuse(refusal[0], [_TEXT], refusal[1].encode(), send)

    def _given_token(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return the token of an address as it was printed, which becomes a cookie."""
        if self.token is None or scope["path"] != "/":
            return ""
        found = parse_qs(scope["query_string"][:_MAX_QUERY].decode("latin-1")).get("token", [""])[0]
        return found if _same(found, self.token) else ""

    def _refusal(self, scope: Scope, headers: dict[str, str], given: str) -> Refusal | None:
        """Return status and reason for a request that is not answered."""
        if len(scope["query_string"]) > _MAX_QUERY:
            return 414, "The address is too long."
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "This address is not the one that fewlabel listens on: use the printed one."
        if scope["method"] not in _SAFE and not _is_same_origin(headers, host):
            return 403, "Changes are taken from fewlabel's own pages only."
        if self.token is not None and not given and scope["path"] not in self.public:
            held = headers.get("authorization", "").removeprefix("Bearer ")
            if not _same(held or _read_cookie(headers, _cookie(scope)), self.token):
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


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine only.

    Parameters
    ----------
    host : str
        A name or number.

    Returns
    -------
    bool
        True for ``localhost``, 127.0.0.0/8 and ``::1``.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_same_origin(headers: dict[str, str], host: str) -> bool:
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


def _read_cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def _body(
    headers: dict[str, str], receive: Receive, max_body: int
) -> tuple[bytes, Refusal | None]:
    too_large = (413, f"A request may carry {max_body:,} bytes.")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:18]) > max_body:
        return b"", too_large
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"", (400, "The request ended early.")
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > max_body:
            return b"", too_large
    return b"".join(parts), None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body once more, then what else comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


async def _refuse(status: int, headers: list[tuple[bytes, bytes]], body: bytes, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
