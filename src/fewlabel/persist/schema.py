"""What a saved model may say: checked whole before anything is built from it.

A part declares its fields in the manifest by the constraints of `fewlabel.params` and those that
are made here, and its arrays by the names of their dimensions. What does not fit is refused by
its name, so that a forged model ends in one line and not in a network of 2^31 pixels.
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.errors import ModelFormatError, _damaged

Fields = Mapping[str, Sequence[Any]]
"""Constraints of each field, of which one must be met: None, one with ``is_satisfied_by``, or
the fields of an object. A name that ends in ``?`` may be missing."""

MAX_SIDE = 1_024
"""Longest side, in pixels, of what a saved model reads images at."""

MAX_COUNT = 1 << 24
"""Largest number of classes, features or neighbors that a saved model may speak of."""

_PLAIN = (str, bool, int, float)
_MAX_OPTION = 1 << 16
_MAX_WORD = 200
_LAYERS = frozenset({"blocks", "depth", "depths", "layers", "num_blocks", "num_layers", "widths"})


@dataclass(frozen=True)
class Kind:
    """A constraint: values of some types, as JSON knows them."""

    words: str
    types: tuple[type, ...]

    def is_satisfied_by(self, value: Any) -> bool:
        """Return whether a value is of these types; text must be such that it can be printed."""
        if isinstance(value, str):
            # JSON holds halves of characters, which no file and no terminal takes.
            return str in self.types and not any("\ud800" <= c <= "\udfff" for c in value)
        return type(value) in self.types

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Listed:
    """A constraint: a list with so many entries, all of which meet a constraint."""

    constraint: Any
    least: int = 1
    most: int = MAX_COUNT
    distinct: bool = False

    def is_satisfied_by(self, value: Any) -> bool:
        """Return whether a value is such a list."""
        return (
            isinstance(value, list | tuple)
            and self.least <= len(value) <= self.most
            and all(self.constraint.is_satisfied_by(entry) for entry in value)
            and (not self.distinct or len(set(value)) == len(value))
        )

    def __str__(self) -> str:
        few = f"{self.least}" if self.least == self.most else f"at least {self.least}"
        different = "different " if self.distinct else ""
        return f"a list of {few} {different}entries, each {self.constraint}"


@dataclass(frozen=True)
class Among:
    """A constraint: one of some whole numbers."""

    values: Collection[int]

    def is_satisfied_by(self, value: Any) -> bool:
        """Return whether a value is one of them."""
        return type(value) is int and value in self.values

    def __str__(self) -> str:
        return f"one of {self.values}"


class _Name(Kind):
    """Text that is not blank."""

    def is_satisfied_by(self, value: Any) -> bool:
        return super().is_satisfied_by(value) and bool(value.strip())


class _Word(Kind):
    """A name of something in the program, short enough to be shown."""

    def is_satisfied_by(self, value: Any) -> bool:
        return super().is_satisfied_by(value) and 0 < len(value) <= _MAX_WORD


class _Options(Kind):
    """Settings of an architecture: plain values and short lists of them, all of modest size."""

    def is_satisfied_by(self, value: Any) -> bool:
        if not isinstance(value, dict) or len(value) > 100:
            return False
        found = [v for entry in value.values() for v in _entries(entry)]
        return len(found) <= 1_000 and all(
            v is None or (isinstance(v, _PLAIN) and (isinstance(v, str) or abs(v) <= _MAX_OPTION))
            for v in found
        )


TEXT = Kind("text", (str,))
NAME = _Name("text that is not blank", (str,))
WORD = _Word("a short name", (str,))
FLAG = Kind("true or false", (bool,))
PLAIN = Kind("text, a number, true or false", _PLAIN)
OBJECT = Kind("an object", (dict,))
OPTIONS = _Options("an object of plain settings", (dict,))


def check_fields(value: Any, fields: Fields, where: str) -> None:
    """Raise if an object of a manifest is not what its part declares.

    Parameters
    ----------
    value : object
        From the manifest.
    fields : mapping of str to sequence
        Constraints of each field.
    where : str
        Name of the object, for the message.

    Raises
    ------
    ModelFormatError
        If it is no object, lacks a field, or a field has another type or is out of range.
    """
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    for key, rules in fields.items():
        name = key.removesuffix("?")
        if name not in value:
            if key.endswith("?"):
                continue
            raise _damaged(f"The saved model lacks {where}.{name}")
        found, inner = value[name], [rule for rule in rules if isinstance(rule, Mapping)]
        if inner and not (found is None and None in rules):
            check_fields(found, inner[0], f"{where}.{name}")
        elif not inner and not any(_fits(rule, found) for rule in rules):
            raise _wrong(f"{where}.{name}", " or ".join(map(str, rules)), found)


def check_arrays(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, str],
    where: str,
    known: Mapping[str, int] | None = None,
    *,
    positive: Collection[str] = (),
) -> dict[str, int]:
    """Raise if the arrays of a part are not what it declares.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of the part.
    shapes : mapping of str to str
        Dimensions of each, such as ``"d k"``; those of one name are of one size.
    where : str
        Name of the part, for the message.
    known : mapping of str to int, optional
        Sizes of dimensions that are known already.
    positive : collection of str
        Arrays whose numbers are all above 0.

    Returns
    -------
    dict of str to int
        Size of every dimension.

    Raises
    ------
    ModelFormatError
        If one is missing, of another shape, or holds no finite numbers.
    """
    sizes = dict(known or {})
    for name, dimensions in shapes.items():
        at, array, named = f"{where}.{name}", arrays.get(name), dimensions.split()
        if array is None:
            raise _damaged(f"The saved model lacks the array {at}")
        expected = tuple(sizes.get(dimension, dimension) for dimension in named)
        fits = array.ndim == len(named) and array.size > 0 and array.dtype.kind == "f"
        sizes = dict(zip(named, array.shape, strict=False)) | sizes
        if not fits or tuple(sizes[dimension] for dimension in named) != array.shape:
            found = f"{array.dtype} of shape {array.shape}"
            raise _wrong(f"array {at}", f"floats of shape {expected}", found)
        check_finite({name: array}, where)
        if name in positive and array.min() <= 0:
            raise _wrong(f"array {at}", "above 0", float(array.min()))
    return sizes


def check_finite(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Raise if an array of floats holds NaN or infinity.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of a part.
    where : str
        Name of the part, for the message.

    Raises
    ------
    ModelFormatError
        With the name of the array.
    """
    for name, array in arrays.items():
        # Both ends are NaN where any number is: no table of booleans is made.
        if array.dtype.kind == "f" and array.size:
            ends = float(array.min()), float(array.max())
            if not np.isfinite(ends).all():
                raise _wrong(f"array {where}.{name}", "finite numbers", ends)


def check_layers(options: Mapping[str, Any], n_arrays: int, where: str) -> None:
    """Raise if settings ask for more layers than there are arrays to fill them.

    Parameters
    ----------
    options : mapping
        Settings of an architecture.
    n_arrays : int
        Arrays that were saved for it.
    where : str
        Name of the part, for the message.

    Raises
    ------
    ModelFormatError
        With the name of the setting.
    """
    for name, value in options.items():
        n_layers = sum(1 if name == "widths" else n for n in _entries(value) if type(n) is int)
        if name in _LAYERS and n_layers > n_arrays:
            raise _wrong(f"{where}.{name}", f"at most {n_arrays} layers, as saved", value)


def _entries(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _fits(rule: Any, value: Any) -> bool:
    return value is None if rule is None else bool(rule.is_satisfied_by(value))


def _wrong(what: str, expected: str, found: Any) -> ModelFormatError:
    """Return the error of a value that is not what it must be."""
    shown = found if isinstance(found, str) else reprlib.repr(found)
    return _damaged(f"The saved {what} must be {expected}, and is {shown[:80]}")
