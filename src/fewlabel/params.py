"""One declarative check of parameters, for estimators and functions alike.

scikit-learn's constraints, with fewlabel's error. An estimator says what it takes in
``_parameter_constraints`` and calls `check_parameters` when ``fit`` starts; a function calls
`_check_arguments`. A list of constraints is met by whoever meets one of them: beside those that
are made here, None, a type, ``callable``, ``"array-like"``, ``"boolean"`` and
``"random_state"``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

# The module is private, its classes are what third-party estimators use for the same purpose.
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

from fewlabel.errors import UsageError

MAX_SIDE = 4_096
"""Longest side, in pixels, that images are read at, and that a saved model may ask for."""

Constraints = Mapping[str, Sequence[Any]]


class _Number(Interval):
    """An interval that refuses True and False, and names its bounds in words."""

    def is_satisfied_by(self, val: Any) -> bool:
        return not isinstance(val, bool) and super().is_satisfied_by(val)

    def __str__(self) -> str:
        if self.type is Integral:
            at_least = f"an int of at least {self.left}"
            return at_least if self.right is None else f"an int from {self.left} to {self.right}"
        if self.right == math.inf:
            return f"a number {'of at least' if self.closed == 'left' else 'above'} {self.left}"
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        return f"a float in {left}{self.left}, {self.right}{right}"


class _Choice(StrOptions):
    def __str__(self) -> str:
        return f"one of {', '.join(self.options)}"


class _Each(Options):
    """A list or tuple of at least one value, each of which meets a constraint."""

    def __init__(self, constraint: Any) -> None:
        super().__init__(object, set())
        self.constraint = constraint

    def is_satisfied_by(self, val: Any) -> bool:
        fine = self.constraint.is_satisfied_by
        return isinstance(val, list | tuple) and len(val) > 0 and all(map(fine, val))

    def __str__(self) -> str:
        return f"a list, each entry {self.constraint}"


def integer(low: int, high: int | None = None) -> Interval:
    """Accept ints from ``low``, to ``high`` where one is given.

    Parameters
    ----------
    low, high : int
        Bounds, both allowed.

    Returns
    -------
    Interval
        Constraint.
    """
    return _Number(Integral, low, high, closed="left" if high is None else "both")


def number(low: float, high: float = math.inf, *, closed: str = "left") -> Interval:
    """Accept finite numbers in an interval, ints among them.

    Parameters
    ----------
    low, high : float
        Bounds.
    closed : {"left", "right", "both", "neither"}
        Which of the bounds are allowed themselves.

    Returns
    -------
    Interval
        Constraint.
    """
    # Real and not float: numpy's floats and ints are welcome, and NaN lies in no interval.
    return _Number(Real, low, high, closed=closed)


def choice(names: Iterable[str]) -> StrOptions:
    """Accept some strings.

    Parameters
    ----------
    names : iterable of str
        Strings, in the order in which the message lists them.

    Returns
    -------
    StrOptions
        Constraint.
    """
    # The keys of a dict are a set that keeps its order.
    return _Choice(dict.fromkeys(names).keys())


def each(constraint: Any) -> Options:
    """Accept lists and tuples whose entries all meet a constraint.

    Parameters
    ----------
    constraint : Interval or StrOptions
        What each entry must meet.

    Returns
    -------
    Options
        Constraint.
    """
    return _Each(constraint)


def _check_arguments(owner: str, constraints: Constraints, **values: Any) -> None:
    """Raise if an argument of a function or class meets none of its constraints."""
    try:
        validate_parameter_constraints(constraints, values, owner)
    except InvalidParameterError as error:
        # scikit-learn's class is private: callers must not have to catch it.
        raise UsageError(str(error)) from None


def check_parameters(estimator: Any, **more: Sequence[Any]) -> None:
    """Raise if a parameter of an estimator meets none of its constraints.

    Parameters
    ----------
    estimator : object
        Whoever has ``_parameter_constraints`` and attributes of those names.
    **more
        Constraints that only the data decide, such as a number of rows.

    Raises
    ------
    UsageError
        "The 'x' parameter of Y must be … Got … instead."

    Examples
    --------
    >>> class Example:
    ...     _parameter_constraints = {"power": [number(0, 1, closed="both"), None]}
    ...     power = 2
    >>> check_parameters(Example())
    Traceback (most recent call last):
    fewlabel.errors.UsageError: The 'power' parameter of Example must be a float in [0, 1] or ...
    """
    # What the data decide comes last: it replaces the bounds that hold for any data.
    constraints = {**estimator._parameter_constraints, **more}
    values = {name: getattr(estimator, name) for name in constraints}
    _check_arguments(type(estimator).__name__, constraints, **values)


def _as_size(size: Any, *, owner: str) -> tuple[int, int]:
    """Return height and width of a size parameter, a positive int or two of them; or raise."""
    sides = (size, size) if isinstance(size, Integral) else size
    if not each(integer(1, MAX_SIDE)).is_satisfied_by(sides) or len(sides) != 2:
        raise UsageError(
            f"The 'size' parameter of {owner} must be a positive int or (height, width), at "
            f"most {MAX_SIDE:,}. Got {size!r} instead."
        )
    return int(sides[0]), int(sides[1])
