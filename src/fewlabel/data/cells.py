"""Cells that a spreadsheet would run as a formula: guarded when written, and read back."""

from __future__ import annotations

import re

# What Excel, LibreOffice and Google take for the beginning of a formula, in both widths; behind
# apostrophes too, so that a text that looks guarded is told from one that is.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def _guarded(cell: str) -> str:
    """Return a cell with an apostrophe before what a spreadsheet would run; numbers stay."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _unguarded(cell: str) -> str:
    """Return a cell without the apostrophe that `_guarded` puts before it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
