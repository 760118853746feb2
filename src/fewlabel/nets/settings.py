"""How long, how fast and how carefully a network trains."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from fewlabel.errors import UsageError


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run.

    Attributes
    ----------
    n_epochs : int
        Passes over the data, at most.
    min_steps : int
        Steps to take at least: few rows are passed over more often.
    batch_size : int
        Rows in a step, at most.
    learning_rate : float
        Peak rate of AdamW (Loshchilov & Hutter 2019).
    weight_decay : float
        Pull of the weight matrices towards 0; offsets and normalisation are left alone.
    warmup : float
        Share of the steps in which the rate rises.
    ema_decay : float or None
        Decay of the averaged weights; None averages over about the last twentieth of the steps.
    label_smoothing : float
        Share of the uniform distribution in every target.
    patience : int or None
        Epochs without a better validation accuracy after which training stops.
    seed : int
        Seed of weights, order, dropout and augmentation.
    checkpoint_seconds : float
        A checkpoint is written when an epoch ends, but not more often than this.
    """

    n_epochs: int = 20
    min_steps: int = 0
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    ema_decay: float | None = None
    label_smoothing: float = 0.0
    patience: int | None = None
    seed: int = 0
    checkpoint_seconds: float = 10.0

    def check(self, who: str) -> None:
        """Refuse settings that are out of range.

        Parameters
        ----------
        who : str
            Name of the estimator, for the message.

        Raises
        ------
        UsageError
            If a setting is out of range; the message names it.
        """
        for name in ("n_epochs", "batch_size"):
            _check(who, name, getattr(self, name), "an int of at least 1", _is_count)
        _check(who, "learning_rate", self.learning_rate, "a float above 0", _is_positive)
        for name in ("weight_decay", "min_steps"):
            _check(who, name, getattr(self, name), "a number of at least 0", _is_not_negative)
        for name in ("warmup", "label_smoothing"):
            _check(who, name, getattr(self, name), "a float in [0, 1)", _is_share)
        if self.ema_decay is not None:
            _check(who, "ema_decay", self.ema_decay, "None or a float in [0, 1)", _is_share)
        if self.patience is not None:
            _check(who, "patience", self.patience, "None or an int of at least 1", _is_count)

    def epochs(self, steps_per_epoch: int) -> int:
        """Count the epochs that ``n_epochs`` and ``min_steps`` come to.

        Parameters
        ----------
        steps_per_epoch : int
            Steps in one pass over the data.

        Returns
        -------
        int
            Epochs.

        Examples
        --------
        >>> TrainSettings(n_epochs=10, min_steps=100).epochs(steps_per_epoch=4)
        25
        """
        return max(self.n_epochs, math.ceil(self.min_steps / steps_per_epoch))

    def decay(self, n_steps: int) -> float:
        """Decay of the averaged weights for a run of so many steps.

        Parameters
        ----------
        n_steps : int
            Steps of the whole run.

        Returns
        -------
        float
            ``ema_decay``, or one that forgets within about a twentieth of the steps.

        Examples
        --------
        >>> TrainSettings().decay(2_000)
        0.99
        """
        if self.ema_decay is not None:
            return self.ema_decay
        return min(max(1 - 20 / n_steps, 0.5), 0.9999)


def learning_rate_at(step: int, n_steps: int, settings: TrainSettings) -> float:
    """Learning rate of one step: a linear rise, then a cosine down to 0.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    n_steps : int
        Steps of the whole run.
    settings : TrainSettings
        Peak rate and share of the rise.

    Returns
    -------
    float
        Rate.

    Examples
    --------
    >>> settings = TrainSettings(learning_rate=1.0, warmup=0.1)
    >>> [round(learning_rate_at(step, 100, settings), 2) for step in (0, 9, 55, 99)]
    [0.1, 1.0, 0.5, 0.0]
    """
    rise = max(1, round(settings.warmup * n_steps))
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    done = (step - rise) / max(1, n_steps - rise)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _check(who: str, name: str, value: Any, expected: str, holds: Any) -> None:
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not holds(value):
        raise UsageError(
            f"The '{name}' parameter of {who} must be {expected}. Got {value!r} instead."
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and int(value) >= 1


def _is_positive(value: Any) -> bool:
    return 0 < value < math.inf


def _is_not_negative(value: Any) -> bool:
    return 0 <= value < math.inf


def _is_share(value: Any) -> bool:
    return 0 <= value < 1
