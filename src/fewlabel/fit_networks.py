"""Which of several joined networks are kept: what predicts labels that it did not see."""

from dataclasses import replace

from fewlabel.evaluate import Problem, choose_candidate
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.extract import Features
from fewlabel.graph import MainFit, fit_main
from fewlabel.texts import _percent_text

_ALL = "joined"
# As between candidates: the best of several is often an error ahead by luck.
_ERRORS = 2.0


def _keep_networks(
    problem: Problem, main: MainFit, features: Features, method: str
) -> tuple[Problem, MainFit, Features]:
    """Drop the other networks where one alone predicts labels better that it did not see."""
    joined = problem.extractor
    if not isinstance(joined, JoinedBackbones) or problem.folds is None or len(joined.parts) == 1:
        return problem, main, features
    if main.comparison.unseen.all():
        # Nothing can be compared: no label could have been predicted.
        return problem, main, features
    fits = {_ALL: (problem, main)}
    for number, rows in enumerate(joined._split(problem.rows)):
        alone = replace(problem, extractor=joined._alone(number), rows=rows, shared={})
        fits[joined.parts[number].network_.recipe.model] = alone, fit_main(alone, method)
    compared = {name: fit.comparison for name, (_, fit) in fits.items()}
    choice = choose_candidate(
        problem.task,
        main.comparison.y,
        {name: each.oof_proba[each.kept.name] for name, each in compared.items()},
        prefer=(_ALL,),
        n_se=_ERRORS,
        unseen=main.comparison.unseen,
    )
    scores = ", ".join(f"{row.name} {_percent_text(row.accuracy)}" for row in choice.table)
    kept = "All are kept" if choice.name == _ALL else f"{choice.name} alone is kept"
    reason = f"{features.reason} {kept}, by labels that were not trained on: {scores}."
    problem, main = fits[choice.name]
    return (
        problem,
        main,
        replace(features, extractor=problem.extractor, rows=problem.rows, reason=reason),
    )
