"""The prediction service: images in, labels with their confidences out."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal, Self

from fastapi import FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile

from fewlabel.data.modes import UnreadableImageError
from fewlabel.data.parallel import _worker_count
from fewlabel.data.uploads import Upload, _decode_upload
from fewlabel.errors import FewLabelError
from fewlabel.model import Prediction
from fewlabel.web.api_base import _new_app
from fewlabel.web.api_predict import PREDICT, RELOAD
from fewlabel.web.batching import _Batcher, _FullError
from fewlabel.web.limits import RETRY_AFTER, _Gate, _Limits, _Metrics
from fewlabel.web.models import Log, _Loaded, _Models

_TOP = 5
_SMALL_BYTES, _SMALL_PIXELS = 8_192, 64 * 64
_HINT = (
    "Send an image as the body with its type, such as `curl -H 'Content-Type: image/jpeg' "
    "--data-binary @photo.jpg`, or several as a form, such as `curl -F images=@a.jpg -F "
    "images=@b.png`."
)
Named = Annotated[str, Path(max_length=100)]
Top = Annotated[
    Annotated[int, Query(ge=1, le=100_000)] | Literal["all"],
    Query(description="How many of the most probable classes to give."),
]
MaxError = Annotated[
    float | None,
    Query(
        gt=0,
        lt=1,
        description="Accept no label below the confidence from which on at most this part of the "
        "labels is wrong.",
    ),
]


class _Service:
    """A prediction service: inside it, models are watched and images predicted."""

    def __init__(
        self,
        models: _Models,
        limits: _Limits,
        log: Log,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        self.models, self.limits, self.metrics = models, limits, _Metrics()
        self.batcher = _Batcher(limits.max_waiting, self.metrics.batches.observe)
        self.metrics.waiting.set_function(lambda: self.batcher.n_waiting)
        for name in models.names:
            failed = partial(models.errors.__contains__, name)
            self.metrics.reload_failed.labels(name).set_function(failed)
        self._decoders = ThreadPoolExecutor(_worker_count(), "fewlabel-decode")
        self.app = _Gate(
            _create_app(self, token), limits, self.metrics, log, host=host, token=token, names=names
        )

    def __enter__(self) -> Self:
        """Begin to predict."""
        self.batcher.start()
        self.models.watch()
        return self

    def __exit__(self, *error: object) -> None:
        """End, after what waits."""
        self.models.close()
        self.batcher.close()
        self._decoders.shutdown(cancel_futures=True)

    def end(self) -> None:
        """Be ready no longer, and have clients go elsewhere; requests are answered still."""
        self.app.is_ending = True

    async def predict(
        self, name: str, request: Request, top: int | Literal["all"], max_error: float | None
    ) -> Response:
        """Answer a request for predictions."""
        start = time.perf_counter()
        request.state.model = name
        # One model from here to the answer, whatever takes its place meanwhile.
        loaded = self.models[name]
        max_error = loaded.max_error if max_error is None else round(max_error, 4) or 1e-4
        threshold = loaded.threshold(max_error)
        files = await _files(request, self.limits.max_images)
        request.state.images = len(files)
        read, whole = await self._within_limits(loaded, [data for _, data in files])
        unreadable = [found for found in read if isinstance(found, str)]
        self._count(name, "unreadable", len(unreadable))
        if whole is None:
            raise HTTPException(422, f"It cannot be read as an image: {unreadable[0]}.")
        prediction = replace(whole, threshold=threshold)
        n_accepted = int(prediction.accepted.sum())
        self._count(name, "accepted", n_accepted)
        self._count(name, "abstained", len(prediction.proba) - n_accepted)
        answers = iter(_answers(prediction, top))
        images = [{"error": found} if isinstance(found, str) else next(answers) for found in read]
        answer = {
            "model": name,
            "id": loaded.id,
            "max_error": max_error,
            "seconds": round(time.perf_counter() - start, 6),
            "images": [
                {"name": file} | found for (file, _), found in zip(files, images, strict=True)
            ],
        }
        return JSONResponse(answer)

    def _count(self, name: str, found: str, n: int) -> None:
        # Counters that stay at 0 are not shown.
        if n:
            self.metrics.images.labels(name, found).inc(n)

    async def _within_limits(
        self, loaded: _Loaded, files: Sequence[bytes]
    ) -> tuple[list[Upload | str], Prediction | None]:
        """Do as `_predict`, where there is room, and as long as a request may take."""
        try:
            with self.batcher.room(len(files)):
                async with asyncio.timeout(self.limits.seconds):
                    return await self._predict(loaded, files)
        except (_FullError, TimeoutError) as error:
            reason = str(error) or f"It took longer than {self.limits.seconds:g} s."
            raise HTTPException(503, reason, RETRY_AFTER) from None

    async def _predict(
        self, loaded: _Loaded, files: Sequence[bytes]
    ) -> tuple[list[Upload | str], Prediction | None]:
        """Return each image decoded, or why it cannot be, and what is predicted for the former."""
        # All at once, so that who gives up ends all of them.
        read = await asyncio.gather(*(self._decode(data, loaded) for data in files))
        images = [found for found in read if not isinstance(found, str)]
        return read, await self.batcher.predict(loaded, images) if images else None

    async def _decode(self, data: bytes, loaded: _Loaded) -> Upload | str:
        """Decode an image, in another thread if that is worth it."""
        max_pixels = self.limits.max_pixels
        if len(data) <= _SMALL_BYTES:
            found = _decoded(data, loaded, min(_SMALL_PIXELS, max_pixels))
            if not isinstance(found, str):
                return found
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, _decoded, data, loaded, max_pixels)


def _decoded(data: bytes, loaded: _Loaded, max_pixels: int) -> Upload | str:
    """Return an image decoded, or why it cannot be."""
    try:
        return _decode_upload(data, loaded.forms, loaded.model.scale, max_pixels)
    except UnreadableImageError as error:
        return str(error)


def _answers(prediction: Prediction, top: int | Literal["all"]) -> list[dict[str, Any]]:
    """Return what is said of each image, as JSON types."""
    names, unlike = prediction.classes, prediction.unlike
    labels = prediction.task.texts(prediction.label, names)
    decided = prediction.task.decided(prediction.proba)
    accepted, confidence = prediction.accepted.tolist(), prediction.confidence.tolist()
    answers = []
    for row, proba in enumerate(prediction.proba):
        order = (-proba).argsort(kind="stable")[: None if top == "all" else top]
        answers.append(
            {
                "label": labels[row] if accepted[row] else None,
                "labels": [names[i] for i in decided[row].nonzero()[0]] if accepted[row] else None,
                "accepted": accepted[row],
                "confidence": round(confidence[row], 6),
                "unlike": None if unlike is None else bool(unlike[row]),
                "probabilities": {names[i]: round(float(proba[i]), 6) for i in order.tolist()},
            }
        )
    return answers


async def _files(request: Request, max_images: int) -> list[tuple[str | None, bytes]]:
    """Return the images of a request with their names, still encoded."""
    kind = request.headers.get("content-type", "application/octet-stream").split(";")[0].strip()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "Images are compressed already: send them without an encoding.")
    if kind == "application/octet-stream" or kind.startswith("image/"):
        body = await request.body()
        if not body:
            raise HTTPException(422, f"There is no image. {_HINT}")
        return [(None, body)]
    if kind != "multipart/form-data":
        raise HTTPException(415, f"{kind[:80] or 'That'} is no type of an image. {_HINT}")
    try:
        async with request.form(max_files=max_images, max_fields=8) as form:
            files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            if not files:
                raise HTTPException(422, f"There is no image in the form. {_HINT}")
            return [((file.filename or "")[:200], await file.read()) for file in files]
    except FormParserError as error:
        # A recent Starlette refuses such a form itself.
        raise HTTPException(400, f"The form is damaged ({error}). {_HINT}") from None


def _create_app(service: _Service, token: str | None) -> FastAPI:
    app = _new_app("fewlabel serve")
    models = service.models

    def known(name: str) -> str:
        if name not in models.names:
            raise HTTPException(404, f"There is no model {name!r}: see /models.")
        return name

    @app.get("/", include_in_schema=False)
    async def home() -> dict[str, Any]:
        """Return where to ask what, for who opens the printed address."""
        return {"models": list(models.names), "hint": _HINT, "see": ["/models", "/openapi.json"]}

    @app.post("/predict", **PREDICT)
    async def predict(request: Request, top: Top = _TOP, max_error: MaxError = None) -> Response:
        """Predict the labels of images by the first model."""
        return await service.predict(models.names[0], request, top, max_error)

    @app.post("/models/{name}/predict", **PREDICT)
    async def predict_by(
        request: Request, name: Named, top: Top = _TOP, max_error: MaxError = None
    ) -> Response:
        """Predict the labels of images by the model of that name."""
        return await service.predict(known(name), request, top, max_error)

    @app.get("/models")
    async def list_models() -> list[dict[str, Any]]:
        """Return all models: classes, what can be promised, and why a new one was not loaded."""
        return [models[n].summary() | {"error": models.errors.get(n)} for n in models.names]

    @app.post("/models/{name}/reload", **RELOAD)
    async def reload(name: Named) -> Response:
        """Load a model anew from its folder; where that fails, the old one goes on."""
        before = models[known(name)].id
        try:
            after = (await asyncio.to_thread(models.reload, name)).id
        except FewLabelError as error:
            return JSONResponse({"detail": str(error)}, 409)
        return JSONResponse({"model": name, "id": after, "changed": after != before})

    @app.get("/readyz", responses={503: {"description": "No more requests are wanted."}})
    async def readyz() -> Response:
        """Return whether requests are wanted, and the models that answer them."""
        ending = service.app.is_ending
        found = {n: {"id": models[n].id, "reload_failed": n in models.errors} for n in models.names}
        status = "ending" if ending else "ready"
        return JSONResponse({"status": status, "models": found}, 503 if ending else 200)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return counts in the form of Prometheus."""
        text = generate_latest(service.metrics.registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    if token:
        # Made once and kept by the application, so that clients that are generated send it.
        schema = app.openapi()
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        for path in _Gate.public:
            schema["paths"][path]["get"]["security"] = []
    return app
