"""Probabilities of labels made honest by two numbers (Platt 1999), the same for all labels.

The log-odds of every label are multiplied by a scale and moved by a shift. With the few labels
that there are, two numbers a label would follow chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from fewlabel.evaluate.calibrate import PROBABILITY_FLOOR
from fewlabel.evaluate.multilabel import check_scores

_PRIOR = 1.0
_BOUNDS = ((np.log(0.05), np.log(20.0)), (-5.0, 5.0))


@dataclass(frozen=True)
class LabelScaling:
    """What log-odds are multiplied by and moved by.

    Attributes
    ----------
    scale : float
        Above 0; below 1 makes a model less sure.
    shift : float
        Above 0 makes every label likelier.
    """

    scale: float = 1.0
    shift: float = 0.0

    def apply(self, proba: Any) -> np.ndarray:
        """Give the probabilities of labels at this scale.

        Parameters
        ----------
        proba : array-like of shape (n, K)
            Probability of each label.

        Returns
        -------
        ndarray of shape (n, K)
            Float64.

        Examples
        --------
        >>> LabelScaling(0.5).apply([[0.9, 0.5]]).round(2).tolist()
        [[0.75, 0.5]]
        """
        return np.asarray(expit(self.scale * log_odds(proba) + self.shift))


def fit_scaling(y_true: Any, proba: Any) -> LabelScaling:
    """Find the scale and the shift that fit the labels best.

    The probabilities must come from a model that did not see these labels. A mild prior keeps
    both near 1 and 0 where there are few.

    Parameters
    ----------
    y_true : array-like of shape (n, K)
        1 present, 0 absent, -1 not known.
    proba : array-like of shape (n, K)
        Probability of each label.

    Returns
    -------
    LabelScaling
        Scale and shift.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.

    References
    ----------
    Platt: Probabilistic outputs for support vector machines. 1999.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = (rng.random((2000, 1)) < 0.8).astype(int)
    >>> scaling = fit_scaling(truth, np.full((2000, 1), 0.99))
    >>> bool(abs(scaling.apply([[0.99]])[0, 0] - 0.8) < 0.03)
    True
    """
    truth, shares = check_scores(y_true, proba)
    known = truth >= 0
    odds, present = log_odds(shares)[known], truth[known] == 1

    def objective(pair: np.ndarray) -> float:
        scores = np.exp(pair[0]) * odds + pair[1]
        losses = np.logaddexp(0, scores) - present * scores
        return float(losses.sum() + 0.5 * _PRIOR * (pair @ pair))

    found = minimize(objective, np.zeros(2), method="L-BFGS-B", bounds=_BOUNDS)
    return LabelScaling(float(np.exp(found.x[0])), float(found.x[1]))


def scale_apart(y_true: Any, proba: Any, part: Any) -> np.ndarray:
    """Scale each part of the rows by what the other parts say, to test on it afterwards.

    A shift moves predictions over one half: fitted on the rows that are tested, it would
    flatter them.

    Parameters
    ----------
    y_true : array-like of shape (n, K)
        1 present, 0 absent, -1 not known.
    proba : array-like of shape (n, K)
        Probability of each label.
    part : array-like of shape (n,), int
        Number of each row's part, such as its fold.

    Returns
    -------
    ndarray of shape (n, K)
        Scaled probabilities, float64; as they are where no other part is known.

    Examples
    --------
    >>> scale_apart([[1], [0], [1], [0]], [[0.6], [0.4], [0.6], [0.4]], [0, 0, 1, 1]).shape
    (4, 1)
    """
    truth, shares = np.asarray(y_true), np.asarray(proba, dtype=np.float64)
    numbers, scaled = np.asarray(part), shares.copy()
    for number in np.unique(numbers):
        here = numbers == number
        if (truth[~here] >= 0).any():
            scaled[here] = fit_scaling(truth[~here], shares[~here]).apply(shares[here])
    return scaled


def log_odds(proba: Any) -> np.ndarray:
    """Give the log-odds of probabilities.

    Parameters
    ----------
    proba : array-like of shape (n, K)
        Probabilities; nearer to 0 or 1 than 1e-6 they count as that.

    Returns
    -------
    ndarray of shape (n, K)
        Float64.

    Examples
    --------
    >>> log_odds([[0.5]]).tolist()
    [[0.0]]
    """
    shares = np.asarray(proba, dtype=np.float64)
    shares = np.clip(shares, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return np.asarray(np.log(shares) - np.log1p(-shares))
