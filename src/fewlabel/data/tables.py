"""Tables of labels and manifests: read in any usual form, written as CSV, whole or not at all."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fewlabel.data.columns import (
    ROLES,
    Record,
    _candidates,
    _cell,
    _columns,
    _guarded,
    _label,
    _TableError,
    _unguarded,
)
from fewlabel.data.json_labels import _json_records
from fewlabel.data.missing import _is_unlabeled
from fewlabel.data.sheets import _sheets
from fewlabel.errors import UsageError
from fewlabel.files import _check_suffix, atomic_file
from fewlabel.reading import _read_regular

SEPARATORS = ",;\t|"
"""What may stand between the cells of a CSV table; the one that yields the columns is taken."""

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".ods", ".json", ".jsonl")
"""How the names of manifests end; a label table may have any name."""

FRAME = "the data frame"
"""What messages call a table that is no file."""

# As many as a spreadsheet has columns.
_MAX_CELLS = 16_384
_AS_CSV = "Save the table as 'CSV UTF-8'."
_BLANK_LINES = re.compile(r"(?:[ \t]*+(?:\r\n|\r|\n))++")

# The name of a sheet, if there are several, and its records.
_Sheet = tuple[str, Iterator[Record]]


class _Row(NamedTuple):
    """One record: the table, where it stands there, and its cells by their role."""

    table: str
    place: str
    cells: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.table}, {self.place}"


def _read_table(
    path: Any,
    *,
    required: Sequence[str],
    what: str,
    error: type[UsageError],
    is_name: Callable[[str], bool] = lambda cell: False,
) -> tuple[tuple[str, ...], Iterator[_Row]]:
    """Read a table with a header, in any form: which roles its columns have, and its rows."""
    contents: Iterable[_Sheet] = [("", _frame_records(path))] if _is_frame(path) else ()
    path = FRAME if contents else Path(path)
    with _faults(path, error):
        (place, header), records = _best(contents or _contents(path, what), required, what)
        # What is not asked for may stand there twice.
        roles = {*required, "label", "purpose", "group"} if required else ROLES
        columns, guessed = _columns(header, roles, place)
        missing = [role for role in required if role not in columns]
        if missing:
            expected, shown = f"`{','.join(required)}`", f"`{_shown(header)}`"
            if any(map(is_name, header)):
                reason = f"{shown} names an image, so the header is missing: write {expected} above"
                raise _TableError(f"{reason} it.", place)
            reason = f"the header has no column `{missing[0]}`; expected {expected}, found {shown}"
            raise _TableError(f"{reason}.", place)

    def rows() -> Iterator[_Row]:
        if guessed:
            guess = f"{path}, {place}: took the column {' and '.join(guessed)}."
            warnings.warn(guess, UserWarning, stacklevel=4)
        record = None
        with _faults(path, error):
            for record in records:
                yield _Row(str(path), record[0], _by_role(record, header, columns))
            if record is None:
                raise _TableError(f"has a header but no rows: the {what} is empty.")

    return tuple(columns), rows()


@contextmanager
def _faults(path: str | Path, error: type[UsageError]) -> Iterator[None]:
    try:
        yield
    except _TableError as fault:
        raise error(f"{path}{fault}") from fault


def _best(
    sheets: Iterable[_Sheet], required: Sequence[str], what: str
) -> tuple[Record, Iterator[Record]]:
    """Return the header and the records of the sheet, or reading, that has most of the columns."""
    found: list[tuple[tuple[int, int], str, Record, Iterator[Record]]] = []
    faults = []
    for name, records in sheets:
        try:
            header = next(records, None)
        except _TableError as fault:
            faults.append(fault)
            continue
        if header is not None:
            score = (len(_candidates(header[1])), len(header[1]))
            found.append((score, name, header, records))
    best = max(found, key=lambda one: one[0], default=None)
    if faults and (best is None or not best[0][0]):
        raise faults[0]
    if best is None:
        expected = f"`{','.join(required)}`"
        raise _TableError(f"is empty: the {what} needs a header line {expected}.")
    whole = [name for _, name, header, _ in found if {*required} <= {*_candidates(header[1])}]
    if len(whole) > 1 and whole[1]:
        raise _TableError(
            f"has a {what} in each of the sheets {whole[0]!r} and {whole[1]!r}: keep one."
        )
    return best[2:]


def _is_frame(value: Any) -> bool:
    """Return whether a value is a data frame, of pandas or like it."""
    return hasattr(value, "columns") and hasattr(value, "__getitem__")


def _frame_records(frame: Any) -> Iterator[Record]:
    """Give the header and the rows of a data frame as records."""
    columns = list(frame.columns)
    yield "its columns", [str(name) for name in columns]
    for row, values in enumerate(zip(*(frame[name] for name in columns), strict=True)):
        yield f"row {row}", [_frame_cell(value) for value in values]


def _frame_cell(value: Any) -> str:
    """Return a value of Python as a CSV table would hold it."""
    if isinstance(value, list | tuple | set | frozenset):
        return _cell(sorted(value) if isinstance(value, set | frozenset) else list(value))
    if _is_unlabeled(value):
        return ""
    # pandas makes floats of whole numbers where one is missing.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else _cell(value)


def _by_role(record: Record, header: list[str], columns: dict[str, int]) -> dict[str, str]:
    """Return the cells of a record by their role; a short one leaves its last columns blank."""
    place, cells = record
    if any(map(str.strip, cells[len(header) :])):
        raise _TableError(
            f"{len(cells)} cells, but the header has {len(header)} (`{_shown(header)}`): put "
            "text that holds the separator into double quotes.",
            place,
        )
    found = {role: _unguarded(cells[i]) if i < len(cells) else "" for role, i in columns.items()}
    if "label" in found:
        found["label"] = _label(found["label"], place)
    return found


def _note_group(
    row: _Row, name: str, key: Any, groups: dict[Any, tuple[str, str]], error: type[UsageError]
) -> None:
    """Note the group of an image and its place, unless another row gives it another one."""
    group = row.cells.get("group", "").strip()
    before, place = groups.setdefault(key, (group, row.place)) if group else ("", "")
    if before != group:
        raise error(
            f"{row.where}: {name} is in the group {group!r}, but in {before!r} on {place}: keep "
            "one of them."
        )


def _shown(header: Sequence[str]) -> str:
    shown = ",".join(_quoted(cell[:40]) for cell in header[:12])
    return shown + (",…" if len(header) > 12 else "")


def _write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV table, whole or not at all; cells that a spreadsheet would run are guarded."""
    _check_suffix(path, "a CSV table", ".csv")
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        for cells in (header, *rows):
            out.write(",".join(_quoted(_guarded(cell)) for cell in cells) + "\n")


def _quoted(cell: str) -> str:
    # csv.writer leaves a lone carriage return bare before Python 3.13, and then cannot read it.
    if not cell or cell != cell.strip() or any(mark in cell for mark in ',;\t"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _contents(path: Path, what: str) -> Iterable[_Sheet]:
    """Return the tables that a file may hold, whatever its suffix says."""
    try:
        data = _read_regular(path)
    except FileNotFoundError:
        raise _TableError(f"does not exist: give the {what} as a CSV file.") from None
    except OSError as failure:
        raise _TableError(f"cannot be read: {failure.strerror}.") from failure
    return _parsed(path, data)


def _parsed(path: Path, data: bytes) -> Iterable[_Sheet]:
    """Return the tables that the bytes of a file may hold."""
    if data.startswith(b"PK\x03\x04"):
        return _sheets(path, data)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise _TableError(
            "is an old Excel workbook (.xls), or has a password: save it as 'CSV UTF-8' or .xlsx."
        )
    text = _text(data)
    if re.match(r"\s*+[\[{]", text):
        return [("", _json_records(text))]
    # Excel writes this line, and reads it.
    sep = re.match(r'\s*+"?sep=(.)"?[ \t]*(?:\r\n|\r|\n|\Z)', text, re.IGNORECASE)
    before = sep or _BLANK_LINES.match(text)
    start = before.end() if before else 0
    return [("", _csv_records(text, mark, start)) for mark in (sep[1] if sep else SEPARATORS)]


def _text(data: bytes) -> str:
    # UTF-16 is what Excel saves as "Unicode text".
    is_wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data[: failure.start].count(b"\n") + 1
        raise _TableError(f"not UTF-8. {_AS_CSV}", f"line {line}") from failure
    if "\0" in text:
        raise _TableError(f"holds NUL bytes, so it is no text in UTF-8. {_AS_CSV}")
    # Programs that do not know the mark keep one and write another.
    return text.lstrip("\ufeff")


def _csv_records(text: str, separator: str, start: int) -> Iterator[Record]:
    """Split CSV into records that are not blank; blanks around quotes do not count.

    By hand, since csv.reader either takes a quote after a blank literally, or takes the blanks
    from a cell without quotes, which may name a file.
    """
    mark, blank = re.escape(separator), " " if separator == "\t" else "[ \t]"
    cell = re.compile(
        rf'(?:{blank}*+"((?:[^"]|"")*+)"{blank}*+|(?!{blank}*+")([^{mark}\r\n]*+))'
        rf"({mark}|\r\n|\r|\n|\Z)"
    )
    line = first = 1 + _line_ends(text[:start])
    cells: list[str] = []
    while True:
        found = cell.match(text, start)
        if found is None:
            raise _TableError(
                "not CSV (a quote does not end, or not with its cell).", f"line {first}"
            )
        if len(cells) == _MAX_CELLS:
            raise _TableError(f"not CSV (more than {_MAX_CELLS:,} cells).", f"line {first}")
        quoted, bare, end = found.groups()
        cells.append(bare if quoted is None else quoted.replace('""', '"'))
        line += _line_ends(quoted or "")
        start = found.end()
        if end == separator:
            continue
        if any(map(str.strip, cells)):
            yield f"line {first}", cells
        elif skipped := _BLANK_LINES.match(text, start):
            line += _line_ends(skipped[0])
            start = skipped.end()
        if not end:
            return
        line = first = line + 1
        cells = []


def _line_ends(text: str) -> int:
    return text.count("\n") or text.count("\r")
