"""What the pages show: images as cards, groups and sheets of them, opinions, and keys."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

# Letters that the page gives another meaning.
_RESERVED = frozenset("gmnsuxz")
_DIGITS = "1234567890"


@dataclass(frozen=True)
class Suggestion:
    """What the model would answer.

    Attributes
    ----------
    labels : tuple of str
        Its labels.
    confidence : float
        Probability that they are right.
    round : int
        Which round of the model.
    """

    labels: tuple[str, ...]
    confidence: float
    round: int


@dataclass(frozen=True)
class Card:
    """One image as the page shows it.

    Attributes
    ----------
    image : int
        Row of the image set.
    name : str
        Its name.
    content : str
        Fingerprint of its content, by which a browser keeps it.
    labels : tuple of str or None
        Labels that it has; None for none so far.
    suggestion : Suggestion or None
        What the model would answer.
    purpose : str
        ``"train"``, ``"random"``, ``"audit"``, or empty.
    why : str
        Why it is shown, as a sentence.
    is_small : bool
        Whether the page enlarges it and keeps its pixels sharp.
    """

    image: int
    name: str
    content: str
    labels: tuple[str, ...] | None
    suggestion: Suggestion | None
    purpose: str
    why: str
    is_small: bool


@dataclass(frozen=True)
class LookAlikes(Suggestion):
    """Images that look alike, and the labels that all of them probably have.

    Attributes
    ----------
    cards : tuple of Card
        The images.
    """

    cards: tuple[Card, ...]


def _class_keys(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the keys that answer with each class.

    First a digit each, or the one character that a class is called by; then the first letter where
    no other class has it, or the next letter that nothing has where a command or an older class
    has it. Empty where there is none.

    >>> _class_keys(["cat", "dog", "deer", "0"])
    (['1', '2', '3', '0'], ['c', '', '', ''])
    >>> _class_keys(["moth", "owl"])[1]
    ['o', 'w']
    """
    own = {name: name.lower() for name in names if _is_key(name.lower())}
    own = {name: key for name, key in own.items() if list(own.values()).count(key) == 1}
    free = iter([digit for digit in _DIGITS if digit not in own.values()])
    keys = [own[name] if name in own else next(free, "") for name in names]
    return keys, _initials(names, keys)


def _initials(names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return a letter of each class; a class that is added never takes one of an older class."""
    count, found = Counter(name[:1].lower() for name in names), list[str]()
    for i, name in enumerate(names):
        first, taken = name[:1].lower(), {*keys, *found}
        if first in _RESERVED or first in found:
            taken.update(older[:1].lower() for older in names[:i])
            letters = name[1:].lower()
        else:
            letters = first if count[first] == 1 else ""
        free = (c for c in letters if c.isalpha() and _is_key(c) and c not in taken)
        found.append(next(free, ""))
    return found


def _is_key(text: str) -> bool:
    """Return whether a key of its own can stand for a class."""
    return len(text) == 1 and text.isalnum() and text not in _RESERVED


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
class Opinion(Suggestion):
    """What the model said of an image.

    Attributes
    ----------
    source : str
        ``"propagated"`` or ``"model"``; ``"tested"`` from models that have not seen the label.
    at : datetime
        When.
    """

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
