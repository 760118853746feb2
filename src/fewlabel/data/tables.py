"""CSV tables: label tables and manifests, read with line numbers and written whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fewlabel.data.cells import _guarded, _unguarded
from fewlabel.errors import UsageError
from fewlabel.files import atomic_file
from fewlabel.reading import read_regular


class _Row(NamedTuple):
    """One record of a table."""

    line: int
    cells: dict[str, str]


def _read_table(
    path: str | Path, *, required: Iterable[str], what: str, error: type[UsageError]
) -> tuple[tuple[str, ...], list[_Row]]:
    """Read a CSV table with a header.

    Commas, semicolons and tabs separate columns; a byte-order mark, Windows line ends, empty
    lines and columns beyond those that are asked for do no harm. Names of columns are
    compared in lower case.
    """
    path = Path(path)
    lines = io.StringIO(_text(path, what, error), newline="")
    records = _records(lines, path, error)
    header_line, header = next(records, (1, []))
    if not header:
        raise error(f"{path} is empty: the {what} needs a header line `{','.join(required)}`.")
    columns = tuple(name.strip().lower() for name in header)
    missing = [name for name in required if name not in columns]
    if missing:
        raise error(
            f"{path}, line {header_line}: the header has no column `{missing[0]}`; "
            f"expected `{','.join(required)}`, found `{','.join(header)}`."
        )
    repeated = [name for name in required if columns.count(name) > 1]
    if repeated:
        raise error(f"{path}, line {header_line}: the column `{repeated[0]}` stands twice.")
    # A short record leaves its last columns blank.
    rows = [
        _Row(line, dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False)))
        for line, cells in records
    ]
    if not rows:
        raise error(f"{path} has a header but no rows: the {what} is empty.")
    return columns, rows


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    r"""Write a CSV table, whole or not at all.

    Parameters
    ----------
    path : str or Path
        File; its folder is made if missing.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        Cells; those with commas, quotes or line ends are quoted, and those that a spreadsheet
        would run begin with an apostrophe, which reading takes away.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        for cells in (header, *rows):
            out.write(",".join(_quoted(_guarded(cell)) for cell in cells) + "\n")


def _quoted(cell: str) -> str:
    # csv.writer leaves a lone carriage return bare before Python 3.13, and then cannot read it.
    if not cell or cell != cell.strip() or any(mark in cell for mark in ',;\t"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _text(path: Path, what: str, error: type[UsageError]) -> str:
    try:
        data = read_regular(path)
    except FileNotFoundError:
        raise error(f"{path} does not exist: give the {what} as a CSV file.") from None
    except OSError as failure:
        raise error(f"{path} cannot be read: {failure.strerror}.") from failure
    # What Excel saves as "Unicode text".
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data[: failure.start].count(b"\n") + 1
        raise error(f"{path}, line {line}: not UTF-8. Save the table as 'CSV UTF-8'.") from failure


def _records(
    lines: io.StringIO, path: Path, error: type[UsageError]
) -> Iterator[tuple[int, list[str]]]:
    first = lines.readline()
    lines.seek(0)
    # Excel writes semicolons where the comma is the decimal mark.
    separator = max(",;\t", key=first.count) if first else ","
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        # The line where a record begins: a quoted cell may go over several.
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as failure:
            raise error(f"{path}, line {line}: not CSV ({failure}).") from failure
        if any(cell.strip() for cell in cells):
            yield line, [_unguarded(cell) for cell in cells]
