"""Sheets of Excel workbooks and of OpenDocument spreadsheets, as records of text."""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree
from zipfile import ZipFile

from fewlabel.data.columns import Record, _cell, _TableError
from fewlabel.extras import is_installed, require
from fewlabel.reading import _check_bytes, _max_bytes, _open_zip

# As many rows as a spreadsheet has, ten cells in each.
_MAX_ROWS = 1 << 20
_MAX_CELLS = 10 * _MAX_ROWS
_AS_CSV = "save the table as 'CSV UTF-8'"
_OFFICE, _TABLE, _TEXT = (
    f"{{urn:oasis:names:tc:opendocument:xmlns:{part}:1.0}}" for part in ("office", "table", "text")
)
_BLANKS = {f"{_TEXT}s": " ", f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}

# Programs that write formulas leave their values to those that show them. An empty text is one.
_NO_VALUE = re.compile(rb'<c(?![^>]*t="str")[^>]*><f[^>]*(/>|>[^<]*</f>)[</v >]*</c>')
_MERGED = re.compile(rb"<mergeCell |covered-table-cell")

_Rows = Iterator[tuple[str, int, list[Any]]]


def _sheets(path: Path, data: bytes) -> Iterable[tuple[str, Iterator[Record]]]:
    """Return the name and the rows of each sheet of an .xlsx or .ods file."""
    try:
        with _open_zip(path) as archive:
            # A spreadsheet takes many times its length, as every table does.
            _check_bytes(sum(m.file_size for m in archive.infolist()), _max_bytes() // 32)
            names = archive.namelist()
            if "xl/workbook.xml" in names:
                found = _collected(_xlsx(data))
            elif "content.xml" in names:
                found = _collected(_ods(archive.open("content.xml")))
            else:
                raise _TableError(f"is a zip archive, and neither .xlsx nor .ods: {_AS_CSV}.")
            _warn_of_blanks(path, archive)
    except _TableError:
        raise
    except Exception as failure:  # damage shows anywhere in the libraries
        reason = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
        raise _TableError(f"cannot be read as a spreadsheet ({reason}): {_AS_CSV}.") from failure
    return [(name, iter(rows)) for name, rows in found.items()]


def _collected(rows: _Rows) -> dict[str, list[Record]]:
    """Return the rows of each sheet that are not blank, as text."""
    found: dict[str, list[Record]] = {}
    n_cells = 0
    for sheet, number, values in rows:
        n_cells += len(values)
        if number > _MAX_ROWS or n_cells > _MAX_CELLS:
            raise _TableError(
                f"has more than {_MAX_ROWS:,} rows or {_MAX_CELLS:,} cells: {_AS_CSV}."
            )
        cells = [_text(value) for value in values]
        if any(map(str.strip, cells)):
            found.setdefault(sheet, []).append((f"row {number}", cells))
    return found


def _warn_of_blanks(path: Path, archive: ZipFile) -> None:
    """Warn of cells that look filled in, and are read as blank."""
    sheets = filter(re.compile(r"content\.xml|xl/worksheets/.*\.xml").fullmatch, archive.namelist())
    xml = b"".join(map(archive.read, sheets))
    for mark, what in (
        (_MERGED, "merged cells, of which only the first has a value: part them"),
        (_NO_VALUE, "formulas without values: open it in a spreadsheet, and save it"),
    ):
        if mark.search(xml):
            warnings.warn(f"{path} has {what}.", UserWarning, stacklevel=6)


def _text(value: Any) -> str:
    """Write a cell as a spreadsheet does: whole numbers without a point, TRUE in capitals."""
    if isinstance(value, bool):
        return str(value).upper()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else _cell(value)


def _xlsx(data: bytes) -> _Rows:
    """Give the sheet, the number and the cells of each row of an Excel workbook."""
    if not is_installed("openpyxl"):
        raise _TableError(
            f"is an Excel workbook: {_AS_CSV}, or run `pip install 'fewlabel[tables]'` to read it."
        )
    openpyxl = require("openpyxl", "An Excel workbook")
    with warnings.catch_warnings():
        # They are of styles and extensions.
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            # Some programs write the size of the sheet wrongly.
            sheet.reset_dimensions()
            for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
                yield sheet.title, number, list(values)


def _ods(stream: IO[bytes]) -> _Rows:
    """Give the sheet, the number and the cells of each row of an OpenDocument spreadsheet."""
    # The package that reads these takes forty times their length.
    sheet, number = "", 1
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):
        if event == "start" and element.tag == f"{_TABLE}table":
            sheet, number = element.get(f"{_TABLE}name", ""), 1
        elif event == "end" and element.tag == f"{_TABLE}table-row":
            values = list(islice(_ods_cells(element), _MAX_CELLS + 1))
            repeats = int(element.get(f"{_TABLE}number-rows-repeated", 1))
            # The last first: it may be too far down.
            for more in reversed(range(repeats if values else 0)):
                yield sheet, number + more, values
            number += repeats
            element.clear()


def _ods_cells(row: ElementTree.Element) -> Iterator[Any]:
    """Give the cells of a row without the blank ones at its end, which are often a thousand."""
    blanks = 0
    for cell in row:
        repeats = int(cell.get(f"{_TABLE}number-columns-repeated", 1))
        value = _ods_value(cell)
        if value == "":
            blanks += repeats
            continue
        for item, times in (("", blanks), (value, repeats)):
            for _ in range(times):
                yield item
        blanks = 0


def _ods_value(cell: ElementTree.Element) -> str | float | bool:
    kind = cell.get(f"{_OFFICE}value-type")
    if kind == "boolean":
        return cell.get(f"{_OFFICE}boolean-value") == "true"
    if kind in ("float", "percentage", "currency"):
        return float(cell.get(f"{_OFFICE}value", "nan"))
    # Several blanks, tabs and line ends are elements.
    for tag, blank in _BLANKS.items():
        for element in cell.iter(tag):
            element.text = blank * min(int(element.get(f"{_TEXT}c", 1)), _MAX_ROWS)
    return "\n".join("".join(part.itertext()) for part in cell.findall(f"{_TEXT}p"))
