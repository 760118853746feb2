"""What a review page shows: images that are asked for, confusions, opinions, and an offer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fewlabel.labelling.cards import Card


@dataclass(frozen=True)
class _Wanted:
    """Which images to show; classes by name, None for any."""

    predicted: str | None = None
    not_predicted: str | None = None
    label: str | None = None
    not_label: str | None = None
    low: float = 0.0
    high: float = 1.0
    # One of ``SOURCES``; "tested" for what models say that have not seen the label; "" for all.
    source: str = ""
    round: int | None = None
    order: str = "unsure"
    # Who has answered, before any review.
    annotator: str = ""


@dataclass(frozen=True)
class Sheet:
    """A page of images.

    Attributes
    ----------
    total : int
        Images on all pages.
    page, n_pages : int
        Which one of how many, from 0.
    round : int
        Of the model; 0 before there is one.
    cards : tuple of Card
        The images; the suggestion is what the model says.
    n_marked : int
        Of doubtful labels, those that are less probable than 5 %.
    """

    total: int
    page: int
    n_pages: int
    round: int
    cards: tuple[Card, ...]
    n_marked: int = 0


@dataclass(frozen=True)
class Confusion:
    """What labels say, and what models say that have not seen them.

    Attributes
    ----------
    round : int
        Of the model; 0 before there is one.
    several : bool
        Whether an image may have several labels.
    classes : tuple of str
        Names; their positions are the numbers of the classes.
    counts : tuple of tuple of int
        Images by label (rows) and prediction (columns); where an image may have several labels,
        of each class the right, the missed, and those that have it by the model alone.
    n : int
        Images that were tested.
    """

    round: int
    several: bool
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    n: int


@dataclass(frozen=True)
class Opinion:
    """What the model said of an image.

    Attributes
    ----------
    round : int
        In which round.
    labels : tuple of str
        Its labels.
    confidence : float
        How sure it was.
    source : str
        ``"propagated"`` or ``"model"``; ``"tested"`` from models that have not seen the label.
    at : datetime
        When.
    """

    round: int
    labels: tuple[str, ...]
    confidence: float
    source: str
    at: datetime


@dataclass(frozen=True)
class Offer:
    """What can be accepted without a look.

    Attributes
    ----------
    max_error : float
        Fraction of the images that may be wrong.
    threshold : float or None
        Least confidence; None where nothing can be promised.
    n_images : int
        How many images without a label are that sure, and not unlike anything labeled.
    n_unlike : int
        How many are left out since they are.
    n_labels : int
        Random labels that the promise rests on.
    why_not : str
        Why nothing can be promised; empty where something can.
    round : int
        Of the model; 0 before there is one.
    """

    max_error: float
    threshold: float | None
    n_images: int
    n_unlike: int
    n_labels: int
    why_not: str
    round: int
