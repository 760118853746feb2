"""Images at a URL, such as of an object store, and images whose bytes stand in Parquet files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs, parquet

from fewlabel.data.class_folders import _folder_classes
from fewlabel.data.decode import FOREIGN_SUFFIXES, MAX_FILE_BYTES, SUFFIXES
from fewlabel.data.folder import _open_files
from fewlabel.data.imageset import ImageSet, Skipped, _object_array
from fewlabel.data.parallel import Progress
from fewlabel.data.scale import PixelScale
from fewlabel.errors import DataError
from fewlabel.reading import _from_home

PARQUET = ".parquet"
"""Suffix of the tables that may hold images."""

_NAME_COLUMNS = ("path", "image.path")
_BYTES_COLUMNS = ("bytes", "image.bytes", "image")
# Threads that want the same rows wait for the one that reads them.
_reading = threading.Lock()


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """A file in the filesystem of a URL, which every process opens for itself."""

    url: str
    path: str

    def read(self) -> bytes:
        """Return the content."""
        with _filesystem_of(self.url)[0].open_input_stream(self.path, compression=None) as stream:
            # One byte more is refused by who decodes it.
            return bytes(stream.read(MAX_FILE_BYTES + 1))


@dataclass(frozen=True, slots=True)
class _ParquetCell:
    """The bytes of one image in a row group of a Parquet file."""

    table: _Table
    group: int
    row: int

    def read(self) -> bytes:
        """Return the content; images are read by whole row groups, of which two are kept."""
        with _reading:
            cells = _row_group(self.table, self.group)
        content = cells[self.row].as_py()
        return b"" if content is None else content


@cache
def _filesystem_of(url: str) -> tuple[Any, str]:
    """Return the filesystem of a URL, and the path there."""
    try:
        filesystem, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataError(
            f"{url} is no URL that can be read ({error}): give such as s3://bucket/folder, "
            "gs://bucket/folder or file:///folder."
        ) from error
    return filesystem, path.rstrip("/")


@lru_cache(maxsize=2)
def _row_group(table: _Table, group: int) -> pa.Array:
    return table.read(group, table.content)[0]


def _column(table: pa.Table, column: str) -> pa.Array:
    """Return a column of a table; of ``a.b`` the field ``b`` of the column ``a``."""
    name, *fields = column.split(".")
    found = table[name].combine_chunks()
    for field in fields:
        found = pc.struct_field(found, field)
    return found


def _is_parquet(path: Path) -> bool:
    """Return whether a path on this machine is a Parquet file, or a folder of such."""
    if path.is_dir():
        suffixes = {entry.suffix.lower() for entry in path.iterdir()}
        # Tables may lie beside images, too.
        return PARQUET in suffixes and not suffixes & SUFFIXES and not any(path.glob("*/"))
    return path.suffix.lower() == PARQUET


def _from_url(
    url: str, *, progress: Progress | None = None, scale: PixelScale | None = None
) -> ImageSet:
    """Read the images below a URL, or those in its Parquet files."""
    base, found = _files_below(url)
    tables = [file for file in found if file.endswith(PARQUET)]
    if tables:
        return _from_parquet(url, tables, progress, scale)
    files, skipped = dict[str, Any](), []
    for file in found:
        name, suffix = file.removeprefix(f"{base}/"), PurePosixPath(file).suffix.lower()
        if suffix in SUFFIXES:
            files[name] = _RemoteFile(url, file)
        elif suffix in FOREIGN_SUFFIXES:
            reason = f"{suffix} images cannot be read: convert it to JPEG or PNG"
            skipped.append(Skipped(name, reason))
    if not files and not skipped:
        raise DataError(f"{url} holds no images and no Parquet files.")
    images = _open_files(files, skipped, url, progress=progress, scale=scale)
    classes = _folder_classes(images.names)
    images.truth = None if classes.labels is None else _object_array(classes.labels)
    images.truth_notes = classes.notes
    return images


def _files_below(url: str) -> tuple[str, list[str]]:
    """Return the path of a URL and of all files below it, in order, but for hidden ones."""
    filesystem, base = _filesystem_of(url)
    info = filesystem.get_file_info(base)
    if info.type == fs.FileType.NotFound:
        raise DataError(f"{url} does not exist: check the address.")
    if info.type == fs.FileType.File:
        return base.rpartition("/")[0], [base]
    below = filesystem.get_file_info(fs.FileSelector(base, recursive=True))
    files = [each.path for each in below if each.type == fs.FileType.File]
    inside = ((file, file.removeprefix(f"{base}/").split("/")) for file in sorted(files))
    return base, [file for file, parts in inside if not any(p.startswith(".") for p in parts)]


class _Table(NamedTuple):
    """A Parquet file of images: where it is, and in which columns their names and bytes are."""

    url: str
    path: str
    name: str
    content: str
    label: str | None
    # Rows of each group.
    n_rows: tuple[int, ...]

    def read(self, group: int, *columns: str) -> list[pa.Array]:
        """Return some columns of a row group."""
        with _filesystem_of(self.url)[0].open_input_file(self.path) as file:
            found = parquet.ParquetFile(file).read_row_group(group, columns=list(columns))
        return [_column(found, column) for column in columns]


def _parquet_tables(source: str) -> list[_Table]:
    """Return the Parquet files of a source; none if it is of another kind."""
    url = source
    if "://" not in source:
        path = _from_home(source)
        if not path.exists() or not _is_parquet(path):
            return []
        url = path.absolute().as_uri()
    return [_table_of(url, file) for file in _files_below(url)[1] if file.endswith(PARQUET)]


def _table_of(url: str, path: str) -> _Table:
    with _filesystem_of(url)[0].open_input_file(path) as stream:
        try:
            file = parquet.ParquetFile(stream)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path} is not a Parquet file, or is damaged ({error}).") from error
        schema = file.schema_arrow
        label = "label" if "label" in schema.names else None
        about = file.metadata
        n_rows = tuple(about.row_group(group).num_rows for group in range(about.num_row_groups))
        return _Table(url, path, *_image_columns(schema, path), label, n_rows)


def _from_parquet(
    url: str, paths: list[str], progress: Progress | None, scale: PixelScale | None
) -> ImageSet:
    """Read the images of Parquet files: their names now, their bytes when they are looked at."""
    files, labels = dict[str, Any](), dict[str, str]()
    for path in paths:
        for name, label, cell in _rows_of(_table_of(url, path)):
            if name in files:
                raise DataError(
                    f"{path}: the name {name!r} stands there twice, or in two tables: "
                    "give every image a `path` of its own."
                )
            files[name] = cell
            if label is not None:
                labels[name] = label
    if not files:
        raise DataError(f"{url} holds no images: its tables have no rows.")
    images = _open_files(files, [], url, progress=progress, scale=scale)
    if labels:
        images.truth = _object_array([labels.get(name, "") for name in images.names])
    return images


def _rows_of(table: _Table) -> Iterator[tuple[str, str | None, _ParquetCell]]:
    """Return the name, the label and the place of each image of a Parquet file."""
    for group, n in enumerate(table.n_rows):
        columns = table.read(group, table.name, *filter(None, [table.label]))
        names, *rest = [column.to_pylist() for column in columns]
        labels = rest[0] if rest else [None] * n
        for row, (name, label) in enumerate(zip(names, labels, strict=True)):
            if not name:
                raise DataError(f"{table.path}: row {row} of row group {group} has no name.")
            cell = _ParquetCell(table, group, row)
            yield name, None if label is None else str(label), cell


def _image_columns(schema: pa.Schema, table: str) -> tuple[str, str]:
    """Return the columns of the names and of the bytes; raise if there are none."""
    types = {field.name: field.type for field in schema}
    for field in schema:
        if pa.types.is_struct(field.type):
            types |= {f"{field.name}.{part.name}": part.type for part in field.type}
    name = next((n for n in _NAME_COLUMNS if n in types), None)
    is_bytes = (pa.types.is_binary, pa.types.is_large_binary)
    content = next(
        (n for n in _BYTES_COLUMNS if n in types and any(test(types[n]) for test in is_bytes)), None
    )
    if name is None or content is None:
        raise DataError(
            f"{table} must have a column `path` and the bytes of image files in a column `bytes`, "
            "or a column `image` of both, as data sets of Hugging Face have. It has "
            f"{', '.join(schema.names)[:200]} instead."
        )
    return name, content
