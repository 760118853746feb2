"""Pages and API of a labelling session as one ASGI application."""

from pathlib import Path

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fewlabel.labelling.people import _People
from fewlabel.labelling.review import _Review
from fewlabel.labelling.session import _Session
from fewlabel.web import api_review
from fewlabel.web.api import router
from fewlabel.web.api_base import _new_app
from fewlabel.web.security import App, _Guard
from fewlabel.web.server import _Waiting
from fewlabel.web.thumbnails import _Thumbnails


def _create_app(
    session: _Session,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    thumbnails: _Thumbnails | None = None,
) -> App:
    """Return the application of a labelling session."""
    app = _new_app("fewlabel")
    app.state.session = session
    app.state.review = _Review(session)
    app.state.people = _People(app.state.review)
    app.state.thumbnails = thumbnails or _Thumbnails(session.images)
    app.include_router(router)
    app.include_router(api_review.router)
    pages = _pages()
    title = session.images.source.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    title = title or session.images.source

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def label_page() -> str:
        return pages.get_template("label.html").render(title=title, here="label")

    @app.get("/review", response_class=HTMLResponse, include_in_schema=False)
    def review_page() -> str:
        return pages.get_template("review.html").render(title=title, here="review")

    app.mount("/static", _static())
    return _Guard(app, host=host, token=token)


def _create_waiting_app(waiting: _Waiting, host: str, token: str | None) -> App:
    """Return the application that answers while images are read."""
    page = _pages().get_template("waiting.html")

    def answer(request: Request) -> HTMLResponse:
        # Not 200: a page that is open already tries again, and so does whoever waits for health.
        return HTMLResponse(page.render(done=waiting.done, total=waiting.total), 503)

    routes = [Mount("/static", _static()), Route("/{path:path}", answer)]
    return _Guard(Starlette(routes=routes), host=host, token=token)


def _static() -> StaticFiles:
    return StaticFiles(directory=Path(__file__).with_name("static"))


def _pages() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("fewlabel.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
