"""Galleries of pseudo-labels: what each round believed, and how sure it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.report.inputs import Gallery, GalleryItem
from fewlabel.report.thumbnails import read_thumbnails
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory

MAX_ROUNDS = 4
"""Rounds that are shown at most: the first, the last, and some between them."""

MAX_IMAGES = 24
"""Images of a round at most: half of them the surest, half the least sure."""


def accepted_galleries(
    log: TrainingHistory | None,
    images: ImageSet,
    classes: Sequence[str],
    predicted: Sequence[str],
) -> list[Gallery]:
    """Show pseudo-labels that were trained on, round by round.

    Parameters
    ----------
    log : TrainingHistory or None
        What happened in training.
    images : ImageSet
        The images.
    classes : sequence of str
        Names of the classes, by the codes of the pseudo-labels.
    predicted : sequence of str
        What the final model says of each image: where it is something else than the
        pseudo-label, the picture says so.

    Returns
    -------
    list of Gallery
        One gallery a round, at most ``MAX_ROUNDS``.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> digits = load_images("digits")
    >>> log = TrainingHistory()
    >>> rows, codes, confidence = np.arange(2), np.array([0, 1]), np.array([0.9, 0.8])
    >>> log.accepted.append(AcceptedLabels("network", 1, rows, codes, confidence))
    >>> (gallery,) = accepted_galleries(log, digits, list("0123456789"), ["0"] * len(digits))
    >>> [(item.label, item.note) for item in gallery.items]
    [('0', ''), ('1', 'in the end: 0')]
    """
    filled = [accepted for accepted in log.accepted if len(accepted.rows)] if log else []
    if len(filled) > MAX_ROUNDS:
        places = np.linspace(0, len(filled) - 1, MAX_ROUNDS).round().astype(int)
        filled = [filled[place] for place in places]
    named = len({accepted.network for accepted in filled}) > 1
    return [_gallery(accepted, images, classes, predicted, named) for accepted in filled]


def choose_spread(codes: np.ndarray, confidence: np.ndarray, n: int = MAX_IMAGES) -> np.ndarray:
    """Choose pseudo-labels to look at: the surest of each class in turn, then the least sure.

    Parameters
    ----------
    codes : ndarray of shape (m,), int
        Class of each.
    confidence : ndarray of shape (m,), float
        Confidence of each.
    n : int
        How many to choose.

    Returns
    -------
    ndarray of shape (min(m, n),), int
        Positions, the surest first.

    Examples
    --------
    >>> choose_spread(np.array([0, 0, 1, 1]), np.array([0.99, 0.9, 0.8, 0.7]), 2)
    array([0, 3])
    """
    order = np.argsort(-confidence, kind="stable")
    if len(order) <= n:
        return order
    least = order[len(order) - n // 2 :]
    rest = order[: len(order) - n // 2]
    # The surest are often all of one class: each class gives its best before any gives another.
    turn = np.empty(len(rest), dtype=np.int64)
    for code in np.unique(codes[rest]):
        of_class = np.flatnonzero(codes[rest] == code)
        turn[of_class] = np.arange(len(of_class))
    surest = np.argsort(turn, kind="stable")[: n - n // 2]
    return np.concatenate([rest[np.sort(surest)], least])


def _gallery(
    accepted: AcceptedLabels,
    images: ImageSet,
    classes: Sequence[str],
    predicted: Sequence[str],
    named: bool,
) -> Gallery:
    confidence = np.asarray(accepted.confidence, dtype=np.float64)
    chosen = choose_spread(accepted.codes, confidence)
    rows, codes = accepted.rows[chosen].tolist(), accepted.codes[chosen].tolist()
    pixels = read_thumbnails(images, rows)
    items = []
    for image, row, code, sure in zip(pixels, rows, codes, confidence[chosen], strict=True):
        changed = predicted[row] != classes[code]
        note = f"in the end: {predicted[row]}" if changed else ""
        items.append(GalleryItem(image, images.names[row], classes[code], float(sure), note))
    of = f", {accepted.network}" if named else ""
    return Gallery(f"Pseudo-labels of round {accepted.round}{of}", _caption(confidence), items)


def _caption(confidence: np.ndarray) -> str:
    count = len(confidence)
    if count <= MAX_IMAGES:
        return f"All {count} of this round." if count > 1 else "The only one of this round."
    # Rounded down: "at least 100 % sure" would promise more than 99.6 % does.
    low, middle = np.floor(100 * np.quantile(confidence, [0.0, 0.5]) + 1e-9)
    half = MAX_IMAGES // 2
    return (
        f"{count:,} images, half of them at least {middle:.0f} % sure, all at least "
        f"{low:.0f} %. First {MAX_IMAGES - half} of the surest, of as many classes as "
        f"possible, then the {half} least sure: mistakes show up there."
    )
