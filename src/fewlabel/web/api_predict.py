"""What the prediction service takes and answers, for its OpenAPI description."""

from typing import Any

from pydantic import BaseModel

_TYPES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/gif", "image/bmp")
_FILE = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {"images": {"type": "array", "minItems": 1, "items": _FILE}},
    "required": ["images"],
}


class ImageAnswer(BaseModel):
    """What a model says of an image; where it cannot be read, ``error`` beside its name alone."""

    name: str | None
    label: str | None = None
    labels: list[str] | None = None
    accepted: bool = False
    confidence: float = 0.0
    unlike: bool | None = None
    probabilities: dict[str, float] = {}
    error: str = ""


class Answer(BaseModel):
    """What a model says of the images of a request."""

    model: str
    id: str
    max_error: float | None
    seconds: float
    images: list[ImageAnswer]


_REFUSED = {
    400: "That error cannot be promised, or the form is damaged.",
    404: "No such model.",
    413: "Too large.",
    415: "No type of an image.",
    422: "No image that can be read, or a wrong parameter.",
    429: "Too many requests.",
    503: "Too busy.",
}


def _refused(reasons: dict[int, str]) -> dict[int, dict[str, Any]]:
    detail = {"type": "object", "properties": {"detail": {}}, "required": ["detail"]}
    content = {"application/json": {"schema": detail}}
    return {status: {"description": why, "content": content} for status, why in reasons.items()}


PREDICT: dict[str, Any] = {
    "responses": {200: {"model": Answer}} | _refused(_REFUSED),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": _FORM}}
            | {kind: {"schema": _FILE} for kind in (*_TYPES, "application/octet-stream")},
        }
    },
}
"""How a route that predicts is described."""

RELOAD: dict[str, Any] = {
    "responses": _refused({404: "No such model.", 409: "It cannot be loaded: the old one goes on."})
}
"""How the route that reloads is described."""
