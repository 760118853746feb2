"""What the prediction service takes and answers, for its OpenAPI description."""

from __future__ import annotations

from typing import Any

_TYPES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/gif", "image/bmp")
_FILE = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {"images": {"type": "array", "minItems": 1, "items": _FILE}},
    "required": ["images"],
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _or_null(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": [kind, "null"], **more}


_TEXT = {"type": "string"}
_IMAGE = _object(
    name=_or_null("string"),
    label=_or_null("string"),
    labels=_or_null("array", items=_TEXT),
    accepted={"type": "boolean"},
    confidence={"type": "number"},
    unlike=_or_null("boolean"),
    probabilities={"type": "object", "additionalProperties": {"type": "number"}},
    # Stands beside the name alone.
    error=_TEXT,
)
_ANSWER = _object(
    model=_TEXT,
    id=_TEXT,
    max_error=_or_null("number"),
    seconds={"type": "number"},
    images={"type": "array", "items": _IMAGE},
)
_REFUSED = {
    400: "That error cannot be promised, or the form is damaged.",
    404: "No such model.",
    413: "Too large.",
    415: "No type of an image.",
    422: "No image that can be read, or a wrong parameter.",
    429: "Too many requests.",
    503: "Too busy.",
}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refused(reasons: dict[int, str]) -> dict[int, dict[str, Any]]:
    detail = {"type": "object", "properties": {"detail": {}}, "required": ["detail"]}
    return {status: _response(reason, detail) for status, reason in reasons.items()}


PREDICT: dict[str, Any] = {
    "responses": {200: _response("What the model says of the images.", _ANSWER)}
    | _refused(_REFUSED),
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
