"""Which images to label first: the first half of the main job."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.cluster.representatives import _pick_representatives
from fewlabel.cluster.strategies import Picks, find_strategy
from fewlabel.cluster.strategies.clusters import _leading_neighbors
from fewlabel.compute import _as_generator, _timed_stage
from fewlabel.data import ImageSet, Labels, load_images
from fewlabel.data.label_rows import RANDOM_FRACTION
from fewlabel.data.tables import _write_table
from fewlabel.errors import UsageError
from fewlabel.features.extract import Features, Progress, extract_features
from fewlabel.features.near_copies import _find_groups, _ImageGroups

ENOUGH_A_CLASS = 5
"""Labels a class from which on it pays to ask what a model is unsure of (docs/decisions/0016)."""
# So many labeled images say where labels are; clusters around all of many more take minutes.
_MAX_ANCHORS = 2_000
# So many labels cover a set better than the middles of its clusters do: see decision 15.
_MANY = 200


@dataclass(frozen=True, eq=False)
class Selection:
    """Images worth labeling.

    Attributes
    ----------
    indices : ndarray of shape (n_picks,), dtype int64
        Images, the most useful first and random ones between them; those for the audit last.
    purpose : ndarray of shape (n_picks,), dtype object
        ``"train"``, ``"random"`` (to train on, drawn at random) or ``"audit"``.
    cluster_size : ndarray of shape (n_picks,), dtype int64
        How many images each one represents; 0 for random ones.
    method : str
        How they were chosen.
    feature_reason : str
        Which features were used, and why.
    seconds : dict of str to float
        Time of each stage.
    warnings : list of str
        What the user must know.
    """

    indices: np.ndarray
    purpose: np.ndarray
    cluster_size: np.ndarray
    method: str
    feature_reason: str
    seconds: dict[str, float]
    warnings: list[str]


def select_images(
    images: Any,
    budget: int,
    *,
    method: str | None = None,
    random_fraction: float = RANDOM_FRACTION,
    audit: int = 0,
    labels: Labels | None = None,
    confidence: np.ndarray | None = None,
    features: str = "auto",
    weights: str | None = None,
    seed: int = 0,
    device: str = "auto",
    cache: bool = False,
    prepared: Features | None = None,
    progress: Progress | None = None,
) -> Selection:
    """Choose which images to label first.

    Parameters
    ----------
    images : ImageSet
        Images to choose from; or anything that `load_images` takes. Of exact copies only the
        first can be chosen, and of near-copies one, as long as others are left.
    budget : int
        How many to choose for training; may be 0 where there is an audit.
    method : str, optional
        A selection strategy, by its name in `fewlabel.cluster.strategies`; by default
        ``"herding"`` where a confidence is given or there are 200 labels with these, else
        ``"representatives"``.
    random_fraction : float
        Fraction of the budget that is drawn at random, spread over all clusters: trained on
        like the others, and what an honest estimate of accuracy rests on. 0 draws none.
    audit : int
        How many more to draw at random, to measure accuracy and never to train on: group by
        group, where groups are named, and nothing else is chosen from their groups. Where every
        image is labeled and the budget is 0, they are drawn from the labeled ones.
    labels : Labels, optional
        Labels that exist: these images, and their like, are not chosen again.
    confidence : ndarray of shape (n,), optional
        Confidence of a model in its prediction of each image, such as `FitResult.confidence`:
        images that it is unsure of are chosen before others. Only ``"herding"`` looks at it.
    features : str
        Which features; see `FitSettings`.
    weights : str, optional
        A ``.safetensors`` file for a network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    cache : bool
        Take features of an earlier run from the disk, and keep new ones.
    prepared : Features, optional
        Features of ``images`` that have been computed already.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Selection
        The images, most useful first.

    Raises
    ------
    UsageError
        If the budget is larger than the images allow, or the strategy is unknown.
    """
    images = load_images(images)
    seconds: dict[str, float] = {}
    _check_amounts(budget, audit, random_fraction)
    uncertainty = None if confidence is None else _uncertainty(confidence, len(images))
    labels = labels or Labels(np.full(len(images), -1), ())
    if method is None:
        covers = confidence is not None or budget + labels.n_labeled >= _MANY
        method = "herding" if covers else "representatives"
    strategy = find_strategy(method)
    known = np.union1d(labels.labeled, labels.awaited)
    # A copy has the label of its original: to ask for both would waste one.
    copies = _repeats(images.content_groups(), known)
    free = _free_images(labels, known, copies, budget, audit)
    reason = "None: a random draw needs no features."
    rows, warnings = np.zeros((len(images), 1), dtype=np.float32), list[str]()
    neighbors, distances = None, None
    if budget and not strategy.is_random:
        with _timed_stage(seconds, "features"):
            prepared = prepared or extract_features(
                images,
                features=features,
                weights=weights,
                seed=seed,
                device=device,
                cache=cache,
                progress=progress,
            )
        rows, reason, warnings = prepared.rows, prepared.reason, list(prepared.warnings)
        if len(rows) > 1:
            neighbors, distances = _leading_neighbors(rows, seed)
    groups = _find_groups(images, labels, neighbors, distances)
    apart = np.setdiff1d(free, _repeats(groups.copies, known))
    free = apart if len(apart) >= budget + audit else free
    rng = _as_generator(seed)
    # The audit is drawn before the picks, from all that is free: drawn from what they leave, it
    # would be no random sample of the images.
    audited, free = _draw_audit(rng, free, budget, audit, groups.number, labels, known)
    picks = Picks(np.array([], np.int64), np.array([], np.int64))
    with _timed_stage(seconds, "select", progress):
        if budget:
            picks = _pick_representatives(
                rows,
                budget,
                method=method,
                labeled=_anchors(known, rng),
                exclude=np.setdiff1d(np.arange(len(images)), free),
                # Rounded first: 0.07 * 100 is a little more than 7.
                n_random=math.ceil(round(random_fraction * budget, 6)),
                uncertainty=uncertainty,
                distances=distances,
                random_state=seed,
            )
    if uncertainty is not None and method == "herding":
        warnings += _doubtful(labels)
    warnings += _selection_warnings(images, copies, groups, len(labels.awaited))
    return _in_order(picks, audited, method, reason, seconds, warnings)


def _in_order(picks: Picks, audited: np.ndarray, *about: Any) -> Selection:
    """Put random images between the others, and those of the audit last."""
    n, n_random = len(picks.indices), picks.n_random
    purpose = np.array(["train"] * (n - n_random) + ["random"] * n_random, object)
    order, last = _interleave(n - n_random, n_random), np.full(len(audited), "audit", object)
    return Selection(
        np.concatenate([picks.indices[order], audited]),
        np.concatenate([purpose[order], last]),
        np.concatenate([picks.cluster_sizes[order], np.zeros(len(audited), np.int64)]),
        *about,
    )


def write_picks(
    selection: Selection, images: ImageSet, out: Any, *, labels: Labels | None = None
) -> None:
    """Write the chosen images as a label table to fill in.

    Parameters
    ----------
    selection : Selection
        From `select_images`.
    images : ImageSet
        The images it was made for.
    out : str or Path
        CSV file: ``path,label,purpose,cluster_size``, or ``index,…`` for arrays.
    labels : Labels, optional
        Labels that exist: they go first, so that the table is all that a fit needs, and with
        them random images that were asked for and have no label yet.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written to.
    """
    key = "index" if images.by_index else "path"
    rows, names = list[tuple[str, ...]](), [""] * len(images)
    # Labels that exist go first: the table is then all that a fit needs.
    if labels is not None:
        names, why = labels.cells(), labels.purpose or ("",) * len(images)
        # Left out, the hard ones among the random images would be missed by the estimate.
        held = np.union1d(labels.labeled, labels.awaited)
        others = np.setdiff1d(held, selection.indices).tolist()
        rows = [(images.names[i], names[i], why[i], "") for i in others]
    rows += [
        (images.names[index], names[index], purpose, str(size))
        for index, purpose, size in zip(
            selection.indices.tolist(),
            selection.purpose.tolist(),
            selection.cluster_size.tolist(),
            strict=True,
        )
    ]
    header = [key, "label", "purpose", "cluster_size"]
    if labels is not None and labels.groups:
        group_of = dict(zip(images.names, labels.groups, strict=True))
        listed = {row[0] for row in rows}
        # A group may be given to images that have no label yet.
        rows += [(name, "", "", "") for name, of in group_of.items() if of and name not in listed]
        rows, header = [(*row, group_of[row[0]]) for row in rows], [*header, "group"]
    _write_table(out, header, rows)


def _looked_up(truth: Labels, *chosen: Selection) -> Labels:
    """Return the labels of chosen images, and of no other, as a person would give them."""
    indices = np.concatenate([each.indices for each in chosen])
    purpose = np.full(len(truth.y), "", dtype=object)
    purpose[indices] = np.concatenate([each.purpose for each in chosen])
    y = truth.task.without(truth.y, np.setdiff1d(np.arange(len(truth.y)), indices))
    return Labels(y, truth.classes, tuple(purpose.tolist()))


def _check_amounts(budget: int, audit: int, random_fraction: float) -> None:
    """Raise if nothing is asked for, or less than nothing."""
    if not 0 <= random_fraction <= 1:
        raise UsageError(
            "The 'random_fraction' parameter must be from 0 to 1, such as 0.3 (--random-fraction). "
            f"Got {random_fraction} instead."
        )
    if budget < 0 or audit < 0 or budget + audit == 0:
        raise UsageError(
            f"The budget must be at least 1, or 0 with an audit of at least 1 (--audit). Got "
            f"{budget} and an audit of {audit} instead."
        )


def _free_images(
    labels: Labels, known: np.ndarray, copies: np.ndarray, budget: int, audit: int
) -> np.ndarray:
    """Return the images that can be chosen; raise if fewer than are asked for."""
    n, n_awaited = len(labels.y), len(labels.awaited)
    free = np.setdiff1d(np.arange(n), np.union1d(known, copies))
    if not budget and not len(free):
        # Where every image is labeled, some of the labels measure from now on.
        free = np.setdiff1d(labels.labeled, np.union1d(copies, labels.audit))
    n_free = len(free)
    if budget + audit > n_free:
        with_audit = f" and an audit of {audit:,}" if audit else ""
        step = f"ask for at most {n_free:,}" if n_free else "there is nothing left to choose"
        raise UsageError(
            f"A budget of {budget:,}{with_audit} does not fit {n:,} images, of which "
            f"{len(known):,} are labeled{' or asked for' if n_awaited else ''} and "
            f"{len(copies):,} are exact copies of others: {step}"
            f"{' together' if audit and n_free else ''}."
        )
    return free


def _uncertainty(confidence: np.ndarray, n_images: int) -> np.ndarray:
    """Return how unsure a model is of each image."""
    uncertainty = 1 - np.asarray(confidence, dtype=np.float64)
    # NaN is in no range.
    if uncertainty.shape != (n_images,) or not ((uncertainty >= 0) & (uncertainty <= 1)).all():
        raise UsageError(
            f"The 'confidence' parameter must be {n_images:,} numbers from 0 to 1, one an image, "
            f"such as `FitResult.confidence`. Got an array of shape {uncertainty.shape} instead."
        )
    return uncertainty


def _doubtful(labels: Labels) -> list[str]:
    """Return what to know where a model with few labels says what it is unsure of."""
    each = (labels.n_labeled - len(labels.audit)) / max(len(labels.classes), 1)
    if each >= ENOUGH_A_CLASS:
        return []
    return [
        f"There are {each:.1f} labels a class: what a model is unsure of says little before there "
        f"are {ENOUGH_A_CLASS}. In three of four trials `--method representatives` did better."
    ]


def _anchors(known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the labeled images, or as many of them as say where labels are."""
    if len(known) <= _MAX_ANCHORS:
        return known
    return np.sort(rng.choice(known, _MAX_ANCHORS, replace=False))


def _selection_warnings(
    images: ImageSet, copies: np.ndarray, groups: _ImageGroups, n_awaited: int
) -> list[str]:
    warnings = []
    if n_awaited:
        warnings.append(
            f"{n_awaited:,} random image(s) of the earlier table have no label yet and stay in the "
            "new one: label them even where it is hard, or the accuracy will be overestimated."
        )
    if images.skipped:
        first = images.skipped[0]
        warnings.append(
            f"{len(images.skipped)} file(s) cannot be used, such as {first.path}: {first.reason}"
        )
    if len(copies):
        warnings.append(
            f"{len(copies)} image(s) are exact copies of others and are not chosen, such as "
            f"{images.names[copies[0]]}."
        )
    if groups.n_near:
        first, second = (images.names[i] for i in groups.pairs[0])
        warnings.append(
            f"{groups.n_near:,} image(s) are near-copies of others, such as {second} of {first}: "
            "one of each is chosen at most, as long as there are others."
        )
    return warnings


def _draw_audit(
    rng: np.random.Generator,
    free: np.ndarray,
    budget: int,
    n: int,
    groups: np.ndarray,
    labels: Labels,
    known: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw n more for the audit, of no group that is trained on; return what is left to train."""
    audit = np.flatnonzero([purpose == "audit" for purpose in labels.purpose])
    trained = groups[np.setdiff1d(known, np.union1d(audit, free))]
    able = free[~np.isin(groups[free], trained)] if n else free
    if n > len(able) and not budget:
        # Where all images are labeled, a copy is labeled too; `fit` says which do not count.
        able = free
    if n > len(able):
        raise UsageError(
            f"An audit must not share a group with labels to train on, and {len(able):,} images "
            f"are in other groups. Got an audit of {n:,} instead: ask for fewer."
        )
    drawn = rng.choice(able, size=n, replace=False)
    if len(np.unique(groups[able])) < len(able):
        # Whole groups: single images of all of them would leave none to train on.
        order = rng.permutation(able)
        _, of = np.unique(groups[order], return_inverse=True)
        # Whichever is as probable as another, large or small, so that each image is.
        drawn = order[np.argsort(rng.permutation(of.max() + 1)[of], kind="stable")][:n]
    left = free[~np.isin(groups[free], groups[np.union1d(drawn, audit)])]
    if budget > len(left):
        raise UsageError(
            f"An audit of {n:,} takes whole groups and leaves {len(left):,} images in others, "
            f"fewer than the budget of {budget:,}: ask for a smaller audit or budget."
        )
    return np.sort(drawn), left


def _interleave(n_best: int, n_random: int) -> np.ndarray:
    """Return an order in which random rows stand between the others at equal distances."""
    # Whoever labels a part of the table has labeled some of either kind.
    return np.argsort(np.r_[_middles(n_best), _middles(n_random)], kind="stable")


def _middles(n: int) -> np.ndarray:
    """Return the middles of n equal parts of 0 to 1."""
    return (np.arange(n) + 0.5) / max(n, 1)


def _repeats(groups: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return all images of each group but one: one that is labeled, or else the first."""
    order = np.concatenate([known, np.setdiff1d(np.arange(len(groups)), known)])
    _, first = np.unique(groups[order], return_index=True)
    return np.setdiff1d(order, order[first])
