"""Pictures as ``data:`` URIs, with their captions, and rows of them under one heading."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from fewlabel.data import ImageSet, Task
from fewlabel.data.label_texts import BAR
from fewlabel.report.html import View
from fewlabel.texts import _printable

_MAX_SIDE = 160
# Up to this side the page enlarges an image and shows its pixels.
_TINY_SIDE = 64
# Tiles of a sheet that are enlarged most, so that blocks of strong compression would show.
_TINY_TILE = 32

# Pictures are enlarged in the page: larger ones would make it too heavy to be mailed.
_READ_SIDE, _QUALITY = 208, 50


def _gallery(title: str, caption: str, pictures: list[View]) -> View:
    return {
        "title": title,
        "caption": caption,
        "pictures": pictures,
        "tiny": all(picture["tiny"] for picture in pictures),
        "paired": any(picture["beside"] for picture in pictures),
    }


def _picture(
    image: np.ndarray,
    name: str,
    label: str,
    confidence: float | None = None,
    note: str = "",
    beside: np.ndarray | None = None,
    marks: str = "",
) -> View:
    """Encode an image (H, W, C) with its label in bold, and another one beside it."""
    return {
        "uri": _thumbnail_uri(image, _READ_SIDE, _QUALITY),
        "marks": marks,
        "tiny": _is_tiny(image),
        "beside": "" if beside is None else _thumbnail_uri(beside),
        "alt": f"{_printable(name, limit=80)}: {_printable(label, limit=60)}",
        "label": _printable(label, limit=60),
        "confidence": confidence,
        "note": note,
        "name": _printable(name),
        "short": _printable(name, limit=16),
    }


def _pictures(
    images: ImageSet,
    rows: np.ndarray,
    labels: Sequence[str],
    confidence: np.ndarray | None = None,
    notes: Sequence[str] | None = None,
    marks: Sequence[str] | None = None,
) -> list[View]:
    """Read images; ``labels``, ``confidence``, ``notes`` and ``marks`` have an entry a row."""
    return [
        _picture(
            image,
            images.names[row],
            labels[i],
            None if confidence is None else float(confidence[i]),
            notes[i] if notes else "",
            marks=marks[i] if marks else "",
        )
        for i, (row, image) in enumerate(zip(rows.tolist(), _read_whole(images, rows), strict=True))
    ]


def _read_whole(images: ImageSet, rows: np.ndarray) -> list[np.ndarray]:
    """Read images uncropped, no larger than they are shown; those of one shape together."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows.tolist()):
        height, width, _ = images.subset([row]).native_shape or (1, 1, 1)
        scale = min(_READ_SIDE / max(height, width), 1.0)
        shape = (max(round(scale * height), 1), max(round(scale * width), 1))
        shapes.setdefault(shape, []).append(i)
    found: dict[int, np.ndarray] = {}
    for shape, places in shapes.items():
        found |= zip(places, images.read(rows[places], size=shape), strict=True)
    return [found[i] for i in range(len(rows))]


def _words(task: Task, y: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return labels as texts, in words where an image has none of them."""
    texts = task.texts(y, classes)
    return ["none" if text == BAR else text.replace(BAR, f" {BAR} ") for text in texts]


def _thumbnail_uri(image: np.ndarray, side: int = _MAX_SIDE, quality: int = 80) -> str:
    """Encode an image (H, W, 1) or (H, W, 3), uint8, as PNG, JPEG or WebP, the smallest."""
    array = image[:, :, 0] if image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    # Enlarged by the page, the blocks of a JPEG would be taken for the image itself.
    if max(picture.size) <= _TINY_SIDE:
        return _uri(picture, "png", optimize=True)
    jpeg, png = _uri(picture, "jpeg", quality=quality, optimize=True), _uri(picture, "png")
    # What PNG packs as well is a drawing, and stays exact.
    return (
        png if len(png) <= len(jpeg) else min(jpeg, _uri(picture, "webp", quality=quality), key=len)
    )


def _sheet_uri(tiles: np.ndarray, columns: int) -> str:
    """Encode images (n, S, S, C) as one picture: a file each would be mostly headers."""
    n, side, _, channels = tiles.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * columns, *tiles.shape[1:]), np.uint8)
    sheet[:n] = tiles
    sheet = sheet.reshape(rows, columns, side, side, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * side, columns * side, channels)
    picture = Image.fromarray(np.ascontiguousarray(sheet[..., 0] if channels == 1 else sheet))
    return _uri(picture, "webp", quality=28 if side > _TINY_TILE else 80)


def _is_tiny(image: np.ndarray) -> bool:
    """Return whether the page enlarges an image and keeps its pixels sharp."""
    return max(image.shape[:2]) <= _TINY_SIDE


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
