"""Which columns of a table hold the images and the labels, and what their cells mean.

Cells that a spreadsheet would run as a formula are guarded when written, and read back.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from fewlabel.data.label_names import _label_name
from fewlabel.data.label_texts import BAR

# What Excel, LibreOffice and Google take for the beginning of a formula, in both widths; behind
# apostrophes too, so that a text that looks guarded is told from one that is.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)

ROLES = ("path", "index", "label", "purpose", "group")
"""What a column may hold; that is its name, or one of the synonyms."""

_SYNONYMS = {
    "path": ("file", "filename", "filepath", "image", "imagepath", "imagefile", "imagename", "img"),
    "label": ("labels", "class", "category", "target", "choice", "choices"),
}
# Label Studio gives the column of labels the name that the project has for it.
_LABEL_STUDIO = frozenset(
    ("id", "annotator", "annotationid", "createdat", "updatedat", "leadtime", "agreement")
)
# Halves of characters, which no file can hold, and NUL, which no name can.
_NO_TEXT = re.compile("[\ud800-\udfff\0]")
# Lists, tuples, sets, dicts and arrays of numpy.
_PYTHON_LIST = re.compile(r"\s*[\[({]\s*'.*[\])}]\s*", re.DOTALL)

Record = tuple[str, list[str]]
"""Where a record stands in its table, and its cells."""


class _TableError(ValueError):
    """What is wrong with a table, behind its name; `_read_table` makes an error of it."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f", {place}: {reason}" if place else f" {reason}")


def _candidates(header: Sequence[str]) -> dict[str, list[int]]:
    """Return which columns may hold what: those of that very name, then the synonyms."""
    names = [_label_name(name).lower() for name in header]
    plain = [re.sub(r"[\s_-]", "", name) for name in names]
    found = {
        role: [i for i, name in enumerate(names) if name == role]
        + [i for i, name in enumerate(plain) if name in _SYNONYMS.get(role, ())]
        for role in ROLES
    }
    if "annotationid" in plain and not found["label"]:
        taken = {"", *_LABEL_STUDIO, *(plain[i] for i in found["path"])}
        found["label"] = [i for i, name in enumerate(plain) if name not in taken]
    return {role: columns for role, columns in found.items() if columns}


def _columns(
    header: Sequence[str], roles: Iterable[str], place: str
) -> tuple[dict[str, int], list[str]]:
    """Return the column of each role that the header has, and which of them were guessed."""
    found = {role: columns for role, columns in _candidates(header).items() if role in roles}
    guessed = []
    for role, columns in found.items():
        # Two are enough to show.
        names = [_label_name(header[i]) for i in columns[:2]]
        n_exact = sum(name.lower() == role for name in names)
        if n_exact == 2:
            raise _TableError(f"the column `{role}` stands twice.", place)
        if len(names) == 2 and not n_exact:
            listed = " and ".join(f"`{name}`" for name in names)
            raise _TableError(f"{listed} may each be the {role}: call one of them `{role}`.", place)
        if len(names) > n_exact:
            other = f", not `{names[1]}`," if n_exact else ""
            guessed.append(f"`{names[0]}`{other} as the {role}")
    return {role: columns[0] for role, columns in found.items()}, guessed


def _cell(value: Any) -> str:
    """Return a value of JSON or of a spreadsheet as a CSV table would hold it."""
    if value is None or value != value:
        return ""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    if _NO_TEXT.search(text := str(value)):
        raise _TableError(f"holds {text!r}, which is no text: write the file anew.")
    return text


def _label(text: str, place: str) -> str:
    """Return the label of a cell; several in a JSON list get bars between them."""
    if text.lstrip()[:1] not in ("[", "{", "("):
        return text
    try:
        names = _choices(json.loads(text))
    except (ValueError, RecursionError):
        if _PYTHON_LIST.fullmatch(text):
            reason = f"{text!r} is a list as Python prints it: write a{BAR}b or a JSON list."
            raise _TableError(reason, place) from None
        return text
    # A list of nothing says that there is none; one of nulls, that nothing was said.
    return _joined(names, place) or ("" if names else BAR)


def _choices(value: Any) -> list[Any]:
    """Flatten lists, and Label Studio's ``{"choices": [...]}``."""
    if isinstance(value, dict) and "choices" in value:
        value = value["choices"]
    return [name for part in value for name in _choices(part)] if type(value) is list else [value]


def _joined(names: Iterable[Any], place: str) -> str:
    """Write several labels with bars between them; one is itself."""
    names = list(dict.fromkeys(filter(None, map(_cell, names))))
    for name in names:
        if BAR in name or name[:1] in ("[", "{"):
            raise _TableError(f"{name!r} is no label: give texts without a bar.", place)
    return BAR.join(names)


def _guarded(cell: str) -> str:
    """Return a cell with an apostrophe before what a spreadsheet would run; numbers stay."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _unguarded(cell: str) -> str:
    """Return a cell without the apostrophe that `_guarded` puts before it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
