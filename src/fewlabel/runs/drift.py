"""New images beside those that a run was fitted on, in figures, words and pictures."""

import shlex
from dataclasses import replace
from typing import Any

import numpy as np

from fewlabel.cluster.neighbors import nearest_neighbors
from fewlabel.data import ImageSet, load_images
from fewlabel.errors import RunFolderError, UsageError
from fewlabel.evaluate.drift import MAX_IMAGES, MIN_IMAGES, _appearance, _Drift, _find_drift
from fewlabel.features.near_copies import _find_groups
from fewlabel.features.pixels import Progress
from fewlabel.graph.shared_fit import NEIGHBORS
from fewlabel.model import Model, Prediction
from fewlabel.report.drift import _render_drift
from fewlabel.report.html import _now
from fewlabel.report.next_steps import _free_name
from fewlabel.texts import _percent_text

_N_LABELS = 30
_TITLES = {
    "like": "Looks like the images of the fit",
    "mix": "Other mix of classes",
    "unlike": "Unlike the images of the fit",
}
# What it means that a property is smaller, or larger, than in the images of the fit.
_WORDS = {
    "confidence": ("predicted less confidently", "predicted more confidently"),
    "novelty": ("more like what is labeled", "less like anything labeled"),
    "brightness": ("darker", "brighter"),
    "contrast": ("of less contrast", "of more contrast"),
    "sharpness": ("less sharp", "sharper, or noisier"),
}


def _check_images(
    run: Model,
    images: Any,
    *,
    name: str = "run",
    command: str = "",
    progress: Progress | None = None,
) -> tuple[dict[str, Any], str]:
    """Compare new images with those of a fit: in a form that JSON takes, and as a page.

    ``verdict`` is ``"like"``, ``"mix"`` or ``"unlike"``; ``holds`` says whether the accuracy holds,
    and is None where that is not known. ``name`` is what the commands call the folder of the run.
    """
    if run.reference is None:
        raise RunFolderError(
            f"{name} does not hold what new images are compared with, since an earlier fewlabel "
            "wrote it or it was fitted on too few images: fit again."
        )
    found = load_images(images, scale=run.scale)
    # The labels of the others are known, and flatter the model.
    free = np.flatnonzero(~run._was_trained_on(found))
    n = len(free)
    if n < MIN_IMAGES:
        raise UsageError(
            f"{found.source} holds {n} image{'' if n == 1 else 's'} that {name} was not trained "
            f"on: of fewer than {MIN_IMAGES} nothing can be said; collect more, or label them and "
            "use `fewlabel evaluate`."
        )
    rows = np.random.default_rng(0).permutation(free)[:MAX_IMAGES]
    some = found.subset(np.sort(rows))
    prediction = run.predict(some, progress=progress)
    looks, drift, n_compared = _compare(run, some, prediction)
    metrics = _metrics(drift, run) | {"n_images": n, "n_compared": n_compared}
    metrics["n_trained_on"] = len(found) - n
    metrics["commands"] = _commands(metrics, found, name)
    page = _render_drift(drift, metrics, prediction, looks, some, command, _now())
    return metrics, page


def _compare(
    run: Model, images: ImageSet, prediction: Prediction
) -> tuple[np.ndarray, _Drift, int]:
    """Return how images look, how unlike the fit those are that are no near-copies, how many."""
    scores, rows = prediction.scores, prediction.rows
    assert run.reference is not None
    assert rows is not None
    scores = np.zeros(len(images)) if scores is None else scores
    looks = np.column_stack([scores, _appearance(images)])
    of_fit = rows[:0] if run.novelty is None else run.novelty.graph.rows
    # A burst would be like itself alone.
    near = nearest_neighbors(rows, min(NEIGHBORS, len(rows) - 1))
    first = np.unique(_find_groups(images, None, *near).copies, return_index=True)[1]
    if len(first) < MIN_IMAGES:
        raise UsageError(
            f"{images.source} holds {len(first)} images that are no near-copies of others: of "
            f"fewer than {MIN_IMAGES} nothing can be said; collect more."
        )
    reference, proba = run.reference, prediction.proba[first]
    drift = _find_drift(run.task, reference, run.evidence, proba, looks[first], rows[first], of_fit)
    return looks, replace(drift, clustered=first[drift.clustered]), len(first)


def _metrics(drift: _Drift, run: Model) -> dict[str, Any]:
    """Return what was found, in a form that JSON takes."""
    names, expected = ("at_fit", "now", "low", "high"), run.expected
    holds = None
    if expected is not None and drift.verdict != "unlike":
        # As long as it is not below what the fit left open.
        holds = drift.accuracy.value >= expected.low
    found = {
        "verdict": drift.verdict,
        "holds": holds,
        "metric": run.task.metric,
        "accuracy": drift.accuracy.to_dict(),
        "expected_by_fit": None if expected is None else expected.to_dict(),
        "differences": _differences(drift),
        "shifts": [shift._asdict() for shift in drift.shifts],
        "beyond": drift.beyond,
        "many_beyond": drift.many_beyond,
        "classes": [
            {"class": name, "moved": moved, **dict(zip(names, shares, strict=True))}
            for name, moved, shares in zip(
                run.classes, drift.moved.tolist(), drift.shares.T.tolist(), strict=True
            )
        ],
    }
    return found | {"title": _TITLES[drift.verdict], "in_words": _in_words(drift, found)}


def _differences(drift: _Drift) -> list[str]:
    """Say what is unlike the images of the fit, beyond chance."""
    texts = [_WORDS[s.name][s.above > 0.5] for s in drift.shifts if s.is_alarm]
    if drift.many_beyond:
        texts.append(
            f"{_percent_text(drift.beyond)} of them are more unlike anything labeled than 95 % of "
            "the images of the fit"
        )
    if len(drift.clustered):
        texts.append(
            f"at least {len(drift.clustered):,} of them are like each other and not like images of "
            "the fit, as those of a new class are"
        )
    return texts


def _in_words(drift: _Drift, found: dict[str, Any]) -> str:
    """Say whether the accuracy holds."""
    accuracy, expected = drift.accuracy, found["expected_by_fit"]
    span = f"{_percent_text(accuracy.value)} ({_percent_text(accuracy.low)} to "
    span += f"{_percent_text(accuracy.high)})"
    by_fit = "" if expected is None else f"; the fit gave {_percent_text(expected['value'])}"
    if drift.verdict == "unlike":
        return (
            f"How accurate the model is on them is not known: label {_N_LABELS} of them. The "
            f"confidence {'in the mix that it suggests' if drift.moved.any() else 'alone'} would "
            f"give {span}, too much where they show something new{by_fit}."
        )
    state = {True: "holds", False: "is likely lower", None: "is not known from the fit"}
    return f"The {found['metric']} {state[found['holds']]}: {span} is expected{by_fit}."


def _commands(found: dict[str, Any], images: ImageSet, name: str) -> list[str]:
    """Return what to do next, as commands."""
    if found["verdict"] != "unlike" and found["holds"] is not False:
        out = _free_name("", "predictions")
        return [shlex.join(["fewlabel", "predict", name, images.source, "--out", out])]
    n, table = str(min(_N_LABELS, len(images))), _free_name("", "check")
    select = ["fewlabel", "select", images.source, "--budget", "0", "--audit", n, "--out", table]
    evaluate = ["fewlabel", "evaluate", name, images.source, "--labels", table]
    return [shlex.join(select), shlex.join(evaluate)]
