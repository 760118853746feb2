"""Labels as texts: a class, or several such as ``a|b``; codes, or 1, 0 and -1, in arrays."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np

from fewlabel.data.label_names import _label_name, _look
from fewlabel.errors import DataError, LabelError

BAR = "|"
"""Stands between labels; alone, it says that an image has none of them."""

UNKNOWN = "?"
"""Before a label: not known. Alone: nothing is known of the labels that are not named."""


def _label_texts(y: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Write a table of labels (n, K) as texts; ``""`` where nothing is known.

    >>> _label_texts(np.array([[1, 0], [1, -1], [0, 0], [-1, -1]]), ["cat", "dog"])
    ['cat', 'cat|?dog', '|', '']
    """
    texts = []
    for row in np.asarray(y).astype(np.int8):
        if (row < 0).all():
            texts.append("")
            continue
        parts = [str(classes[i]) for i in np.flatnonzero(row == 1).tolist()]
        unknown = [f"{UNKNOWN}{classes[i]}" for i in np.flatnonzero(row < 0).tolist()]
        # Short where nothing else is known; a zero must be written out.
        if len(unknown) > 1 and not (row == 0).any():
            unknown = [UNKNOWN]
        if not parts:
            # Nothing stands before the bar, so that "?dog" is not taken for a class.
            parts = [""] if unknown else ["", ""]
        texts.append(BAR.join([*parts, *unknown]))
    return texts


def _names_text(names: tuple[str, ...]) -> str:
    """Return the names of labels as a text with at least one bar.

    >>> _names_text(("cat", "dog")), _names_text(("cat",)), _names_text(("?cat",)), _names_text(())
    ('cat|dog', 'cat|', '|?cat', '|')
    """
    if not names or names[0].startswith(UNKNOWN):
        names = ("", *names)
    return BAR.join(names) if len(names) > 1 else f"{names[0]}{BAR}"


def _barred_texts(texts: list[str]) -> list[str]:
    """Return texts of which at least one has a bar, as a table of several labels needs."""
    if any(BAR in text for text in texts):
        return texts
    return [f"{text}{BAR}" if text else "" for text in texts]


def _check_label_names(names: Sequence[str], source: str) -> None:
    """Raise if a text with bars could not hold the names of labels."""
    seen: set[str] = set()
    for name in names:
        if not name.strip() or name != name.strip() or BAR in name or name.startswith(UNKNOWN):
            raise DataError(
                f"{source} has a label called {name!r}: give it a name without a bar, without a "
                "question mark in front, and without blanks around it."
            )
        if name in seen:
            raise DataError(f"{source} has two labels called {name!r}: give each its own name.")
        seen.add(name)


def _label_table(
    texts: Sequence[str], where: Sequence[str], classes: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels (n, K), int8, and the classes that texts such as ``a|b`` stand for."""
    parsed = [_parts(text, place) for text, place in zip(texts, where, strict=True)]
    if classes is None:
        classes = sorted({name for present, unknown, _ in parsed for name in present | unknown})
    position = _positions(classes)
    y = np.zeros((len(parsed), len(classes)), dtype=np.int8)
    # What a row does not name is absent, unless a "?" says that nothing is known of the others.
    for row, (text, (present, unknown, others)) in enumerate(zip(texts, parsed, strict=True)):
        if not text or others:
            y[row] = -1
        for names, value in ((unknown, -1), (present, 1)):
            for name in names:
                if name not in position:
                    raise LabelError(_unknown_label(name, where[row], classes))
                y[row, position[name]] = value
    return y, tuple(classes)


def _class_codes(
    texts: Sequence[str], where: Sequence[str], classes: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the codes (n,), int64, and the classes of texts that name one class each."""
    known = tuple(sorted(set(texts) - {""})) if classes is None else tuple(classes)
    position = _positions(known) | {"": -1}
    for text, place in zip(texts, where, strict=True):
        if text not in position:
            raise LabelError(_unknown_label(text, place, known))
    return np.array([position[text] for text in texts], dtype=np.int64), known


def _positions(classes: Sequence[str]) -> dict[str, int]:
    """Return the position of each class, found under its composed spelling as well."""
    exact = {name: i for i, name in enumerate(classes)}
    return {_label_name(name): i for name, i in exact.items()} | exact


def _unknown_label(label: str, where: str, classes: Sequence[str]) -> str:
    """Return the message for a label that a model does not know."""
    alike = [name for name in classes if _look(name) == _look(label)]
    close = alike or difflib.get_close_matches(label, classes, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "."
    return f"{where}: the label {label!r} is not among the classes {_listed_names(classes)}{hint}"


def _listed_names(names: Sequence[str], limit: int = 10) -> str:
    """Return names in quotes, and how many there are if some are left out."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown + (f", … ({len(names)} in all)" if len(names) > limit else "")


def _parts(text: str, where: str) -> tuple[set[str], set[str], bool]:
    """Give the labels that are present, those not known, and whether no other one is known."""
    parts = [part.strip() for part in text.split(BAR)]
    unknown = {part.removeprefix(UNKNOWN).strip() for part in parts if part.startswith(UNKNOWN)}
    present = {part for part in parts if part and not part.startswith(UNKNOWN)}
    both = sorted(present & unknown)
    if both:
        raise LabelError(
            f"{where}: {both[0]!r} is marked as present and as not known ({text!r}): keep one of "
            "the two."
        )
    return present, unknown - {""}, "" in unknown
