"""What the labelling page and the prediction service have in common."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from fewlabel import __version__
from fewlabel.errors import FewLabelError, StorageError


class Refusal(BaseModel):
    """Why a request was refused."""

    detail: str


def _new_app(title: str) -> FastAPI:
    """Return an application that says what is wrong with a request, and that it is there."""
    app = FastAPI(title=title, version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(FewLabelError, _not_possible)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Return that the server is there."""
        return {"status": "ok", "version": __version__}

    return app


def _not_valid(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with a request, without what it held: that may be no JSON, as NaN."""
    assert isinstance(error, RequestValidationError)
    found = [{key: e[key] for key in ("loc", "msg", "type")} for e in error.errors()]
    return JSONResponse({"detail": found}, 422)


def _not_possible(request: Request, error: Exception) -> JSONResponse:
    # A page tries again what a full disk has refused, and gives up what makes no sense.
    return JSONResponse({"detail": str(error)}, 503 if isinstance(error, StorageError) else 400)
