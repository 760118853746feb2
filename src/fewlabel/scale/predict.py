"""Predictions of any number of images, each read once, by the workers of a Ray cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from fewlabel.data import ImageSet, PixelScale, Skipped, load_images
from fewlabel.data.decode import _FileInfo
from fewlabel.data.folder import LOST, _look_at
from fewlabel.data.remote import _parquet_tables, _RemoteFile, _Table
from fewlabel.data.stores import _FileStore, _UnseenStore
from fewlabel.engine import use_engine
from fewlabel.errors import DataError
from fewlabel.features.base import Progress
from fewlabel.files import atomic_file
from fewlabel.model import Model, Prediction
from fewlabel.scale.counts import _Counts
from fewlabel.scale.ray import RayEngine, in_one_thread, stream


def predict_on_ray(
    model: Model,
    source: str,
    out: str | Path,
    *,
    max_error: float | None = None,
    probabilities: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Predict the labels of images on the workers of a cluster, and write them as Parquet.

    Parameters
    ----------
    model : Model
        The model.
    source : str
        Images, as `load_images` takes them. The workers open the files, which they must see under
        the same path or URL.
    out : str or Path
        File to write, with a row an image, in the order of the images: ``path``, ``label``,
        ``confidence``, ``unlike``, and ``error``, which says why an image has no label.
    max_error : float, optional
        As in `Model.predict`.
    probabilities : bool
        Whether to add a column of probabilities a class.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    dict
        Counts, seconds, and the first images that could not be predicted.

    Raises
    ------
    UsageError
        If ``max_error`` cannot be promised.
    DataError
        If there are no images.
    """
    import ray

    threshold = 0.0 if max_error is None else model.threshold(max_error)
    start = time.perf_counter()
    given = _open_unseen(source, model.scale)
    shared = [
        ray.put(model.to_state()),
        ray.put((given.images, given.tables, max_error, probabilities)),
    ]
    schema = _schema(model, given.key, probabilities)
    found, middle = _Counts(), time.perf_counter()
    with atomic_file(out) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
        blocks = stream(given.columns, _Predictor, shared, given.block_size)
        for block in given.with_lost(blocks):
            table = pa.table({given.key: block["name"], **_columns_of(block)})
            writer.write_table(_filled(table, schema))
            found.add(block)
            if progress is not None:
                progress("predict", found.n_rows, given.n_images)
    seconds = {"reading": middle - start, "predict": time.perf_counter() - middle}
    return found.summary(model) | {
        "out": str(out),
        "max_error": max_error,
        "threshold": threshold,
        "seconds": seconds,
    }


def _columns_of(block: pa.Table) -> dict[str, Any]:
    return {n: block[n] for n in block.column_names if n not in ("name", "position")}


def _filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all columns of a schema, empty where it has none."""
    columns = [
        table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type)
        for f in schema
    ]
    return pa.table(columns, schema=schema)


def _schema(model: Model, key: str, probabilities: bool) -> pa.Schema:
    types = {key: pa.string(), "label": pa.string(), "confidence": pa.float32()}
    types |= {"unlike": pa.bool_(), "error": pa.string()}
    classes = model.classes if probabilities else ()
    return pa.schema(types | {f"p({name})": pa.float32() for name in classes})


@dataclass
class _Unseen:
    """Images that no process has looked at yet, and what their blocks are made of."""

    columns: dict[str, pa.Array]
    n_images: int
    names: Sequence[str] = ()
    skipped: Sequence[Skipped] = ()
    key: str = "path"
    # Those of an array, which are in memory.
    images: ImageSet | None = None
    # Parquet files: a block is a row group of one of them.
    tables: Sequence[_Table] = ()

    @property
    def block_size(self) -> int | None:
        """Rows of the columns that make a block; None is as many as usual."""
        return 1 if self.tables else None

    def with_lost(self, blocks: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Add what was set aside before, and images over which workers died."""
        seen = np.zeros(len(self.columns["position"]), bool)
        for block in blocks:
            seen[block["position"].to_numpy()] = True
            yield block
        lost = [name for row in np.flatnonzero(~seen).tolist() for name in self._names_of(row)]
        if failed := [*self.skipped, *(Skipped(name, LOST) for name in lost)]:
            names, errors = ([getattr(f, of) for f in failed] for of in ("path", "reason"))
            yield pa.table({"name": names, "error": errors})

    def _names_of(self, row: int) -> list[str]:
        if not self.tables:
            return [self.names[row]]
        table = self.tables[self.columns["table"][row].as_py()]
        names = table.read(self.columns["group"][row].as_py(), table.name)[0]
        return [name or "" for name in names.to_pylist()]


def _open_unseen(source: str, scale: PixelScale) -> _Unseen:
    """Find out which images there are; of files, without a look at any."""
    if tables := _parquet_tables(source):
        places = [(t, g, n) for t, of in enumerate(tables) for g, n in enumerate(of.n_rows) if n]
        if not places:
            raise DataError(f"{source} holds no images: its tables have no rows.")
        table, group, n_rows = (pa.array(part) for part in zip(*places, strict=True))
        columns = {"table": table, "group": group, "position": pa.array(np.arange(len(places)))}
        return _Unseen(columns, sum(n_rows.to_pylist()), tables=tables)
    with use_engine(RayEngine(opens_blindly=True)):
        images = load_images(source, scale=scale)
    columns = {"position": pa.array(np.arange(len(images)))}
    if isinstance(images._store, _UnseenStore):
        sources: list[Any] = images._store.sources
        columns["name"] = pa.array(images.names, pa.large_string())
        # A path need not be a text.
        paths = [os.fsencode(s) if isinstance(s, Path) else s.path.encode() for s in sources]
        columns["place"] = pa.array(paths, pa.large_binary())
        columns["url"] = pa.array([getattr(s, "url", None) for s in sources], pa.large_string())
    return _Unseen(
        columns,
        len(images) + len(images.skipped),
        images.names,
        images.skipped,
        "index" if images.by_index else "path",
        images if "place" not in columns else None,
    )


class _Predictor:
    """A worker that looks at images and predicts them."""

    def __init__(self, shared: Sequence[Any]) -> None:
        import ray

        in_one_thread()
        state, about = ray.get(list(shared))
        self.images, self.tables, self.max_error, self.probabilities = about
        self.model = Model.from_state(*state)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Predict a block."""
        if self.images is None:
            names, sources = _sources_of(batch, self.tables)
            images, errors = _opened(names, sources, self.model.scale)
        else:
            images = self.images.subset(batch["position"].to_numpy())
            names, errors = list(images.names), [None] * len(images)
        position = batch["position"].to_numpy()
        if self.tables:
            # Of the row group.
            position = np.repeat(position, len(names))
        columns: dict[str, Any] = {"name": names, "position": position}
        if images is not None:
            columns |= self._predicted(images, errors)
        columns["error"] = pa.array(errors, pa.string())
        return pa.table(columns)

    def _predicted(self, images: ImageSet, errors: list[str | None]) -> dict[str, pa.Array]:
        """Predict the images without an error; one that fails now gets it in place."""
        try:
            prediction = self.model.predict(images, max_error=self.max_error)
        except DataError:
            # One file that is damaged further on, or gone since: the others count all the same.
            rows = [row for row, error in enumerate(errors) if error is None]
            for row, place in zip(rows, range(len(images)), strict=True):
                errors[row] = self._why_not(images.subset([place]))
            rest = [place for place, row in enumerate(rows) if errors[row] is None]
            if not rest:
                return {}
            prediction = self.model.predict(images.subset(rest), max_error=self.max_error)
        known = np.array([error is None for error in errors])
        place = pa.array(np.cumsum(known) - 1, mask=~known)
        return {name: column.take(place) for name, column in self._columns(prediction).items()}

    def _why_not(self, image: ImageSet) -> str | None:
        try:
            self.model.extractor.transform(image)
        except DataError as error:
            return str(error)
        return None

    def _columns(self, prediction: Prediction) -> dict[str, pa.Array]:
        columns = {
            "label": pa.array(prediction.texts, pa.string()),
            "confidence": pa.array(prediction.confidence.astype(np.float32)),
        }
        if prediction.unlike is not None:
            columns["unlike"] = pa.array(prediction.unlike)
        if self.probabilities:
            proba = prediction.proba.astype(np.float32).T
            named = zip(prediction.classes, proba, strict=True)
            columns |= {f"p({name})": pa.array(column) for name, column in named}
        return columns


def _sources_of(batch: pa.Table, tables: Sequence[_Table]) -> tuple[list[str], list[Any]]:
    """Return the names of the images of a block, and where to read them or their bytes."""
    if tables:
        table = tables[batch["table"][0].as_py()]
        names, contents = table.read(batch["group"][0].as_py(), table.name, table.content)
        return [n or "" for n in names.to_pylist()], [c or b"" for c in contents.to_pylist()]
    places = zip(batch["place"].to_pylist(), batch["url"].to_pylist(), strict=True)
    sources = [
        Path(os.fsdecode(path)) if url is None else _RemoteFile(url, path.decode())
        for path, url in places
    ]
    return batch["name"].to_pylist(), sources


def _opened(
    names: Sequence[str], sources: Sequence[Any], scale: PixelScale
) -> tuple[ImageSet | None, list[str | None]]:
    """Look at images: return those that can be read, None if there are none, and what is wrong."""
    # By number: in a table, a name may stand twice.
    looks = _look_at({str(n): s for n, s in enumerate(sources)}, n_files=len(sources))
    errors = [_why_unusable(look, scale) for look in looks]
    rows = [row for row, error in enumerate(errors) if error is None]
    if not rows:
        return None, errors
    kept = [names[row] for row in rows]
    infos = [look for row in rows if isinstance(look := looks[row], _FileInfo)]
    store = _FileStore([sources[row] for row in rows], infos, kept, scale)
    return ImageSet(store, names=kept, source="a block", by_index=False), errors


def _why_unusable(look: _FileInfo | Skipped, scale: PixelScale) -> str | None:
    """Return why an image cannot be predicted; None if it can."""
    if isinstance(look, Skipped):
        return look.reason
    kind = "byte" if look.measured is None else look.measured.kind
    if kind == "byte" or scale._ranges[kind] is not None:
        return None
    # One block must not be scaled otherwise than the next.
    return (
        f"its pixel values are {kind}, of which the model was fitted on none, so that their scale "
        "is not known: predict all images of this kind at once, without --engine ray"
    )
