"""How each row is trained: alone, as an ensemble, or taught by one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol import Outcome
from . import pictures
from .competition import write_submission
from .measured import measure
from .recipes import Recipe
from .session import ComboSession

SUBMISSION = "submission.csv"


def alone(session: ComboSession, recipe: Recipe) -> Outcome:
    """Train one network on the given labels."""
    network = session.alone(recipe)
    outcome = _tested(session, recipe, network.predict_proba)[0]
    outcome.extra.update(_length(session, network, "train"))
    return _long_enough(session, recipe, outcome, outcome.accuracy)


def untaught(session: ComboSession, recipe: Recipe, name: str) -> Outcome:
    """Return the network that a teacher trains on the given labels, as its students' rival."""
    model = session.taught(name, recipe, 0)
    outcome = _tested(session, recipe, model.predict_proba)[0]
    outcome.extra.update(_length(session, model.student_, "teacher: alone"))
    return _long_enough(session, recipe, outcome, outcome.accuracy)


def ensemble(session: ComboSession, recipe: Recipe, name: str) -> Outcome:
    """Average the members of an ensemble."""
    model = session.taught(name, recipe, 0)
    outcome, _ = _tested(session, recipe, model.ensemble_proba)
    outcome.extra["members"] = float(len(recipe.members))
    return _long_enough(session, recipe, outcome)


def taught(
    session: ComboSession,
    recipe: Recipe,
    name: str,
    rounds: int | None = None,
    *,
    is_best: bool = False,
) -> Outcome:
    """Train a student on what an ensemble predicts, and the next one on what it predicts."""
    model = session.taught(name, recipe, rounds or session.config["rounds"])
    outcome, proba = _tested(session, recipe, model.predict_proba)
    last = model.rounds_[model.n_rounds_]
    outcome.extra["accepted"] = 100 * last.n_accepted / max(1, len(session.data.unlabeled))
    if is_best and session.draws:
        outcome.files.update(pictures.draw(session, proba))
    if is_best and len(session.data.unseen):
        images = session.images("unseen", recipe)
        outcome.files[SUBMISSION] = _submission(model.predict(images))
    outcome.extra.update(_length(session, model.student_, f"teacher: student-{model.n_rounds_}"))
    return _long_enough(session, recipe, outcome)


def _length(session: ComboSession, network: Any, stage: str) -> dict[str, float]:
    """Return how long a network was trained: steps, and passes over what it learned from."""
    passes = network.history_[-1]["epoch"] + 1
    return {"steps": float(session.steps.get(stage, 0)), "passes": float(passes)}


def _long_enough(
    session: ComboSession, recipe: Recipe, outcome: Outcome, whole: float | None = None
) -> Outcome:
    """Note what the second half of the steps brought to a row's network on the labels alone.

    Its accuracy after all steps is trained for where it is not given, as in a run that goes on.
    """

    def accuracy(part: float) -> float:
        return _tested(session, recipe, session.alone(recipe, part).predict_proba)[0].accuracy

    def doubling() -> float:
        return 100 * ((accuracy(1.0) if whole is None else whole) - accuracy(0.5))

    if session.config["doubles"] and session.draws:
        # What networks have in common that learn equally fast.
        kind = recipe.network, recipe.preprocess, recipe.copies, recipe.structure, recipe.few
        outcome.extra["last_doubling"] = session.work.get(f"half the steps of {kind}", doubling)
    return outcome


def _tested(
    session: ComboSession, recipe: Recipe, ask: Callable[[np.ndarray], Any]
) -> tuple[Outcome, np.ndarray]:
    images = session.images("test", recipe)
    start = time.perf_counter()
    proba = ask(images)
    seconds = time.perf_counter() - start
    outcome = measure(session, recipe, proba)
    outcome.extra["test_seconds"] = seconds
    return outcome, proba


def _submission(targets: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SUBMISSION
        write_submission(path, targets)
        return path.read_bytes()
