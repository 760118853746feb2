"""The port that a labelling session listens on, and what its process loads."""

import socket
import time

import httpx
import pytest

from fewlabel.web.server import _listen, _url_of, _Waiting
from tests.interpreter import run_code


def test_what_is_sent_is_not_held_back() -> None:
    with (
        _listen("127.0.0.1", 0) as port,
        socket.create_connection(port.getsockname()),
        port.accept()[0] as one,
    ):
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_the_page_opens_without_torch() -> None:
    modules = (
        "data, labelling.refit, labelling.session, labelling.store, labelling.messages, web.app"
    )
    loaded = "; ".join(f"import fewlabel.{name}" for name in modules.split(", "))
    found = run_code(f"import sys; {loaded}; print('torch' in sys.modules)")
    assert (found.stdout.strip(), found.stderr) == ("False", "")


def test_a_page_says_how_far_the_images_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fewlabel.web.server._PATIENCE_S", 0)
    seen: list[str] = []
    with _listen("127.0.0.1", 0) as port:
        address = _url_of(port, "127.0.0.1", "secret")
        with _Waiting(port, "127.0.0.1", "secret", lambda: seen.append("begun")) as waiting:
            waiting(0, 1_500)
            waiting(1_234, 1_500)
            waiting_for = time.monotonic() + 20
            while not seen and time.monotonic() < waiting_for:
                time.sleep(0.01)
            with httpx.Client() as page:
                shown = page.get(address)
                assert page.get(address.partition("?")[0] + "static/style.css").status_code == 200
            # Whoever has no token learns nothing.
            refused = httpx.get(address.partition("?")[0])
        assert (shown.status_code, refused.status_code, seen) == (503, 401, ["begun"])
        assert "1,234 of 1,500" in shown.text
        assert "1,234" not in refused.text
        # The port is free for what comes then.
        with socket.create_connection(port.getsockname()), port.accept()[0]:
            pass


def test_images_that_are_read_at_once_need_no_such_page() -> None:
    with _listen("127.0.0.1", 0) as port, _Waiting(port, "127.0.0.1", None, list) as waiting:
        waiting(1, 2)
    assert not waiting.has_begun
