"""Selection strategies by name: which images to label first.

A new strategy is one file in this folder with one function: a `Pool` goes in, `Picks` come out, and
`register_strategy` stands above it. Commands and benchmarks find it by its name.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fewlabel.errors import UsageError

__all__ = ["Picks", "Pool", "Strategy", "find_strategy", "register_strategy", "strategy_names"]


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows to choose from, as every strategy gets them.

    Attributes
    ----------
    rows : ndarray of shape (n, d), dtype float32
        Features, finite.
    budget : int
        How many rows to choose; at least 1, and at most the rows that are available.
    labeled : ndarray of shape (m,), dtype int64
        Rows that are labeled already, ascending.
    available : ndarray of shape (n,), dtype bool
        Which rows may be chosen; those that are labeled may not.
    rng : Generator
        Source of every random choice.
    n_random : int
        How many of the budget to draw at random, each row that is available with the same
        probability: an estimate of accuracy rests on these.
    uncertainty : ndarray of shape (n,), optional
        How unsure a model is of each row, from 0 to 1.
    distances : ndarray of shape (n, 20), optional
        Cosine distances to the nearest neighbors that `representatives` would search.
    """

    rows: np.ndarray
    budget: int
    labeled: np.ndarray
    available: np.ndarray
    rng: np.random.Generator
    n_random: int = 0
    uncertainty: np.ndarray | None = None
    distances: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Picks:
    """Rows worth labeling, the most useful first.

    Attributes
    ----------
    indices : ndarray of shape (n_picks,), dtype int64
        Rows, those that were drawn at random last.
    cluster_sizes : ndarray of shape (n_picks,), dtype int64
        How many rows each one represents; 0 where it represents none.
    n_random : int
        How many of them were drawn at random.
    """

    indices: np.ndarray
    cluster_sizes: np.ndarray
    n_random: int = 0


@dataclass(frozen=True)
class Strategy:
    """A selection strategy.

    Attributes
    ----------
    name : str
        How commands and files call it.
    choose : callable
        Takes a `Pool` and returns `Picks`.
    is_random : bool
        Whether it draws a random sample, which needs no features.
    """

    name: str
    choose: Callable[[Pool], Picks]
    is_random: bool

    @property
    def summary(self) -> str:
        """What it chooses, in one line for help and documentation."""
        return (self.choose.__doc__ or "").strip().partition("\n")[0].rstrip(".")


REGISTRY: dict[str, Strategy] = {}


def register_strategy(
    name: str, *, is_random: bool = False
) -> Callable[[Callable[[Pool], Picks]], Callable[[Pool], Picks]]:
    """Enter a selection strategy under a name; a decorator.

    Parameters
    ----------
    name : str
        How commands and files call it.
    is_random : bool
        Whether it draws a random sample, which needs no features.

    Returns
    -------
    callable
        Decorator of a function that takes a `Pool` and returns `Picks`, and whose docstring
        begins with its summary.
    """

    def enter(choose: Callable[[Pool], Picks]) -> Callable[[Pool], Picks]:
        if name in REGISTRY:
            raise ValueError(f"there are two selection strategies of the name {name!r}")
        REGISTRY[name] = Strategy(name, choose, is_random)
        return choose

    return enter


def strategy_names() -> tuple[str, ...]:
    """Return the names of the selection strategies.

    Returns
    -------
    tuple of str
        Names in the order of registration, the default first.

    Examples
    --------
    >>> strategy_names()
    ('representatives', 'medoids', 'typiclust', 'herding', 'random')
    """
    # A strategy registers itself when its file is imported.
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return tuple(REGISTRY)


def find_strategy(name: str) -> Strategy:
    """Return a selection strategy by its name.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    Strategy
        The strategy.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    names = strategy_names()
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(
            f"The selection strategy must be one of {', '.join(names)}. Got {name!r} instead.{hint}"
        )
    return REGISTRY[name]
