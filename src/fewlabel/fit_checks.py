"""What a fit refuses, and what it warns of: the user's images and labels."""

import math
import time
from collections.abc import Sequence

import numpy as np

from fewlabel.data import ImageSet, Labels
from fewlabel.errors import LabelError
from fewlabel.evaluate import BASELINE, AccuracyEstimate, Choice, Gain, gain_on_labels
from fewlabel.features.base import FeatureExtractor
from fewlabel.features.extract import Features, _choose_extractors, _suited_to
from fewlabel.features.near_copies import _find_groups, _ImageGroups
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.fit_settings import FitSettings
from fewlabel.semisupervised.network_problem import _least_seconds
from fewlabel.semisupervised.networks import MIN_LABELS
from fewlabel.semisupervised.search import MIN_SECONDS

_MANY = 5
"""Images that show nothing are warned of from one in so many on."""

_NO_AUDIT = (
    "None of the labeled images is known to be drawn at random, so the accuracy estimate may be "
    "off: `fewlabel select --audit 50` draws images for an unbiased one."
)


def _check_trainable(images: ImageSet, labels: Labels) -> None:
    """Raise if there are fewer than two classes, or images, that are labeled to train on."""
    y = labels.training_y
    present, known = labels.task.evidence(y, len(labels.classes))
    present = (present == 1) & known
    if not (present.any(axis=0) & (known & ~present).any(axis=0)).any():
        labeled = labels.task.labeled(y)
        held = "every image is labeled " + repr(labels.names()[labeled[0]]) if len(labeled) else ""
        raise LabelError(
            f"There is nothing to learn: {held or 'no image to train on is labeled'}. Label images "
            "of at least two classes (labels with the purpose `audit` do not count)."
        )
    if len(np.unique(images.content_groups()[labels.task.labeled(y)])) < 2:
        raise LabelError("At least two different images must be labeled to train.")


def _fit_warnings(
    images: ImageSet,
    labels: Labels,
    choice: Choice,
    audit: AccuracyEstimate | None,
    audit_gain: Gain | None = None,
    groups: _ImageGroups | None = None,
) -> list[str]:
    """Return what the user must know of the images and labels, a sentence or two each."""
    found, groups = list[str](), groups or _find_groups(images, labels)
    if images.skipped:
        found.append(
            f"{len(images.skipped)} file(s) were set aside, {images.skipped[0].path} first: see "
            "skipped.csv for the reasons."
        )
    found += _sameness(images, groups.content)
    found += _class_warnings(labels, groups.number)
    gain = audit_gain or gain_on_labels(choice)
    if choice.name == BASELINE and gain is not None and gain.is_known and gain.points <= 0:
        found.append(
            "The unlabeled images did not help: the supervised baseline, trained without them, "
            "does at least as well and is kept."
        )
    found += _conflicts(images, labels, groups.content) or _conflicts(
        images, labels, groups.copies, "nearly "
    )
    found += _kinship(labels, groups)
    found += _left_blank(labels)
    some_left = labels.n_labeled < len(labels.y)
    if audit is None and not len(labels.random) and some_left:
        found.append(_NO_AUDIT)
    return found


def _kinship(labels: Labels, groups: _ImageGroups) -> list[str]:
    """Return which images are copies of others that are trained on, or share a group with them."""
    found = list[str]()
    trained = labels.task.labeled(labels.training_y)
    # A copy of an image that was trained on is predicted from its own label.
    copies = int(np.isin(groups.content[labels.audit], groups.content[trained]).sum())
    near = int(np.isin(groups.number[labels.audit], groups.number[trained]).sum()) - copies
    for n, what in (
        (copies, "exact copies of images that are trained on"),
        (near, "near-copies of images that are trained on, or of one group with them"),
    ):
        if n:
            found.append(f"{n} image(s) of the audit are {what}, and do not count for it.")
    akin = groups._akin(trained)
    n_akin = int(akin.sum() - akin[labels.audit].sum())
    if n_akin:
        found.append(
            f"{n_akin:,} unlabeled image(s) nearly repeat a labeled one, or share its group: they "
            "are easier than new ones. The accuracy is that on images of other groups."
        )
    return found


def _left_blank(labels: Labels) -> list[str]:
    """Return whether random rows were passed over more often than the others."""
    purpose = np.array(labels.purpose, dtype=object)
    given = np.isin(np.arange(len(purpose)), labels.labeled)
    random, others = np.isin(purpose, ["random", "audit"]), purpose == "train"
    n_blank = len(labels.awaited)
    # Of a table that is filled in from above, as many of either kind are left.
    expected = (others & ~given).sum() / max(others.sum(), 1) * random.sum()
    if n_blank <= 2 * expected + 1:
        return []
    return [
        f"{n_blank:,} of {int(random.sum()):,} random images were left without a label. If they "
        "are the hard ones, the accuracy is lower than estimated: label them, too."
    ]


def _sameness(images: ImageSet, groups: np.ndarray) -> list[str]:
    """Return what to know where many images show nothing, or the same."""
    found, ground = list[str](), images.scale.ground
    if ground != 255:
        found.append(
            "The transparent images are laid on "
            f"{'black' if ground == 0 else 'gray'}: on white, many of them would be of one color."
        )
    copies = np.ones(len(groups), bool)
    copies[np.unique(groups, return_index=True)[1]] = False
    for same, what in (
        (images._is_flat(), "are of one color (flat), so they show nothing"),
        (copies, "are identical to another, so they add nothing"),
    ):
        rows = np.flatnonzero(same)
        if len(rows) * _MANY >= len(same):
            found.append(
                f"{len(rows):,} of {len(same):,} images {what}, {images.names[rows[0]]} first: "
                "check that they were written, and are read, as you mean them."
            )
    return found


def _class_warnings(labels: Labels, groups: np.ndarray) -> list[str]:
    """Return which classes cannot be learned or tested, and what teaches nothing but absence."""
    present, known = labels.task.evidence(labels.training_y, len(labels.classes))
    # A group is like one image: two labels of the same one teach and test a class no better.
    images_of = [len(np.unique(groups[column == 1])) for column in present.T]
    single = [name for name, n in zip(labels.classes, images_of, strict=True) if n == 1]
    missing = [name for name, n in zip(labels.classes, images_of, strict=True) if n == 0]
    found = []
    if single:
        found.append(
            f"{len(single)} class(es) have one labeled image only ({_listed(single)}), so how "
            "well they are recognized cannot be tested: label one more image of each."
        )
    if missing:
        found.append(
            f"No image to train on has the class(es) {_listed(missing)}, so the model does not "
            "know them: label images that have them."
        )
    bare = int((known[:, known.any(axis=0)].all(axis=1) & ~(present == 1).any(axis=1)).sum())
    if bare:
        found.append(
            f"{bare:,} labeled image(s) have none of the labels: they teach absence. Leave the "
            "label blank where it is not known."
        )
    return found


def _conflicts(images: ImageSet, labels: Labels, groups: np.ndarray, how: str = "") -> list[str]:
    """Return which copies carry different labels."""
    seen: dict[int, int] = {}
    names, y = labels.names(), labels.y
    for index in labels.labeled.tolist():
        other = seen.setdefault(int(groups[index]), index)
        # Where one of them leaves a label open, they do not disagree.
        if ((y[other] != y[index]) & (y[other] >= 0) & (y[index] >= 0)).any():
            return [
                f"{images.names[other]} and {images.names[index]} are {how}the same image, labeled "
                f"{names[other]!r} and {names[index]!r}: correct one of them."
            ]
    return []


def _listed(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def _why_no_networks(
    images: ImageSet, labels: Labels, settings: FitSettings, prepared: Features | None
) -> str:
    """Return why the time that was given trains no network, before it is spent."""
    given, n_labeled = settings.time_budget, len(labels.task.labeled(labels.training_y))
    if given is None or settings.method != "auto":
        return ""
    if settings.checkpoint is not None and settings.checkpoint.exists():
        # What was interrupted goes on, however long it takes.
        return ""
    start, needed, why = time.perf_counter(), MIN_SECONDS, ""
    none = f"No networks are trained in the time of {given:g} seconds"
    if n_labeled < MIN_LABELS:
        why = f"the {n_labeled} labels are too few for it: label {MIN_LABELS} images or more"
    else:
        extractor = _trained_extractor(images, settings) if prepared is None else prepared.extractor
        needed = max(needed, _least_seconds(images, extractor, len(labels.classes)))
        if isinstance(extractor, PatchFeatures):
            none = f"The {given:g} seconds go to other patch features, and no networks are trained"
    needed += time.perf_counter() - start
    if not why and needed > given:
        why = f"they need about {math.ceil(needed / 50)} minutes on this machine: give "
        why += f"--time {math.ceil(needed / 50)}m or more"
    return why and f"{none}, since {why}."


def _trained_extractor(images: ImageSet, settings: FitSettings) -> FeatureExtractor:
    """Return what the features of images will be made by; of joined networks the first."""
    features, weights, device = settings.features, settings.weights, settings.device
    if features == "auto" and weights is None:
        features, *_ = _suited_to(images, settings.time_budget, device, cache=settings.cache)
    (extractor, *_), _ = _choose_extractors(
        features, weights=weights, seed=settings.seed, device=device
    )
    if extractor.is_frozen:
        # Loads the network, and looks at no image.
        extractor.fit(images)
    return extractor
