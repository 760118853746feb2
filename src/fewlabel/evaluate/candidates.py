"""The choice between methods, made on cross-fitted predictions of the labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fewlabel.data.checks import check_classes, check_proba, check_same_length, check_weights
from fewlabel.errors import UsageError
from fewlabel.evaluate.calibrate import apply_temperature, fit_temperature


@dataclass(frozen=True)
class CandidateScore:
    """How one candidate did.

    Attributes
    ----------
    name : str
        Its name.
    accuracy : float
        Cross-fitted accuracy.
    se : float
        Standard error of the difference in accuracy from the most accurate candidate, image by
        image; 0 for that candidate itself.
    log_loss : float
        Cross-fitted log loss at its own temperature, in nats.
    temperature : float
        That temperature.
    chosen : bool
        Whether it was chosen.
    why : str
        The reason, in words.
    """

    name: str
    accuracy: float
    se: float
    log_loss: float
    temperature: float
    chosen: bool
    why: str


@dataclass(frozen=True)
class Choice:
    """The chosen candidate and how all of them did.

    Attributes
    ----------
    name : str
        Name of the chosen candidate.
    table : tuple of CandidateScore
        One row a candidate, in the order they were given.
    n_se : float
        How many standard errors behind the most accurate still counted as nearly equal.
    """

    name: str
    table: tuple[CandidateScore, ...]
    n_se: float = 1.0


def as_asked(choice: Choice, name: str) -> Choice:
    """Mark a candidate as chosen because it was asked for.

    Parameters
    ----------
    choice : Choice
        What would have been chosen.
    name : str
        What was asked for.

    Returns
    -------
    Choice
        The same figures, another choice.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> both = {"a": proba, "b": 1 - proba}
    >>> [row.why for row in as_asked(choose_candidate(both, [0, 1]), "b").table]
    ['most accurate, but b was asked for', 'asked for']
    """
    if choice.name == name:
        return choice
    table = tuple(
        replace(
            row,
            chosen=row.name == name,
            why="asked for"
            if row.name == name
            else f"{row.why}, but {name} was asked for"
            if row.chosen
            else row.why,
        )
        for row in choice.table
    )
    return replace(choice, name=name, table=table)


def choose_candidate(
    candidates: Mapping[str, Any],
    y_true: Any,
    *,
    prefer: Sequence[str] = (),
    n_se: float = 1.0,
    unseen: Any = None,
    weights: Any = None,
) -> Choice:
    """Choose the method with the best cross-fitted predictions.

    With few labels the most accurate candidate is often so by luck. So:

    1. Kept are the most accurate candidate and all that are within ``n_se`` standard errors of
       it; the error is that of the paired difference, image by image.
    2. Among those, the one that stands first in ``prefer`` wins: what is known beforehand
       weighs more than a difference that may be luck.
    3. If none of them is in ``prefer``, the least log loss wins, then the one given first. Each
       candidate is first given its own temperature on the same predictions, since the winner
       will be calibrated too: a graph that is right but timid is not to lose for it.

    Parameters
    ----------
    candidates : mapping of str to array-like of shape (n_labeled, K)
        Cross-fitted class probabilities by name, at least one.
    y_true : array-like of shape (n_labeled,), int
        Classes of the labelled images.
    prefer : sequence of str
        Names in the order of preference among the nearly equal.
    n_se : float
        How many standard errors still count as nearly equal.
    unseen : array-like of shape (n_labeled,), bool, optional
        Labels to leave out, which no candidate could predict (``LabelFolds.unseen``). They are
        used all the same where no other label is left.
    weights : array-like of shape (n_labeled,), optional
        Weights of the images above 0, such as cluster sizes.

    Returns
    -------
    Choice
        The name, and a table with the reason for each candidate.

    Raises
    ------
    UsageError
        If there is no candidate, or the arrays do not fit together.

    Examples
    --------
    >>> y = np.array([0, 1, 0, 1])
    >>> graph = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9]])
    >>> choice = choose_candidate({"baseline": np.full((4, 2), 0.5), "graph": graph}, y)
    >>> choice.name
    'graph'
    >>> choice.table[1].why
    'most accurate'
    """
    y_true, w, probas = _check_candidates(candidates, y_true, unseen, weights)
    correct = {name: (p.argmax(axis=1) == y_true).astype(float) for name, p in probas.items()}
    accuracy = {name: float(np.average(c, weights=w)) for name, c in correct.items()}
    temperature = {name: fit_temperature(p, y_true, weights=w) for name, p in probas.items()}
    loss = {
        name: _mean_log_loss(apply_temperature(p, temperature[name]), y_true, w)
        for name, p in probas.items()
    }
    # The most accurate one; of several, that with the least loss, to be the same in any order.
    best = min(probas, key=lambda name: (-accuracy[name], loss[name]))
    se = {name: paired_error(correct[best] - c, w) for name, c in correct.items()}
    near = [n for n in probas if accuracy[best] - accuracy[n] <= n_se * se[n] + 1e-12]
    rank = {name: i for i, name in reversed(list(enumerate(prefer)))}
    first = min(rank.get(name, len(prefer)) for name in near)
    level = [name for name in near if rank.get(name, len(prefer)) == first]
    chosen = min(level, key=lambda name: loss[name])
    table = tuple(
        CandidateScore(
            name,
            accuracy[name],
            se[name],
            loss[name],
            temperature[name],
            name == chosen,
            reason_for(name, chosen, best, near, name in prefer),
        )
        for name in probas
    )
    return Choice(chosen, table, n_se)


def _check_candidates(
    candidates: Mapping[str, Any], y_true: Any, unseen: Any, weights: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    if not candidates:
        raise UsageError("The 'candidates' parameter must name at least one candidate.")
    probas = {name: check_proba(p, f"candidates[{name!r}]") for name, p in candidates.items()}
    if len({p.shape for p in probas.values()}) > 1:
        shapes = ", ".join(f"{name} {p.shape}" for name, p in probas.items())
        raise UsageError(f"The candidates must be of one shape. Got {shapes} instead.")
    first = next(iter(probas.values()))
    y_true = check_classes(y_true, "y_true", first.shape[1])
    check_same_length(y_true=y_true, candidates=first)
    w = check_weights(weights, len(y_true))
    kept = np.ones(len(y_true), bool) if unseen is None else ~np.asarray(unseen, dtype=bool)
    check_same_length(y_true=y_true, unseen=kept)
    if not kept.any():
        kept[:] = True
    return y_true[kept], w[kept], {name: p[kept] for name, p in probas.items()}


def _mean_log_loss(proba: np.ndarray, y_true: np.ndarray, w: np.ndarray) -> float:
    return float(np.average(-np.log(proba[np.arange(len(y_true)), y_true]), weights=w))


def paired_error(difference: np.ndarray, w: np.ndarray) -> float:
    """Give the standard error of a weighted mean of differences.

    Parameters
    ----------
    difference : ndarray of shape (n,)
        Differences, image by image.
    w : ndarray of shape (n,)
        Weights.

    Returns
    -------
    float
        The error; with equal weights, that of the ordinary mean. 0 for a single image.
    """
    n = len(difference)
    if n < 2:
        return 0.0
    deviation = difference - np.average(difference, weights=w)
    return float(np.sqrt(np.sum((w * deviation) ** 2) * n / (n - 1)) / w.sum())


def reason_for(name: str, chosen: str, best: str, near: list[str], preferred: bool) -> str:
    """Say why a candidate was chosen or not.

    Parameters
    ----------
    name : str
        The candidate.
    chosen : str
        The one that was chosen.
    best : str
        The most accurate one.
    near : list of str
        Those that are as accurate within the error.
    preferred : bool
        Whether the candidate is among those that are preferred.

    Returns
    -------
    str
        A few words.
    """
    if name == chosen:
        if len(near) == 1:
            return "most accurate"
        rule = "preferred" if preferred else "least log loss"
        return f"{rule} among the {len(near)} that are as accurate within the error"
    if name not in near:
        return f"less accurate than {best} by more than the error allows"
    return f"as accurate within the error, but {chosen} comes first"
