"""The label table beside the store: read as a person left it, written with all it held."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fewlabel.data import ImageSet, Task
from fewlabel.data.columns import Record, _columns, _guarded
from fewlabel.data.label_rows import _finder, _Given, _index_text, _take, _unknown_image
from fewlabel.data.label_texts import BAR, _label_cells, _names_in
from fewlabel.data.tables import _best, _by_role, _faults, _note_group, _parsed, _quoted, _Row
from fewlabel.errors import LabelError, _path_errors
from fewlabel.files import _check_suffix, atomic_file
from fewlabel.reading import _read_regular

_WHAT = "label table"
_Stamp = tuple[int, int, int]


@dataclass
class _TableContent:
    """What a label table says."""

    labels: dict[int, tuple[str, ...] | None] = field(default_factory=dict)
    purposes: dict[int, str] = field(default_factory=dict)
    several: bool = False


class _LabelTable:
    """A CSV label table: its rows in their order, and columns that only a person knows of."""

    def __init__(self, path: str | Path, images: ImageSet) -> None:
        _check_suffix(path, "a CSV table", ".csv")
        self.path = Path(path)
        self.digest = ""
        self.groups: tuple[str, ...] = ()
        self._shown: tuple[dict[int, tuple[str, ...]], dict[int, str]] | None = None
        self._images = images
        self._key = "index" if images.by_index else "path"
        self._header = [self._key, "label"]
        self._columns = {self._key: 0, "label": 1}
        # In order: rows of images, and of files that are not among them any more.
        self._lines: dict[int | tuple[str, ...], str] = {}
        self._cells: dict[int, list[str]] = {}
        self._stale: set[int] = set()
        self._written: tuple[dict[int, tuple[str, ...]], dict[int, str]] = ({}, {})

    @_path_errors(LabelError)
    def stamp(self) -> _Stamp | None:
        """Return what changes when somebody writes the file; None if there is none."""
        try:
            return _stamp_of(self.path)
        except FileNotFoundError:
            return None

    @_path_errors(LabelError)
    def data(self) -> bytes | None:
        """Return the bytes of the file; None if there is none."""
        try:
            return _read_regular(self.path)
        except FileNotFoundError:
            return None

    def read(self, data: bytes, known: Mapping[str, int | None]) -> _TableContent:
        """Take in the file as somebody left it."""
        with _faults(self.path, LabelError):
            required = (self._key, "label")
            (place, header), records = _best(_parsed(self.path, data), required, _WHAT)
            columns, _ = _columns(header, {*required, "purpose", "group"}, place)
            missing = [role for role in required if role not in columns]
            if missing:
                raise LabelError(f"{self.path}, {place}: the header has no column `{missing[0]}`.")
            rows = [(self._row(one, header, columns), one[1]) for one in records]
        return self._taken(data, header, columns, rows, known)

    def _taken(
        self,
        data: bytes,
        header: list[str],
        columns: dict[str, int],
        rows: list[tuple[_Row, list[str]]],
        known: Mapping[str, int | None],
    ) -> _TableContent:
        """Match rows with images; keep what `write` needs once all of them are right."""
        with warnings.catch_warnings():
            # What a person is to know of a table, `fit` says.
            warnings.simplefilter("ignore")
            texts = _label_cells([row.cells["label"] for row, _ in rows], str(self.path))
        find, given = _Match(self._images, known), _Given()
        lines: dict[int | tuple[str, ...], str] = {}
        kept: dict[int, list[str]] = {}
        for (row, cells), text in zip(rows, texts, strict=True):
            image = find(row)
            if image is None:
                lines[tuple(cells)] = _joined(cells)
                continue
            lines.setdefault(image, "")
            kept.setdefault(image, cells)
            name = row.cells[self._key].strip()
            _note_group(row, name, image, given.groups, LabelError)
            _take(row, name, text, image, given)
        self._header, self._columns, self._lines, self._cells = header, columns, lines, kept
        self._written, self._stale = ({}, {}), set(kept)
        named = {image: _names_in(text) for image, text in given.labels.items()}
        labels = {image: named.get(image) for image in kept}
        several = any(BAR in text for text in given.labels.values())
        self.digest, self.groups = _digest_of(data), given.groups_of(len(self._images))
        labeled = {image: found for image, found in labels.items() if found is not None}
        # Until it has the images' own names, `fit` does not know them.
        self._shown = None if find.renamed else (labeled, given.purposes)
        return _TableContent(labels, given.purposes, several)

    def _row(self, record: Record, header: list[str], columns: dict[str, int]) -> _Row:
        return _Row(str(self.path), record[0], _by_role(record, header, columns))

    def write(
        self, labels: Mapping[int, tuple[str, ...]], purposes: Mapping[int, str], task: Task
    ) -> _Stamp:
        """Write the file, whole or not at all; return its stamp."""
        if purposes and "purpose" not in self._columns:
            self._columns = {**self._columns, "purpose": len(self._header)}
            self._header = [*self._header, "purpose"]
            self._stale.update(key for key in self._lines if isinstance(key, int))
        # Most rows are as they were: with thousands of them, that is what makes it fast.
        before, why = self._written
        changed = [image for image, found in purposes.items() if why.get(image) != found]
        changed += [image for image, found in labels.items() if before.get(image) is not found]
        changed += before.keys() - labels.keys()
        for image in dict.fromkeys([*changed, *self._stale]):
            own = self._cells.get(image, [])
            state = (labels.get(image), purposes.get(image, ""))
            if any(state) or own or state[0] == ():
                self._lines[image] = self._line(image, own, *state, task)
            else:
                # An answer that was taken back leaves no row of its own behind.
                self._lines.pop(image, None)
        self._stale.clear()
        self._written = (dict(labels), dict(purposes))
        data = "".join([_joined(self._header), *self._lines.values()]).encode()
        # What a power cut takes is written again from the answers.
        with atomic_file(self.path, durable=False) as temporary:
            temporary.write_bytes(data)
            # A moment later, it may be that of what a person has saved over it.
            stamp = _stamp_of(temporary)
        self.digest, self._shown = _digest_of(data), self._written
        return stamp

    def shows(self, labels: Mapping[int, tuple[str, ...]], purposes: Mapping[int, str]) -> bool:
        """Return whether the file, as it was last read or written, says just this."""
        return self._shown == (labels, purposes)

    def _line(
        self, image: int, own: list[str], labels: tuple[str, ...] | None, purpose: str, task: Task
    ) -> str:
        cells = [*own, *[""] * len(self._header)][: len(self._header)]
        cells[self._columns[self._key]] = _guarded(self._images.names[image])
        cells[self._columns["label"]] = "" if labels is None else _guarded(task.cell(labels))
        if "purpose" in self._columns:
            cells[self._columns["purpose"]] = purpose
        return _joined(cells)


class _Match:
    """Finds the image of a row, also by a name that it had before."""

    def __init__(self, images: ImageSet, known: Mapping[str, int | None]) -> None:
        self.renamed = False
        self._images, self._known = images, known
        self._index_of = {name: i for i, name in enumerate(images.names)}
        self._finder = _finder(images)

    def __call__(self, row: _Row) -> int | None:
        """Return the image; None for one that was there once, or was set aside as unreadable."""
        name = row.cells["index" if self._images.by_index else "path"]
        if name in self._index_of:
            return self._index_of[name]
        if name in self._known:
            self.renamed |= self._known[name] is not None
            return self._known[name]
        if self._images.by_index:
            found: str | None = _index_text(name, row.where)
        else:
            found = self._finder.find(name, row.where)
        if found is None or (self._images.by_index and found not in self._index_of):
            raise LabelError(_unknown_image(row.where, name.strip(), self._images, self._finder))
        return self._index_of.get(found)


def _stamp_of(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _digest_of(data: bytes) -> str:
    """Return a fingerprint of the content of a table."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _joined(cells: Sequence[str]) -> str:
    return ",".join(map(_quoted, cells)) + "\n"
