"""Fitted candidates, compared on the labels that all of them were tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.stats import binomtest

from fewlabel.data.calibration import Calibration
from fewlabel.data.task import Task
from fewlabel.evaluate.candidate import Fitted, Problem
from fewlabel.evaluate.choose import Choice, choose_candidate
from fewlabel.evaluate.reliability import calibrate_apart, fit_calibration

BASELINE = "supervised"
"""Name of the candidate that learns from the given labels and from nothing else."""

_PARTS = 5


@dataclass(frozen=True)
class Gain:
    """What the unlabeled images bring: a method that learns from them against the baseline.

    Attributes
    ----------
    method : str
        Name of the method: the one that was kept, or else the best rival of the baseline.
    accuracy, baseline : float
        Accuracy, or exact match, of the method and of the baseline on the same images.
    is_known : bool
        Whether the difference is more than luck: by two standard errors, or on an audit by the
        exact sign test at 5 %.
    n_audit : int
        Images of the audit that they were measured on; 0 where it was the labels.
    """

    method: str
    accuracy: float
    baseline: float
    is_known: bool
    n_audit: int = 0

    @property
    def points(self) -> float:
        """The gain in percentage points."""
        return 100 * (self.accuracy - self.baseline)

    def in_words(self) -> str:
        """Return the answer to whether the unlabeled images helped.

        Returns
        -------
        str
            A sentence or two, which begins with "Yes", "No" or "Not known".
        """
        lead, luck = abs(self.points), "it is within two standard errors."
        if self.n_audit:
            luck = f"{self.n_audit:,} images of the audit are too few to settle it."
        if lead < 0.05:
            answer = "No" if self.is_known else "Not known"
            return f"{answer}: with and without them, the accuracy is the same."
        if self.points > 0:
            adds = f"they add {lead:.1f} points"
            return f"Yes: {adds}." if self.is_known else f"Not known: {adds}, but {luck}"
        if self.is_known:
            return f"No: the supervised baseline, trained without them, wins by {lead:.1f} points."
        return f"Not known: the supervised baseline is {lead:.1f} points ahead, but {luck}"


def gain_on_labels(choice: Choice) -> Gain | None:
    """Compare the method that was kept with the baseline, by the labels that they did not see.

    Parameters
    ----------
    choice : Choice
        All candidates.

    Returns
    -------
    Gain or None
        None where nothing was compared.
    """
    baseline = next((row for row in choice.table if row.name == BASELINE), None)
    rivals = [row for row in choice.table if row is not baseline]
    if baseline is None or not rivals:
        return None
    rival = max(rivals, key=lambda row: (row.chosen, row.accuracy))
    # The errors are of the difference from the most accurate, which has none itself.
    noise = 2 * max(baseline.se, rival.se)
    # Without an error, both are right on the very same images.
    known = noise == 0 or abs(rival.accuracy - baseline.accuracy) > noise
    return Gain(rival.name, rival.accuracy, baseline.accuracy, bool(known))


def gain_on_audit(method: str, right: np.ndarray, baseline_right: np.ndarray) -> Gain:
    """Compare a method with the baseline on images drawn at random, whose labels neither saw.

    Parameters
    ----------
    method : str
        Name of the method.
    right, baseline_right : ndarray of shape (n,), dtype bool
        Which images the method and the baseline predict right, at least one.

    Returns
    -------
    Gain
        The difference, and whether it is more than luck.
    """
    wins, losses = int((right & ~baseline_right).sum()), int((~right & baseline_right).sum())
    known = wins != losses and bool(binomtest(wins, wins + losses).pvalue < 0.05)
    return Gain(method, float(right.mean()), float(baseline_right.mean()), known, len(right))


@dataclass(frozen=True, eq=False)
class Comparison:
    """The candidate that was kept, and how all of them predict labels that they did not see.

    Attributes
    ----------
    task : Task
        What the labels are for.
    kept : Fitted
        The chosen candidate.
    baseline : Fitted
        The supervised baseline; the kept candidate where it was not compared.
    choice : Choice
        How all of them did, and why one is kept; without a table where nothing could be tested.
    tested : ndarray of shape (m,), dtype int64
        Labeled images that all of them were tested on.
    y : ndarray of shape (m,) or (m, K)
        Their labels.
    oof_proba : dict of str to ndarray of shape (m, K)
        What each candidate predicts for them, uncalibrated.
    part : ndarray of shape (m,), dtype int64
        The part of each, which is calibrated on the others.
    unseen : ndarray of shape (m,), bool
        Whether no model could have predicted it.
    is_random : ndarray of shape (m,), bool
        Whether it was drawn at random from all images.
    groups : ndarray of shape (m,)
        The same number for those that belong together.
    """

    task: Task
    kept: Fitted
    baseline: Fitted
    choice: Choice
    tested: np.ndarray
    y: np.ndarray
    oof_proba: dict[str, np.ndarray]
    part: np.ndarray
    unseen: np.ndarray
    is_random: np.ndarray
    groups: np.ndarray

    def calibration(self, name: str | None = None) -> Calibration:
        """Fit the calibration of a candidate.

        Parameters
        ----------
        name : str, optional
            Its name; by default that of the kept one.

        Returns
        -------
        Temperature or Scaling
            The calibration.
        """
        oof_proba = self.oof_proba[name or self.kept.name]
        return fit_calibration(self.task, self.y, oof_proba, self.unseen)

    def calibrated(self, name: str, calibration: Calibration | None = None) -> np.ndarray:
        """Calibrate the out-of-fold predictions of a candidate, each part on the others.

        Parameters
        ----------
        name : str
            Its name.
        calibration : Temperature or Scaling, optional
            Taken instead where it keeps predictions: a temperature that has seen all labels
            flatters none of them.

        Returns
        -------
        ndarray of shape (m, K)
            Calibrated probabilities, float64.
        """
        if calibration is not None and calibration.keeps_predictions:
            return calibration.apply(self.oof_proba[name])
        return self._calibrate(self.oof_proba[name])

    def _calibrate(self, proba: np.ndarray) -> np.ndarray:
        """Calibrate any out-of-fold predictions of the tested images, each part on the others."""
        return calibrate_apart(self.task, self.y, proba, self.part, self.unseen)


def choose_fitted(
    problem: Problem,
    fitted: Sequence[Fitted],
    *,
    prefer: Sequence[str] = (),
    n_se: float = 1.0,
    asked: str | None = None,
) -> Comparison:
    """Choose a fitted candidate by the labels that all of them were tested on.

    Parameters
    ----------
    problem : Problem
        What they have learned from.
    fitted : sequence of Fitted
        The candidates, at least one; of two of a name the first counts.
    prefer : sequence of str
        Names in the order of preference among the nearly equal.
    n_se : float
        How many standard errors still count as nearly equal, see `choose_candidate`.
    asked : str, optional
        Choose this one whatever the figures are, since it was asked for.

    Returns
    -------
    Comparison
        The choice and what it rests on. Where there is no label that all were tested on, the
        one that was asked for is kept, or else the last: give the simplest last.

    Raises
    ------
    UsageError
        If there is no candidate, or none of the name that was asked for.
    """
    by_name: dict[str, Fitted] = {}
    for each in fitted:
        by_name.setdefault(each.name, each)
    rows = reduce(np.intersect1d, [each.tested for each in fitted])
    oof = {
        name: each.oof_proba[np.searchsorted(each.tested, rows)] for name, each in by_name.items()
    }
    groups = rows if problem.groups is None else problem.groups[rows]
    y, part, unseen = problem.y[rows], _parts(problem, rows, groups), np.zeros(len(rows), bool)
    if problem.folds is not None:
        unseen = np.isin(rows, problem.folds.labeled[problem.folds.unseen])
    if len(rows):
        choice = choose_candidate(
            problem.task, y, oof, prefer=prefer, n_se=n_se, unseen=unseen, fold=part, asked=asked
        )
    else:
        choice = Choice(fitted[-1].name if asked is None else asked, (), n_se)
    kept = by_name[choice.name]
    baseline = by_name.get(BASELINE, kept)
    drawn = np.isin(rows, problem.random)
    return Comparison(
        problem.task, kept, baseline, choice, rows, y, oof, part, unseen, drawn, groups
    )


def _parts(problem: Problem, rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Deal tested images into parts, a group into the same one."""
    folds = problem.folds
    if folds is not None and len(rows) == len(folds.labeled):
        return folds.number
    # Held-out labels are whole folds: those of networks would be one part or two.
    return np.asarray(np.unique(groups, return_inverse=True)[1] % _PARTS)
