"""Which of several features are kept: by the doubt they leave, or by labels they did not see."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fewlabel.evaluate import Problem, choose_candidate
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.extract import Features, _computed
from fewlabel.features.joined_patches import JoinedPatches
from fewlabel.features.patch_features import _FINE, PatchFeatures
from fewlabel.features.streamed import STREAMED_FROM
from fewlabel.fit_settings import FitSettings
from fewlabel.graph import MainFit, fit_main, spread_entropy
from fewlabel.texts import _percent_text

# As between candidates: the best of several is often an error ahead by luck.
_ERRORS = 2.0
_FEW_COLUMNS = 64
# Of the time that is left, what a finer dictionary may take: the fit needs the rest.
_FINER_SHARE = 0.5
_TIMED_IMAGES = 256

_Alternatives = Iterator[tuple[str, Any, np.ndarray]]


def _fit_features(
    problem: Problem, features: Features, settings: FitSettings, method: str, seconds: float
) -> tuple[Problem, MainFit, Features]:
    """Fit the main candidates on the features, or on others that suit the labels better.

    Where ``seconds`` allow it, a patch dictionary is joined with a finer one if that leaves less
    doubt, and else half of its directions are tried. Of joined networks each is tried alone.
    """
    start = time.perf_counter()
    finer, reason = _finer_if_clearer(problem, settings, seconds)
    if finer is not None:
        return finer, fit_main(finer, method), _replaced(features, finer, reason)
    fit_start = time.perf_counter()
    main = fit_main(problem, method)
    took, left = time.perf_counter() - fit_start, seconds - (time.perf_counter() - start)
    usual, said, prefer = "", "{} are kept", tuple[str, ...]()
    others: _Alternatives = iter(())
    if isinstance(problem.extractor, JoinedBackbones):
        usual, said, prefer = "joined", "{} alone is kept", ("joined",)
        others = _networks_alone(problem)
    elif isinstance(problem.extractor, PatchFeatures) and took < left:
        usual = f"{problem.extractor.width} of its directions"
        others = _fewer_directions(problem)
    fits = {usual: (problem, main)}
    # Without folds nothing can be compared: no label could have been predicted.
    if problem.folds is not None and not main.comparison.unseen.all():
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
    reason = f"{kept}, by labels that were not trained on: {scores}."
    return problem, main, _replaced(features, problem, reason)


def _replaced(features: Features, problem: Problem, reason: str) -> Features:
    reason = f"{features.reason} {reason}"
    return replace(features, extractor=problem.extractor, rows=problem.rows, reason=reason)


def _networks_alone(problem: Problem) -> _Alternatives:
    joined = problem.extractor
    if len(joined.parts) > 1:
        for number, rows in enumerate(joined._split(problem.rows)):
            name = joined.parts[number].network_.recipe.model
            yield name, joined._alone(number), rows


def _fewer_directions(problem: Problem) -> _Alternatives:
    usual, rows = problem.extractor, problem.rows
    # Rows of very many images are mapped, and not copied.
    if usual.width > _FEW_COLUMNS and len(rows) < STREAMED_FROM:
        few = np.ascontiguousarray(rows[:, :_FEW_COLUMNS])
        yield f"{_FEW_COLUMNS} of its directions", usual._leading(_FEW_COLUMNS), few


def _finer_if_clearer(
    problem: Problem, settings: FitSettings, seconds: float
) -> tuple[Problem | None, str]:
    """Join a patch dictionary with a finer one if labels spread better over both, and say so."""
    finer = _with_finer_patches(problem, settings, seconds)
    if finer is None:
        return None, ""
    usual, both = spread_entropy(problem), spread_entropy(finer)
    if both >= usual:
        return None, ""
    return finer, (
        "A finer dictionary is joined: labels that are spread over both leave an entropy of "
        f"{both:.3f} nats an image, not {usual:.3f}."
    )


def _with_finer_patches(problem: Problem, settings: FitSettings, seconds: float) -> Problem | None:
    """Join a patch dictionary with a finer one; None where there is none, or no time for it."""
    usual, images = problem.extractor, problem.images
    if seconds <= 0 or not _has_finer(usual, len(images)):
        return None
    fine = PatchFeatures(usual.size_, random_state=usual.random_state, fine=True)
    n_timed = min(_TIMED_IMAGES, len(images))
    start = time.perf_counter()
    usual.transform(images.subset(range(n_timed)))
    an_image = (time.perf_counter() - start) / n_timed
    n_learned = min(usual.max_fit_samples, len(images))
    takes = an_image * (len(images) + n_learned)
    if takes > _FINER_SHARE * seconds:
        return None
    fine, rows = _computed(fine, images, settings.cache, problem.progress)
    both = JoinedPatches([usual, fine])
    return replace(problem, extractor=both, rows=both._join([problem.rows, rows]), shared={})


def _has_finer(extractor: Any, n: int) -> bool:
    """Return whether features of so many images are those of patches, and there are finer ones."""
    # Rows of very many images are mapped, and not joined in memory.
    if not isinstance(extractor, PatchFeatures) or n >= STREAMED_FROM:
        return False
    # Of very small images the usual patches are as small.
    return bool(extractor.dictionary_.filters_.patch_size > _FINE["patch_size"])
