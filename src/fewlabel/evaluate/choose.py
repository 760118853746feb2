"""The choice between methods, made on predictions of labeled images that they did not see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data.checks import _check_same_length
from fewlabel.data.task import Task
from fewlabel.errors import UsageError
from fewlabel.evaluate.reliability import calibrate_apart


@dataclass(frozen=True)
class CandidateScore:
    """How one candidate did.

    Attributes
    ----------
    name : str
        Its name.
    accuracy : float
        Accuracy, or exact match, on images that it did not see.
    se : float
        Standard error of the difference in accuracy from the most accurate candidate, image by
        image; 0 for that candidate itself.
    log_loss : float
        Log loss of its calibrated probabilities, in nats an image.
    calibration : dict
        Parameters of its calibration.
    chosen : bool
        Whether it was chosen.
    why : str
        The reason, in words.
    """

    name: str
    accuracy: float
    se: float
    log_loss: float
    calibration: dict[str, float]
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
    favored : str
        Name of the candidate that the figures favor, whatever was asked for.
    """

    name: str
    table: tuple[CandidateScore, ...]
    n_se: float = 1.0
    favored: str = ""


def choose_candidate(
    task: Task,
    y_true: Any,
    candidates: Mapping[str, Any],
    *,
    prefer: Sequence[str] = (),
    n_se: float = 1.0,
    unseen: Any = None,
    fold: Any = None,
    asked: str | None = None,
) -> Choice:
    """Choose the method with the best out-of-fold predictions.

    With few labels the most accurate candidate is often so by luck. So:

    1. Kept are the most accurate candidate and all that are within ``n_se`` standard errors of
       it; the error is that of the paired difference, image by image.
    2. Among those, the one that stands first in ``prefer`` wins: what is known beforehand
       weighs more than a difference that may be luck.
    3. If none of them is in ``prefer``, the least log loss wins, then the one given first. Each
       candidate is calibrated first, since the winner will be, too: a graph that is right but
       underconfident must not lose for it.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y_true : array-like of shape (m,) or (m, K)
        Labels of the tested images.
    candidates : mapping of str to array-like of shape (m, K)
        Uncalibrated out-of-fold probabilities by name, at least one.
    prefer : sequence of str
        Names in the order of preference among the nearly equal.
    n_se : float
        How many standard errors still count as nearly equal.
    unseen : array-like of shape (m,), bool, optional
        Images to leave out, which no candidate could predict (``LabelFolds.unseen``). They are
        used all the same where no other is left.
    fold : array-like of shape (m,), int, optional
        Fold of each image: where it may have several labels, each is calibrated on the others, as
        the winner is when it is tested. By default all are calibrated on what is compared.
    asked : str, optional
        Choose this one whatever the figures are, since it was asked for.

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
    >>> from fewlabel.data import SingleLabel
    >>> graph = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9]])
    >>> both = {"supervised": np.full((4, 2), 0.5), "graph": graph}
    >>> choice = choose_candidate(SingleLabel(), [0, 1, 0, 1], both)
    >>> choice.name, choice.table[1].why
    ('graph', 'most accurate')
    """
    y_true, kept = np.asarray(y_true), _kept(y_true, candidates, unseen)
    if asked not in (None, *candidates):
        raise UsageError(
            f"The 'asked' parameter must be one of {', '.join(candidates)}. Got {asked!r} instead."
        )
    accuracy, loss, correct, parameters = {}, {}, {}, {}
    for name, given in candidates.items():
        y, proba = task.check(y_true[kept], np.asarray(given)[kept])
        # Calibrated first, as the winner will be: a graph that is right but underconfident must not
        # lose for it.
        calibration = task.calibrate(y, proba)
        calibrated = calibration.apply(proba)
        # A temperature changes no prediction, so that of all labels flatters none of them.
        if fold is not None and not calibration.keeps_predictions:
            calibrated = calibrate_apart(task, y_true, given, fold, unseen)[kept]
        correct[name] = task.correct(y, calibrated).astype(float)
        accuracy[name] = float(correct[name].mean())
        loss[name] = float(task.loss(y, calibrated).mean())
        parameters[name] = calibration.to_dict()
    # The most accurate one; of several, that with the least loss, to be the same in any order.
    best = min(correct, key=lambda name: (-accuracy[name], loss[name]))
    se = {name: _standard_error(correct[best] - c) for name, c in correct.items()}
    # Accuracies that are equal may differ in the last bit.
    near = [n for n in correct if accuracy[best] - accuracy[n] <= n_se * se[n] + 1e-12]
    untested = unseen is not None and bool(np.all(unseen))
    rank = {name: i for i, name in reversed(list(enumerate(prefer)))}
    first = min(rank.get(name, len(prefer)) for name in near)
    level = [name for name in near if rank.get(name, len(prefer)) == first]
    favored = min(level, key=lambda name: loss[name])
    chosen = favored if asked is None else asked
    table = tuple(
        CandidateScore(
            name=name,
            accuracy=accuracy[name],
            se=se[name],
            log_loss=loss[name],
            calibration=parameters[name],
            chosen=name == chosen,
            why=_reason(name, chosen, best, near, name in prefer, asked is not None)
            if not untested or asked == name
            else "could not be tested: no class has two labels",
        )
        for name in correct
    )
    return Choice(chosen, table, n_se, favored)


def _kept(y_true: Any, candidates: Mapping[str, Any], unseen: Any) -> np.ndarray:
    """Return which images are compared."""
    if not candidates:
        raise UsageError("The 'candidates' parameter must name at least one candidate.")
    shapes = {name: np.shape(proba) for name, proba in candidates.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UsageError(f"The candidates must be of one shape. Got {found} instead.")
    kept = np.ones(len(y_true), bool) if unseen is None else ~np.asarray(unseen, dtype=bool)
    _check_same_length(y_true=y_true, unseen=kept, candidates=next(iter(candidates.values())))
    # With one label a class no label can be predicted, and yet something has to be chosen.
    return kept if kept.any() else ~kept


def _standard_error(difference: np.ndarray) -> float:
    """Return the standard error of the mean of paired differences; 0 for a single one."""
    # Paired, since all fail on the same hard images: the difference of two candidates is known
    # better than the accuracy of either.
    n = len(difference)
    return float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0


def _reason(
    name: str, chosen: str, best: str, near: list[str], preferred: bool, is_asked: bool
) -> str:
    """Return why a candidate was chosen or not, in a few words."""
    if is_asked and name == chosen:
        return "asked for"
    if name not in near:
        return f"less accurate than {best} by more than the error allows"
    if name != chosen:
        rank = "most accurate" if is_asked and name == best else "as accurate within the error"
        return f"{rank}, but {chosen} {'was asked for' if is_asked else 'comes first'}"
    if len(near) == 1:
        return "most accurate"
    rule = "preferred" if preferred else "least log loss"
    return f"{rule} among the {len(near)} that are as accurate within the error"
