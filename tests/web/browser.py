"""A real browser, and a session that it can reach."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fewlabel.labelling.session import _Session
from fewlabel.web.app import _create_app
from fewlabel.web.server import _listen, _serve, _url_of
from fewlabel.web.thumbnails import _Thumbnails

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start Chromium once for all journeys of a module."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Serve a session and open its page; what the browser complains of fails the test."""
    contexts, servers, complaints = [], [], []

    def opened(session: _Session, *, annotator: str = "", **options: Any) -> Any:
        url = next((u for s, u in servers if s is session), None)
        if url is None:
            listening = _listen("127.0.0.1", 0)
            url = _url_of(listening, "127.0.0.1")
            app = _create_app(session, thumbnails=_Thumbnails(session.images, tmp_path / "kept"))
            threading.Thread(target=_serve, args=(app, listening), daemon=True).start()
            servers.append((session, url))
        contexts.append(chromium.new_context(**({"color_scheme": "light"} | options)))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        if annotator:
            page.add_init_script(f"localStorage.setItem('fewlabel.annotator', '{annotator}')")
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    # A server that is away is part of a test.
    assert [c for c in complaints if "Failed to load resource" not in c] == []


def saved(page: Any) -> None:
    """Wait until the page knows that everything is stored."""
    page.wait_for_selector("#saved[data-state=saved]")


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait until something holds; the page's policy forbids to wait for it by a script."""
    for _ in range(800):
        if holds():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it did not come about")
