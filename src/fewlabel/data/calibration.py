"""Probabilities made honest: one temperature for classes, a scale and a shift for labels.

The maps are fitted on predictions for labeled images that the model did not see, and a mild
prior keeps them near the identity where there are few.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit, softmax

from fewlabel.params import Constraints, number

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0

# Smallest probability that is used as it is. A graph gives hard zeros, and one that is wrong would
# pull T further than all the other labels together. In simulation, with half of 100 labels
# predicted by hard zeros and ones that are right in 95 %, this floor leaves a log loss of 0.77 nats
# on new images and a floor of 1e-12 leaves 0.91; it costs 0.003 nats where a model without zeros is
# three times too confident.
PROBABILITY_FLOOR = 1e-6

_CALIBRATION_FIELDS: Constraints = {
    "temperature": [number(0.01, 100)],
    "scale": [number(0.01, 100)],
    "shift": [number(-10, 10)],
}
"""What parameters of a saved calibration may be."""

_GRID = np.linspace(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE), 49)
# Of the logarithm of the scale, and of the shift.
_SCALE_BOUNDS = ((np.log(0.05), np.log(20.0)), (-5.0, 5.0))


class Calibration(ABC):
    """A map from uncalibrated to calibrated probabilities: a dataclass of its parameters."""

    # Whether it never changes which labels are the most probable.
    keeps_predictions: ClassVar[bool]

    @abstractmethod
    def apply(self, proba: Any) -> np.ndarray:
        """Return calibrated probabilities.

        Parameters
        ----------
        proba : array-like of shape (n, K)
            Probability of each class or label.

        Returns
        -------
        ndarray of shape (n, K), float64
            Calibrated; rows of classes sum to 1.
        """

    @abstractmethod
    def tempered(self, temperature: float) -> Self:
        """Return this map, its logits divided by a temperature: what is predicted stays.

        Parameters
        ----------
        temperature : float
            Above 1, less confident; below 1, more.

        Returns
        -------
        Calibration
            The map.
        """

    def to_dict(self) -> dict[str, float]:
        """Return the parameters.

        Returns
        -------
        dict of str to float
            By name, for JSON.
        """
        return dict(vars(self))


@dataclass(frozen=True)
class Temperature(Calibration):
    """Temperature scaling (Guo et al. 2017): log-probabilities divided by T, normalized again.

    Parameters
    ----------
    temperature : float
        Above 0; above 1 makes a model less confident. The most probable class never changes.
    """

    keeps_predictions = True
    temperature: float = 1.0

    def tempered(self, temperature: float) -> Self:
        """Return the product of both temperatures."""
        return type(self)(float(np.clip(self.temperature * temperature, 0.01, 100)))

    def apply(self, proba: Any) -> np.ndarray:
        """Return class probabilities at this temperature; below 1e-6 they count as 1e-6.

        Examples
        --------
        >>> Temperature(2.0).apply([[0.8, 0.2]]).round(3).tolist()
        [[0.667, 0.333]]
        """
        rows = np.asarray(proba, dtype=np.float64)
        scaled = np.asarray(softmax(_log_clipped(rows) / self.temperature, axis=1))
        # Two classes a rounding error apart can meet, or swap, in the logarithm: the winner is
        # lifted by one step of float64 then.
        top = rows.argmax(axis=1)
        moved = np.flatnonzero(scaled.argmax(axis=1) != top)
        scaled[moved, top[moved]] = np.nextafter(scaled[moved].max(axis=1), 2.0)
        return scaled

    @classmethod
    def fit(cls, y: np.ndarray, proba: np.ndarray) -> Self:
        """Fit the temperature to labels that the model did not see.

        Minimizes the sum of the log losses plus ``log(T) ** 2 / 2``, the penalty of a log-normal
        prior around T = 1.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Class codes.
        proba : ndarray of shape (n, K)
            Class probabilities.

        Returns
        -------
        Temperature
            T between 0.05 and 20.

        References
        ----------
        Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017.

        Examples
        --------
        >>> y = np.array([0] * 800 + [1] * 200)
        >>> scaling = Temperature.fit(y, np.tile([0.99, 0.01], (1000, 1)))
        >>> scaling.apply([[0.99, 0.01]]).round(2).tolist()
        [[0.8, 0.2]]
        """
        # Imported late, here and below: listing and labeling images should not wait for it.
        from scipy.optimize import minimize_scalar

        logits = _log_clipped(np.asarray(proba, dtype=np.float64))
        below = logits - logits.max(axis=1, keepdims=True)
        of_labels = below[np.arange(len(y)), y].sum()

        def objective(log_t: float) -> float:
            # Without the prior, ten right answers in a row would send T to its bound; for hundreds
            # of labels it does not matter.
            scale = np.exp(-log_t)
            losses = np.log(np.exp(below * scale).sum(axis=1)).sum() - of_labels * scale
            return float(losses + 0.5 * log_t**2)

        # The loss is convex in 1/T and the penalty in log T, but their sum need be neither: a
        # grid finds the valley, and the bounded search its bottom.
        values = [objective(log_t) for log_t in _GRID]
        best = int(np.argmin(values))
        bounds = _GRID[max(best - 1, 0)], _GRID[min(best + 1, len(_GRID) - 1)]
        found = minimize_scalar(objective, bounds=bounds, method="bounded", options={"xatol": 1e-5})
        log_t = found.x if found.fun < values[best] else _GRID[best]
        return cls(float(np.clip(np.exp(log_t), MIN_TEMPERATURE, MAX_TEMPERATURE)))


@dataclass(frozen=True)
class Scaling(Calibration):
    """Platt scaling (1999) by two numbers, the same for all labels.

    Parameters
    ----------
    scale : float
        Log-odds are multiplied by it; below 1 makes a model less confident.
    shift : float
        Added afterwards; above 0 makes every label more probable.
    """

    keeps_predictions = False
    scale: float = 1.0
    shift: float = 0.0

    def tempered(self, temperature: float) -> Self:
        """Return scale and shift divided by the temperature: what is above 0.5 stays there."""
        # Both by the same factor, or what is predicted would change.
        most = 10 / max(abs(self.shift), 1e-9)
        scale = float(np.clip(self.scale * min(1 / temperature, most), 0.01, 100))
        return type(self)(scale, float(np.clip(self.shift * scale / self.scale, -10, 10)))

    def apply(self, proba: Any) -> np.ndarray:
        """Return the probabilities of labels at this scale and shift.

        Examples
        --------
        >>> Scaling(0.5).apply([[0.9, 0.5]]).round(2).tolist()
        [[0.75, 0.5]]
        """
        return np.asarray(expit(self.scale * _log_odds(proba) + self.shift))

    @classmethod
    def fit(cls, y: np.ndarray, proba: np.ndarray) -> Self:
        """Fit scale and shift to labels that the model did not see.

        Parameters
        ----------
        y : ndarray of shape (n, K)
            1 present, 0 absent, -1 unknown.
        proba : ndarray of shape (n, K)
            Probability of each label.

        Returns
        -------
        Scaling
            Scale and shift.

        References
        ----------
        Platt: Probabilistic outputs for support vector machines. 1999.

        Examples
        --------
        >>> y = (np.arange(2000) % 5 > 0).astype(int)[:, None]
        >>> bool(abs(Scaling.fit(y, np.full((2000, 1), 0.99)).apply([[0.99]])[0, 0] - 0.8) < 0.03)
        True
        """
        from scipy.optimize import minimize

        # With the few labels that there are, two numbers for each column would follow chance.
        known = y >= 0
        odds, present = _log_odds(proba)[known], y[known] == 1

        def objective(pair: np.ndarray) -> float:
            # With a prior around the identity, as for the temperature.
            logits = np.exp(pair[0]) * odds + pair[1]
            return float((np.logaddexp(0, logits) - present * logits).sum() + 0.5 * (pair @ pair))

        found = minimize(objective, np.zeros(2), method="L-BFGS-B", bounds=_SCALE_BOUNDS)
        return cls(float(np.exp(found.x[0])), float(found.x[1]))


def _log_odds(proba: Any) -> np.ndarray:
    """Return log-odds, float64, of probabilities, which are at least 1e-6 from 0 and 1."""
    clipped = np.clip(np.asarray(proba, float), PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _log_clipped(proba: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(proba, PROBABILITY_FLOOR))
