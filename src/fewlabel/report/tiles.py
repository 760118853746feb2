"""The images of a report as small tiles of one picture, and what galleries are filtered by."""

from collections.abc import Sequence
from time import perf_counter
from urllib.parse import quote

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.report.html import View
from fewlabel.report.pictures import _is_tiny, _sheet_uri
from fewlabel.texts import _percent, _printable

_SIDE, _COLUMNS, _BLOCK = 36, 40, 160
_BANDS = ("below 50 %", "50 to 80 %", "80 to 95 %", "95 % and more")
_LIMITS = (0.5, 0.8, 0.95)
_MAX_LISTED = 150_000  # characters of the lists of paths by class


def _marks(present: np.ndarray, confidence: np.ndarray | None = None) -> list[str]:
    """Return what images are filtered by: classes (n, K), and confidence unless they are given."""
    bands = ["given"] * len(present)
    if confidence is not None:
        bands = [f"b{band}" for band in np.digitize(confidence, _LIMITS)]
    return [
        " ".join([*(f"c{k}" for k in np.flatnonzero(row)), band])
        for row, band in zip(present, bands, strict=True)
    ]


def _filter_view(classes: Sequence[str], *, given: bool) -> View:
    """List what galleries can be filtered by, in alphabetical order."""
    named = [(_printable(name, limit=40), f"c{k}") for k, name in enumerate(classes)]
    bands = [(text, f"b{k}") for k, text in enumerate(_BANDS)]
    bands += [("labeled by you", "given")] if given else []
    return {"classes": sorted(named, key=lambda item: item[0].casefold()), "bands": bands}


def _tiles_view(
    images: ImageSet,
    rows: np.ndarray,
    labels: Sequence[str],
    confidence: np.ndarray,
    marks: Sequence[str],
    seconds: float,
) -> View:
    """Show as many of the rows as can be read in some seconds, the first ones first."""
    native, start = images.native_shape, perf_counter()
    side = _SIDE if native is None else min(_SIDE, max(native[:2]))
    read: list[np.ndarray] = []
    for block in range(0, len(rows), _BLOCK):
        if not read or perf_counter() - start < seconds:
            read.append(images.read(rows[block : block + _BLOCK], size=(side, side)))
    pixels = np.concatenate(read)
    lines = -(-len(pixels) // _COLUMNS)
    items, drawn = [], {}
    for i, row in enumerate(rows[: len(pixels)].tolist()):
        sure = "" if marks[i].endswith("given") else f", {_percent(float(confidence[i]), 0)} sure"
        text = f"{_printable(images.names[row])}: {_printable(labels[i], limit=60)}{sure}"
        items.append({"row": row, "text": text, "name": images.names[row], "marks": marks[i]})
        drawn[row] = f"--x:{i % _COLUMNS};--y:{i // _COLUMNS}"
    return {
        "items": items,
        "drawn": drawn,
        "uri": _sheet_uri(pixels, _COLUMNS),
        "columns": _COLUMNS,
        "lines": lines,
        "tiny": _is_tiny(pixels[0]) and side < _SIDE,
        "n_images": len(images),
    }


def _path_lists(names: Sequence[str], found: np.ndarray) -> list[str]:
    """Return the paths of the images of each class (n, K) as files to save; empty if too large."""
    texts = [
        "".join(f"{names[row]}\n" for row in np.flatnonzero(column).tolist()).encode(
            "utf-8", "surrogateescape"
        )
        for column in found.T
    ]
    if sum(map(len, texts)) > _MAX_LISTED:
        return [""] * len(texts)
    return [f"data:text/plain;charset=utf-8,{quote(text)}" if text else "" for text in texts]
