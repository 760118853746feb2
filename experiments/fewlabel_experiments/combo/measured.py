"""What a row is measured by: exact match, each character by itself, F1, ranking, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from fewlabel.data import MultiLabel
from fewlabel.evaluate import scores

from ..protocol import Outcome
from .recipes import Recipe
from .session import ONE_OF_EACH, ComboSession

MEASURES = {
    "pair": "both likeliest right %",
    "digit": "digit %",
    "letter": "letter %",
    "micro_f1": "micro F1 %",
    "macro_f1": "macro F1 %",
    "mean_average_precision": "mAP %",
    "calibration": "calibration error %",
    "accepted": "pseudo-labeled %",
    "steps": "steps",
    "passes": "passes",
    "last_doubling": "last doubling of the steps, points",
    "test_seconds": "seconds of the test",
}
"""What a row measures beside exact match, with its heading."""


def measure(session: ComboSession, recipe: Recipe, proba: np.ndarray) -> Outcome:
    """Compare probabilities of the test images with the truth."""
    truth = session.data.test_targets
    predicted = (ONE_OF_EACH if recipe.structure else MultiLabel()).predict(proba)
    found = scores(MultiLabel(), truth, proba)
    digit, letter = parts_right(truth, proba)
    extra: dict[str, Any] = {
        "pair": float((digit & letter).mean()),
        "digit": float(digit.mean()),
        "letter": float(letter.mean()),
        "micro_f1": float(f1_score(truth, predicted, average="micro", zero_division=0.0)),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0.0)),
        "mean_average_precision": found["mean_average_precision"],
        "calibration": found["calibration_error"],
    }
    exact = float((predicted == truth).all(axis=1).mean())
    return Outcome(exact, {name: 100 * value for name, value in extra.items()})


def likeliest(proba: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the likeliest digit and the likeliest letter of each image."""
    return tuple(start + proba[:, start:stop].argmax(axis=1) for start, stop in ONE_OF_EACH.groups)


def parts_right(truth: np.ndarray, proba: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return where the likeliest digit and the likeliest letter are right."""
    rows = np.arange(len(truth))
    return tuple(truth[rows, columns] == 1 for columns in likeliest(proba))
