"""Cells that a spreadsheet would run as a formula: guarded when written, and read back."""

from __future__ import annotations

import re

# What Excel, LibreOffice and Google take for the beginning of a formula, in both widths; behind
# apostrophes too, so that a text that looks guarded is told from one that is.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def guarded(cell: str) -> str:
    """Return a cell with an apostrophe before what a spreadsheet would run.

    Parameters
    ----------
    cell : str
        Any text; a number stays as it is.

    Returns
    -------
    str
        Text that a spreadsheet shows.

    Examples
    --------
    >>> [guarded(cell) for cell in ("cat", "-1.5", "-", "=1+1", "'=1+1")]
    ['cat', '-1.5', "'-", "'=1+1", "''=1+1"]
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unguarded(cell: str) -> str:
    """Return a cell without the apostrophe that `guarded` puts before it.

    Parameters
    ----------
    cell : str
        A cell of a CSV table, whoever wrote it.

    Returns
    -------
    str
        What was guarded; any other text as it is.

    Examples
    --------
    >>> [unguarded(cell) for cell in ("cat", "-1.5", "'-", "''=1+1", "'s Gravenhage")]
    ['cat', '-1.5', '-', "'=1+1", "'s Gravenhage"]
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
