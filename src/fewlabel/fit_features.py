"""Which of several features are kept: those that predict labels best that they did not see."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fewlabel.evaluate import Problem, choose_candidate
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.extract import Features, _computed
from fewlabel.features.joined_patches import JoinedPatches
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.streamed import STREAMED_FROM
from fewlabel.fit_settings import FitSettings
from fewlabel.graph import MainFit, fit_main
from fewlabel.texts import _percent_text

# As between candidates: the best of several is often an error ahead by luck.
_ERRORS = 2.0
_FEW_COLUMNS = 64
# Rows of half the columns and of three times as many take this many times as long, together.
_FITS = 3.0
_TIMED_IMAGES = 256

_Alternatives = Iterator[tuple[str, Any, np.ndarray]]


def _fit_features(
    problem: Problem, features: Features, settings: FitSettings, method: str, seconds: float
) -> tuple[Problem, MainFit, Features]:
    """Fit the main candidates on the features, or on others that predict unseen labels better.

    Instead of joined networks each is tried alone; instead of a patch dictionary, where
    ``seconds`` allow it, half of its directions, and a finer one beside it.
    """
    start = time.perf_counter()
    main = fit_main(problem, method)
    usual, said, prefer = "", "{} are kept", tuple[str, ...]()
    others: _Alternatives = iter(())
    if problem.folds is not None and not main.comparison.unseen.all():
        # Else nothing can be compared: no label could have been predicted.
        if isinstance(problem.extractor, JoinedBackbones):
            usual, said, prefer = "joined", "{} alone is kept", ("joined",)
            others = _networks_alone(problem)
        elif isinstance(problem.extractor, PatchFeatures):
            took = time.perf_counter() - start
            usual = f"{problem.extractor.width} of its directions"
            others = _other_patches(problem, settings, took, seconds - took)
    fits = {usual: (problem, main)}
    for name, extractor, rows in others:
        other = replace(problem, extractor=extractor, rows=rows, shared={})
        fits[name] = other, fit_main(other, method)
    if len(fits) == 1:
        return problem, main, features
    choice = choose_candidate(
        problem.task,
        main.comparison.y,
        {
            name: fit.comparison.oof_proba[fit.comparison.kept.name]
            for name, (_, fit) in fits.items()
        },
        prefer=prefer,
        n_se=_ERRORS,
        unseen=main.comparison.unseen,
    )
    scores = ", ".join(f"{row.name} {_percent_text(row.accuracy)}" for row in choice.table)
    kept = "All are kept" if choice.name == "joined" else said.format(choice.name)
    problem, main = fits[choice.name]
    reason = f"{features.reason} {kept}, by labels that were not trained on: {scores}."
    found = replace(features, extractor=problem.extractor, rows=problem.rows, reason=reason)
    return problem, main, found


def _networks_alone(problem: Problem) -> _Alternatives:
    joined = problem.extractor
    if len(joined.parts) > 1:
        for number, rows in enumerate(joined._split(problem.rows)):
            name = joined.parts[number].network_.recipe.model
            yield name, joined._alone(number), rows


def _other_patches(
    problem: Problem, settings: FitSettings, took: float, seconds: float
) -> _Alternatives:
    """Yield fewer directions, and more of a finer dictionary, if there is time for both."""
    usual, images, rows = problem.extractor, problem.images, problem.rows
    # Rows of very many images are mapped, and not joined in memory.
    if seconds <= 0 or len(images) >= STREAMED_FROM or usual.width <= _FEW_COLUMNS:
        return
    start = time.perf_counter()
    usual.transform(images.subset(range(min(_TIMED_IMAGES, len(images)))))
    an_image = (time.perf_counter() - start) / min(_TIMED_IMAGES, len(images))
    n_learned = min(usual.max_fit_samples, len(images))
    if an_image * (len(images) + n_learned) + _FITS * took > seconds:
        return
    yield (
        f"{_FEW_COLUMNS} of its directions",
        usual._leading(_FEW_COLUMNS),
        np.ascontiguousarray(rows[:, :_FEW_COLUMNS]),
    )
    fine = PatchFeatures(usual.size_, random_state=usual.random_state, fine=True)
    fine, more = _computed(fine, images, settings.cache, problem.progress)
    both = JoinedPatches([usual, fine])
    yield f"{usual.width} of its directions and a finer dictionary", both, both._join([rows, more])
