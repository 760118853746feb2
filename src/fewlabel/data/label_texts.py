"""Labels as texts, a class, or several such as ``a|b``, each in one spelling; and as arrays."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fewlabel.data.label_names import _label_name, _listed, _look, _warn_of_look_alikes
from fewlabel.data.missing import (
    _known_labels,
    _unlabeled_words,
    _warn_of_labels,
    _warn_of_one_class,
)
from fewlabel.errors import DataError, LabelError

_WHOLE = re.compile(r"[+-]?\d+([.,]0*)?")

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


def _names_in(text: str) -> tuple[str, ...]:
    """Return the names in a text with bars, in order; the inverse of `_names_text`.

    >>> _names_in("dog|cat"), _names_in("?cat|dog"), _names_in("|")
    (('cat', 'dog'), ('dog', '?cat'), ())
    """
    return _in_order(part.strip() for part in text.split(BAR) if part.strip())


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return labels in one order, each once: those that are not known behind the others.

    >>> _in_order(["dog", "?bird", "cat", "dog"])
    ('cat', 'dog', '?bird')
    """
    found = set(names)
    # What is present is not unknown: so it may come out where two classes are merged.
    known = {name for name in found if name[:1] != UNKNOWN or name[1:] not in found}
    return tuple(sorted(known, key=lambda name: (name.startswith(UNKNOWN), name)))


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


def _label_cells(
    texts: Sequence[str], source: str, classes: Sequence[str] | None = None
) -> list[str]:
    """Return labels of a table, folders or an array, each class in one spelling; "" unlabeled."""
    names = {text: BAR.join(map(_label_name, text.split(BAR))) for text in set(texts)}
    mark = UNKNOWN if any(BAR in name for name in names.values()) else ""
    counts: Counter[str] = Counter()
    for text, n in Counter(texts).items():
        for part in names[text].split(BAR):
            counts[part.removeprefix(mark).strip()] += n
    known = {_label_name(name) for name in classes or ()}
    replaced = dict.fromkeys(_unlabeled_words(counts, source, known), "")
    if classes is None:
        kept = {name: n for name, n in counts.items() if name not in replaced}
        replaced |= _whole_numbers(kept, source)
        _warn_of_look_alikes({n: kept[n] for n in kept if n not in replaced}, source)
    final = {text: _replace(name, replaced) for text, name in names.items()}
    return [final[text] for text in texts]


def _whole_numbers(counts: Mapping[str, int], source: str) -> dict[str, str]:
    """Return what to replace where all are whole numbers, and some also stand as fractions."""
    if not all(_WHOLE.fullmatch(name) for name in counts):
        return {}
    spellings = defaultdict(list)
    for name in sorted(counts, key=len):
        spellings[re.sub("[.,]0*$", "", name)].append(name)
    found = {name: same[0] for same in spellings.values() for name in same[1:]}
    if found:
        pairs = [f"{a!r} ({counts[a]:,}) as {b!r} ({counts[b]:,})" for a, b in found.items()]
        _warn_of_labels(f"{source}: numbers written in two ways are one class: {_listed(pairs)}.")
    return found


def _replace(text: str, names: Mapping[str, str]) -> str:
    """Return a text with other names; blank if none of several is left."""
    if BAR not in text:
        return names.get(text, text)
    new = []
    for part in text.split(BAR):
        name = part.removeprefix(UNKNOWN).strip()
        kept = names.get(name, name)
        new.append(part.replace(name, kept) if kept or not name else "")
    # A bar alone says that there is none; where nothing is left, nothing was said.
    return BAR.join(new) if any(new) or not text.strip(BAR) else ""


def _truth_of(
    y: Any, classes: Sequence[str] | None, n: int, source: str
) -> tuple[list[str], list[str] | None]:
    """Return the labels of n images as texts, and the names of a table's columns."""
    values, known = _known_labels(y)
    names = None if classes is None else [_name(c) for c in classes]
    is_column = known.ndim == 2 and known.shape[1] == 1
    # One column is one label an image, unless it has a name of its own.
    if is_column and not (names is not None and len(names) == 1):
        known = known[:, 0]
    if known.ndim == 2:
        columns = [str(i) for i in range(known.shape[1])] if names is None else names
        cells = _several_texts(values, known, columns, n, source)
        if names is None:
            _warn_of_one_hot(np.asarray(y), source)
        return cells, columns
    if known.shape != (n,):
        raise DataError(f"The y of {source} must have shape ({n},). Got {known.shape}.")
    texts = np.full(n, "", dtype=object)
    texts[known] = found = _texts(values, source)
    if set(found) == {"1"}:
        _warn_of_one_class(y, values, known, source)
    return texts.tolist(), None


def _warn_of_one_hot(y: np.ndarray, source: str) -> None:
    """Warn of a table that looks like one class an image, and has no names that say otherwise."""
    if y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        _warn_of_labels(
            f"The y of {source} is read as several labels an image, and each image has exactly "
            "one: if it is one-hot, give y.argmax(axis=1) instead."
        )


def _texts(values: np.ndarray, source: str) -> list[str]:
    # pandas makes floats of whole numbers where one is missing.
    if values.dtype.kind == "f":
        bad = values[~np.isfinite(values) | (values != np.rint(values))]
        if len(bad):
            raise DataError(
                f"The y of {source} must hold classes. Got fractions such as {bad[0]:g} instead."
            )
        values = values.astype(np.int64)
    listed = next((v for v in values.tolist() if isinstance(v, list | tuple | dict | set)), None)
    if listed is not None:
        raise DataError(
            f"The y of {source} must hold one label an image, or be a table of 1, 0 and -1. "
            f"Got {str(listed)[:80]} instead."
        )
    return [str(value).strip() for value in values.tolist()]


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _several_texts(
    values: np.ndarray, known: np.ndarray, names: Sequence[str], n: int, source: str
) -> list[str]:
    _check_label_names(names, source)
    numbers = values.dtype.kind in "buif" and np.isin(values, (0, 1)).all()
    if known.shape != (n, len(names)) or not numbers:
        raise DataError(
            f"The y of {source} must have shape ({n},), or ({n}, K) with 1, 0 and -1 and a name in "
            f"classes for each of the K labels. Got {known.shape} of {values.dtype} and "
            f"{len(names)} names."
        )
    table = np.full(known.shape, -1, dtype=np.int8)
    table[known] = values
    return _barred_texts(_label_texts(table, names))
