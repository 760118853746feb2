"""What a saved model may say: checked whole before anything is built from it.

A part declares its fields in the manifest by the constraints of `fewlabel.params` and those that
are made here, and its arrays by the names of their dimensions. What does not fit is refused by
its name, so that a forged model ends in one line and not in a network of 2^31 pixels.
"""

import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from fewlabel.errors import ModelFormatError, _damaged

_Fields = Mapping[str, Sequence[Any]]
"""Constraints of each field, of which one must be met: None, one with ``is_satisfied_by``, or
the fields of an object. A name that ends in ``?`` may be missing."""

State: TypeAlias = tuple[dict[str, np.ndarray], dict[str, Any]]
"""Arrays and JSON types by name: what `fewlabel.persist.save_bundle` takes."""

_MAX_COUNT = 1 << 24
"""Largest number of classes, features or neighbors that a saved model may speak of."""

_MAX_OPTION = 1 << 16
_MAX_WORD = 200
_SCALARS = (str, bool, int, float)
_LAYERS = frozenset({"blocks", "depth", "depths", "layers", "num_blocks", "num_layers", "widths"})


class Saved:
    """What can be saved once it is fitted, and does the same when it is rebuilt."""

    def to_state(self) -> State:
        """Return what `from_state` needs.

        Returns
        -------
        arrays : dict of str to ndarray
            What was learned.
        meta : dict
            Settings and descriptions, for JSON.
        """
        raise NotImplementedError

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Self:
        """Rebuild what was saved.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        Saved
            The same, fitted.

        Raises
        ------
        ModelFormatError
            If something is missing or does not fit together.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class _Rule:
    """A constraint, as those of `fewlabel.params` are."""

    words: str
    is_satisfied_by: Callable[[Any], bool]

    def __str__(self) -> str:
        return self.words


def _is_text(value: Any) -> bool:
    # JSON holds halves of characters, which no file and no terminal takes.
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _are_options(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) > 100:
        return False
    found = [v for entry in value.values() for v in _entries(entry)]
    return len(found) <= 1_000 and all(
        v is None or (isinstance(v, _SCALARS) and (isinstance(v, str) or abs(v) <= _MAX_OPTION))
        for v in found
    )


_TEXT = _Rule("text", _is_text)
_NAME = _Rule("text that is not blank", lambda value: _is_text(value) and bool(value.strip()))
_WORD = _Rule("a short name", lambda value: _is_text(value) and 0 < len(value) <= _MAX_WORD)
_FLAG = _Rule("true or false", lambda value: type(value) is bool)
_PLAIN = _Rule("text, a number, true or false", lambda value: type(value) in _SCALARS)
_OBJECT = _Rule("an object", lambda value: isinstance(value, dict))
_OPTIONS = _Rule("an object of plain settings", _are_options)


def _among(values: Collection[int]) -> _Rule:
    """Accept some whole numbers."""
    return _Rule(f"one of {values}", lambda value: type(value) is int and value in values)


def _listed(rule: Any, least: int = 1, most: int = _MAX_COUNT, *, distinct: bool = False) -> _Rule:
    """Accept lists with so many entries, all of which meet a constraint."""
    few = f"{least}" if least == most else f"at least {least}"
    return _Rule(
        f"a list of {few} {'different ' if distinct else ''}entries, each {rule}",
        lambda value: (
            isinstance(value, list | tuple)
            and least <= len(value) <= most
            and all(map(rule.is_satisfied_by, value))
            and (not distinct or len(set(value)) == len(value))
        ),
    )


def _check_fields(value: Any, fields: _Fields, where: str) -> None:
    """Raise if an object of a manifest lacks a field, or one is of another type or range."""
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
            _check_fields(found, inner[0], f"{where}.{name}")
        elif not inner and not any(_fits(rule, found) for rule in rules):
            raise _wrong(f"{where}.{name}", " or ".join(map(str, rules)), found)


def _check_arrays(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, str],
    where: str,
    known: Mapping[str, int] | None = None,
    *,
    positive: Collection[str] = (),
) -> dict[str, int]:
    """Return the size of each named dimension; raise if finite arrays are missing or do not fit."""
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
        _check_finite({name: array}, where)
        if name in positive and array.min() <= 0:
            raise _wrong(f"array {at}", "above 0", float(array.min()))
    return sizes


def _check_finite(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Raise if an array of floats holds NaN or infinity."""
    for name, array in arrays.items():
        # Both ends are NaN where any number is: no table of booleans is made.
        if array.dtype.kind == "f" and array.size:
            ends = float(array.min()), float(array.max())
            if not np.isfinite(ends).all():
                raise _wrong(f"array {where}.{name}", "finite numbers", ends)


def _check_layers(options: Mapping[str, Any], n_arrays: int, where: str) -> None:
    """Raise if settings ask for more layers than there are arrays to fill them."""
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
