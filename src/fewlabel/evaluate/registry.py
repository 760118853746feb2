"""The candidates by name.

A new method is one file with one class: a `Candidate` with `register` above it. Commands, the
choice, the comparison of methods and the report find it by its name.
"""

import difflib
from collections.abc import Iterable

from fewlabel.data.task import Task
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate.candidate import Candidate

REGISTRY: dict[str, type[Candidate]] = {}


def register(candidate: type[Candidate]) -> type[Candidate]:
    """Enter a candidate under its name; a decorator.

    Parameters
    ----------
    candidate : type
        A subclass of `Candidate`.

    Returns
    -------
    type
        The same class.
    """
    # The later one would take the place of the former in saved models as well.
    if candidate.name in REGISTRY:
        raise ValueError(f"there are two candidates of the name {candidate.name!r}")
    REGISTRY[candidate.name] = candidate
    return candidate


def candidate_names(task: Task | None = None) -> tuple[str, ...]:
    """Return the names of candidates, in the order of registration.

    Parameters
    ----------
    task : Task, optional
        Only those that can learn it.

    Returns
    -------
    tuple of str
        Names.
    """
    # A task of one's own is a kind of another.
    return tuple(
        name
        for name, candidate in REGISTRY.items()
        if task is None or isinstance(task, tuple(map(type, candidate.tasks)))
    )


def make_candidates(task: Task, names: Iterable[str] | None = None) -> tuple[Candidate, ...]:
    """Return candidates by their names.

    Parameters
    ----------
    task : Task
        What they shall learn.
    names : iterable of str, optional
        Which; by default all that can learn the task.

    Returns
    -------
    tuple of Candidate
        One of each name.

    Raises
    ------
    UsageError
        If there is none of a name for this task.
    """
    known = candidate_names(task)
    chosen = known if names is None else tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            if name in REGISTRY:
                kinds = " and ".join(kind.name for kind in REGISTRY[name].tasks)
                hint = f" It is for {kinds} images, and the labels are {task.name}."
            raise UsageError(
                f"The method must be one of {', '.join(known)}. Got {name!r} instead.{hint}"
            )
    return tuple(REGISTRY[name]() for name in chosen)


def find_candidate(name: str) -> type[Candidate]:
    """Return the candidate of a name.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    type
        The class.

    Raises
    ------
    ModelFormatError
        If there is none.
    """
    if name not in REGISTRY:
        raise ModelFormatError(
            f"The saved method {name!r} is not known: upgrade fewlabel, or import what defines it."
        )
    return REGISTRY[name]
