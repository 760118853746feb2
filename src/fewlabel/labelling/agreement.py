"""How far annotators agree, and what they say together."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
from sklearn.metrics import cohen_kappa_score

from fewlabel.data.task import TASKS, MultiLabel, Task, Votes
from fewlabel.extras import is_installed

_Kappa = Callable[[Votes], float | None]


@dataclass(frozen=True)
class _Agreement:
    """How far annotators agree on the images that at least two of them answered."""

    n_images: int
    # Fraction of the pairs of answers to one image that are the same.
    agreed: float
    # "Cohen" for two annotators, "Fleiss" for more.
    method: str
    # Beyond chance, 1 at best; of several labels the mean. None if all answers are of one class.
    kappa: float | None
    by_class: dict[str, float | None]


def _measure_agreement(votes: Votes, task: Task = TASKS["single-label"]) -> _Agreement | None:
    """Compute how far annotators agree; None if no image has answers of two.

    Cohen (1960), "A coefficient of agreement for nominal scales"; Fleiss (1971), "Measuring
    nominal scale agreement among many raters", here with any number of answers an image.

    >>> votes = {i: {"Ann": ("cat",), "Bob": ("cat",)} for i in range(6)}
    >>> votes |= {i: {"Ann": ("dog",), "Bob": ("dog",)} for i in range(6, 9)}
    >>> votes[9] = {"Ann": ("dog",), "Bob": ("cat",)}
    >>> found = _measure_agreement(votes)
    >>> found.n_images, found.agreed, round(found.kappa, 2)
    (10, 0.9, 0.78)
    """
    shared = {image: given for image, given in votes.items() if len(given) > 1}
    if not shared:
        return None
    people = sorted({name for given in shared.values() for name in given})
    method, kappa = ("Cohen", _cohen) if len(people) == 2 else ("Fleiss", _fleiss)
    same = [a == b for v in shared.values() for a, b in combinations(v.values(), 2)]
    # Of each class against the others.
    by_class = {names[1]: kappa(each) for each, _, names in MultiLabel().decisions(shared)}
    overall = _mean_kappa(kappa, shared, task)
    return _Agreement(len(shared), float(np.mean(same)), method, overall, by_class)


def _consensus_labels(
    votes: Votes, proba: np.ndarray | None = None, classes: Sequence[str] = ()
) -> dict[int, str]:
    """Return one label an image that several annotators gave one label each.

    With the probabilities of a model and cleanlab, CROWDLAB weighs annotators by how often they
    are right (Goh, Tkachenko & Mueller 2022, "CROWDLAB: supervised learning to infer consensus
    labels and quality scores for data with multiple annotators"); else the majority decides, and
    of a tie the annotator who agrees with the others most often. ``proba`` (n, K) are out-of-fold
    probabilities of all images.

    >>> _consensus_labels({3: {"Ann": ("cat",), "Bob": ("dog",), "Eve": ("cat",)}})
    {3: 'cat'}
    """
    given = {image: {a: x[0] for a, x in v.items() if x} for image, v in votes.items()}
    given = {image: v for image, v in given.items() if v}
    known = {label for v in given.values() for label in v.values()} <= {*classes}
    people = sorted({name for v in given.values() for name in v})
    if proba is not None and known and len(people) > 1 and is_installed("cleanlab"):
        return _crowdlab(given, people, proba, list(classes))
    quality = Counter[str]()
    for v in given.values():
        for a, b in combinations(v, 2):
            quality.update([a, b] if v[a] == v[b] else [])

    def best(v: Mapping[str, str]) -> str:
        counts = Counter(v.values())
        return v[max(sorted(v), key=lambda name: (counts[v[name]], quality[name]))]

    return {image: best(v) for image, v in given.items()}


class _OutOfFold(NamedTuple):
    """What a model says of images whose labels it has not seen: (m,), (m, K), and K names."""

    rows: np.ndarray
    proba: np.ndarray
    classes: Sequence[str]


def _agreed_labels(
    votes: Votes, task: Task, tested: _OutOfFold | None = None
) -> dict[int, tuple[str, ...]]:
    """Return what annotators say together of the images on which they disagree.

    >>> votes = {3: {"Ann": ("a",), "Ben": ("b",), "Eve": ("a",)}}
    >>> _agreed_labels(votes, TASKS["single-label"])
    {3: ('a',)}
    """
    found = _decided(votes, task)
    if tested is not None:
        row = {image: k for k, image in enumerate(tested.rows.tolist())}
        known = {row[image]: given for image, given in votes.items() if image in row}
        # Of one answer an image, nothing can be learned about the annotators.
        if any(len(given) > 1 for given in known.values()):
            by_row = _decided(known, task, tested.proba, tested.classes)
            found |= {int(tested.rows[k]): labels for k, labels in by_row.items()}
    return {image: found[image] for image in votes if len({*votes[image].values()}) > 1}


def _read_kappa(kappa: float | None) -> str:
    """Return how a kappa reads: Landis & Koch (1977), "The measurement of observer agreement".

    >>> _read_kappa(0.78)
    'Substantial: 1 is full agreement, 0 is what chance alone would give.'
    """
    if kappa is None:
        return "Not known: all answers are of one class, which chance alone explains."
    words = ("Poor", "Slight", "Fair", "Moderate", "Substantial", "Almost perfect")
    word = words[int(np.searchsorted([0, 0.2, 0.4, 0.6, 0.8], kappa, side="right"))]
    return f"{word}: 1 is full agreement, 0 is what chance alone would give."


def _decided(
    votes: Votes, task: Task, proba: np.ndarray | None = None, classes: Sequence[str] = ()
) -> dict[int, tuple[str, ...]]:
    """Return the consensus of all images."""
    found: dict[int, tuple[str, ...]] = dict.fromkeys(votes, ())
    for decision in task.decisions(votes, proba, classes):
        for image, label in _consensus_labels(*decision).items():
            found[image] += (label,) if label else ()
    return found


def _crowdlab(
    given: Mapping[int, Mapping[str, str]], people: list[str], proba: np.ndarray, classes: list[str]
) -> dict[int, str]:
    from cleanlab.multiannotator import get_label_quality_multiannotator

    table = np.full((len(given), len(people)), np.nan)
    for row, v in enumerate(given.values()):
        for name, label in v.items():
            table[row, people.index(name)] = classes.index(label)
    # A class that is new has probability 0, of which there is no logarithm.
    rows = np.clip(np.asarray(proba, dtype=float)[list(given)], 1e-6, None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Annotators do not agree on any example")
        found = get_label_quality_multiannotator(
            table,
            rows / rows.sum(axis=1, keepdims=True),
            verbose=False,
            return_detailed_quality=False,
            return_annotator_stats=False,
        )
    labels = found["label_quality"]["consensus_label"].tolist()
    return {image: classes[int(label)] for image, label in zip(given, labels, strict=True)}


def _mean_kappa(kappa: _Kappa, votes: Votes, task: Task) -> float | None:
    found = [value for each, *_ in task.decisions(votes) if (value := kappa(each)) is not None]
    return float(np.mean(found)) if found else None


def _cohen(votes: Votes) -> float | None:
    """Return Cohen's kappa of the two annotators of some images."""
    first, second = zip(*([str(v[a]) for a in sorted(v)] for v in votes.values()), strict=True)
    # Where only one answer was ever given, chance explains it all.
    if len({*first, *second}) < 2:
        return None
    return float(cohen_kappa_score(first, second))


def _fleiss(votes: Votes) -> float | None:
    """Return Fleiss' kappa of any number of annotators an image, at least two."""
    said = [[*given.values()] for given in votes.values()]
    counts = np.array([[each.count(x) for x in sorted({*chain(*said)})] for each in said], float)
    n = counts.sum(axis=1)
    observed = ((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))).mean()
    expected = ((counts.sum(axis=0) / n.sum()) ** 2).sum()
    return None if expected == 1 else float((observed - expected) / (1 - expected))
