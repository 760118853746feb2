"""``create_app``: pages and API of a labelling session as one ASGI application."""

from __future__ import annotations

from pathlib import Path

import jinja2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fewlabel import __version__
from fewlabel.errors import FewLabelError, StorageError
from fewlabel.labelling.people import _People
from fewlabel.labelling.review import Review
from fewlabel.labelling.session import Session
from fewlabel.web import api_people, api_review
from fewlabel.web.api import router
from fewlabel.web.security import App, Guard
from fewlabel.web.thumbnails import Thumbnails
from fewlabel.web.waiting import Waiting


def create_app(
    session: Session,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    thumbnails: Thumbnails | None = None,
) -> App:
    """Return the application of a labelling session.

    Parameters
    ----------
    session : Session
        What is labeled.
    host : str
        The address that will be listened on; requests to other names are refused.
    token : str, optional
        What every request must know.
    thumbnails : Thumbnails, optional
        Images of the session, scaled; by default kept in the user's cache folder.

    Returns
    -------
    callable
        An ASGI application.
    """
    app = FastAPI(title="fewlabel", version=__version__, docs_url=None, redoc_url=None)
    app.state.session = session
    app.state.review = Review(session)
    app.state.people = _People(app.state.review)
    app.state.thumbnails = thumbnails or Thumbnails(session.images)
    app.include_router(router)
    app.include_router(api_review.router)
    app.include_router(api_people.router)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(FewLabelError, _not_possible)
    pages = _pages()
    title = session.images.source.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    title = title or session.images.source

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def label_page() -> str:
        return pages.get_template("label.html").render(title=title, here="label")

    @app.get("/review", response_class=HTMLResponse, include_in_schema=False)
    def review_page() -> str:
        return pages.get_template("review.html").render(title=title, here="review")

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Return that the server is there."""
        return {"status": "ok", "version": __version__}

    app.mount("/static", _static())
    return Guard(app, host=host, token=token)


def _create_waiting_app(waiting: Waiting, host: str, token: str | None) -> App:
    """Return the application that answers while images are read."""
    page = _pages().get_template("waiting.html")

    def answer(request: Request) -> HTMLResponse:
        # Not 200: a page that is open already tries again, and so does whoever waits for health.
        return HTMLResponse(page.render(done=waiting.done, total=waiting.total), 503)

    routes = [Mount("/static", _static()), Route("/{path:path}", answer)]
    return Guard(Starlette(routes=routes), host=host, token=token)


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


def _not_valid(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with a request, without what it held: that may be no JSON, as NaN."""
    assert isinstance(error, RequestValidationError)
    found = [{key: e[key] for key in ("loc", "msg", "type")} for e in error.errors()]
    return JSONResponse({"detail": found}, 422)


def _not_possible(request: Request, error: Exception) -> JSONResponse:
    # A page tries again what a full disk has refused, and gives up what makes no sense.
    return JSONResponse({"detail": str(error)}, 503 if isinstance(error, StorageError) else 400)
