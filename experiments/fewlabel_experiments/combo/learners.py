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
    return _long_enough(session, recipe, outcome, network, "train")


def untaught(session: ComboSession, recipe: Recipe, name: str) -> Outcome:
    """Return the network that a teacher trains on the given labels, as its students' rival."""
    model = session.taught(name, recipe, 0)
    outcome = _tested(session, recipe, model.predict_proba)[0]
    return _long_enough(session, recipe, outcome, model.student_, "teacher: alone")


def ensemble(session: ComboSession, recipe: Recipe, name: str) -> Outcome:
    """Average the members of an ensemble."""
    model = session.taught(name, recipe, 0)
    outcome, _ = _tested(session, recipe, model.ensemble_proba)
    outcome.extra["members"] = float(len(recipe.members))
    return _as_long_as(session, recipe, outcome)


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
    return _as_long_as(session, recipe, outcome)


def _length(session: ComboSession, network: Any, stage: str) -> dict[str, float]:
    """Return how long a network was trained: steps, and passes over what it learned from."""
    passes = network.history_[-1]["epoch"] + 1
    return {"steps": float(session.steps.get(stage, 0)), "passes": float(passes)}


def _long_enough(
    session: ComboSession, recipe: Recipe, outcome: Outcome, network: Any, stage: str
) -> Outcome:
    """Note how long a network was trained, and what the second half of the steps brought."""
    outcome.extra.update(_length(session, network, stage))
    if session.config["doubles"] and session.draws:
        half = _tested(session, recipe, session.alone(recipe, 0.5).predict_proba)[0]
        session.doublings[_kind(recipe)] = 100 * (outcome.accuracy - half.accuracy)
    return _as_long_as(session, recipe, outcome)


def _as_long_as(session: ComboSession, recipe: Recipe, outcome: Outcome) -> Outcome:
    """Say of a row what is known of the training of its network on the labels alone."""
    if _kind(recipe) in session.doublings:
        outcome.extra["last_doubling"] = session.doublings[_kind(recipe)]
    return outcome


def _kind(recipe: Recipe) -> tuple[Any, ...]:
    """Return what networks have in common that learn equally fast."""
    return recipe.network, recipe.preprocess, recipe.copies, recipe.structure, recipe.few


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
