"""Several labels an image: ``a|b`` in tables, 1, 0 and -1 in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewlabel.errors import DataError, LabelError

BAR = "|"
"""Stands between labels; alone, it says that an image has none of them."""

UNKNOWN = "?"
"""Before a label: not known. Alone: nothing is known of the labels that are not named."""


@dataclass(frozen=True)
class MultiLabels:
    """Labels of an image set in which an image may have several.

    Parameters
    ----------
    y : ndarray of shape (n, K), dtype int8
        1 where a label is present, 0 where it is absent, -1 where that is not known.
    classes : tuple of str
        Names of the labels, sorted.
    purpose : tuple of str
        Why each image was chosen, as in `fewlabel.data.Labels`; empty if that is not known.

    Examples
    --------
    >>> labels = MultiLabels(np.array([[1, 1], [-1, -1], [0, -1]], np.int8), ("cat", "dog"))
    >>> labels.names(), labels.n_labeled
    (['cat|dog', '', '|?dog'], 2)
    """

    y: np.ndarray
    classes: tuple[str, ...]
    purpose: tuple[str, ...] = ()

    @property
    def audit(self) -> np.ndarray:
        """Labelled images that are to measure accuracy; shape (n_audit,), dtype int64."""
        marked = [i for i, purpose in enumerate(self.purpose) if purpose == "audit"]
        return np.intersect1d(np.array(marked, dtype=np.int64), self.labeled)

    @property
    def training_y(self) -> np.ndarray:
        """``y`` with -1 at the images of the audit; shape (n, K), dtype int8."""
        y = self.y.copy()
        y[self.audit] = -1
        return y

    @property
    def is_random(self) -> bool:
        """Whether every label to train on is known to be drawn at random."""
        rows = np.flatnonzero((self.training_y >= 0).any(axis=1)).tolist()
        return bool(self.purpose) and all(self.purpose[i] == "random" for i in rows)

    @property
    def labeled(self) -> np.ndarray:
        """Indices of the images of which a label is known; shape (n_labeled,), dtype int64."""
        return np.flatnonzero((self.y >= 0).any(axis=1))

    @property
    def n_labeled(self) -> int:
        """Of how many images a label is known."""
        return len(self.labeled)

    def names(self) -> list[str]:
        """Give the labels as text.

        Returns
        -------
        list of str
            Such as ``"cat|dog"``; ``""`` where nothing is known.
        """
        return label_texts(self.y, self.classes)


def label_texts(y: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Write a table of labels as texts.

    Parameters
    ----------
    y : ndarray of shape (n, K)
        1 present, 0 absent, -1 not known.
    classes : sequence of str
        Name of each column.

    Returns
    -------
    list of str
        Such as ``"cat|dog"``; ``"cat|?dog"`` where it is not known whether there is a dog;
        ``"cat|?"`` where nothing but the cat is known; ``"|"`` where all are absent; ``""``
        where nothing is known.

    Examples
    --------
    >>> label_texts(np.array([[1, 0], [1, -1], [0, 0], [-1, -1]]), ["cat", "dog"])
    ['cat', 'cat|?dog', '|', '']
    """
    texts = []
    for row in np.asarray(y).astype(np.int8):
        if (row < 0).all():
            texts.append("")
            continue
        parts = [str(classes[i]) for i in np.flatnonzero(row == 1).tolist()]
        unknown = [f"{UNKNOWN}{classes[i]}" for i in np.flatnonzero(row < 0).tolist()]
        if len(unknown) > 1 and not (row == 0).any():
            unknown = [UNKNOWN]
        if not parts:
            # Nothing stands before the bar, so that "?dog" is not taken for a class.
            parts = [""] if unknown else ["", ""]
        texts.append(BAR.join([*parts, *unknown]))
    return texts


def check_label_names(names: Sequence[str], source: str) -> None:
    """Refuse names of labels that a text with bars could not hold.

    Parameters
    ----------
    names : sequence of str
        The names.
    source : str
        What they belong to, for messages.

    Raises
    ------
    DataError
        If a name is blank, stands twice, begins or ends with a blank, holds a bar or begins with
        a question mark.

    Examples
    --------
    >>> check_label_names(["cat", "dog"], "photos.npz")
    """
    seen: set[str] = set()
    for name in names:
        if not name.strip() or name != name.strip() or BAR in name or name.startswith(UNKNOWN):
            raise DataError(
                f"{source} has a label called {name!r}: give it a name without a bar, without a "
                "question mark in front, and without blanks around it."
            )
        if name in seen:
            raise DataError(f"{source} has two labels called {name!r}: give each its own name.")
        seen.add(name)


def label_table(
    texts: Sequence[str], where: Sequence[str], classes: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read texts such as ``a|b`` as a table of labels.

    Parameters
    ----------
    texts : sequence of str
        One text an image, as `label_texts` writes them.
    where : sequence of str
        Where each text stands, for messages.
    classes : sequence of str, optional
        The only labels that may appear; by default those that do, sorted.

    Returns
    -------
    y : ndarray of shape (n, K), dtype int8
        1 present, 0 absent, -1 not known.
    classes : tuple of str
        Name of each column.

    Raises
    ------
    LabelError
        If a label is said to be present and not known, or ``classes`` lacks it.

    Examples
    --------
    >>> y, classes = label_table(["cat|dog", "", "dog|?cat", "|"], ["1", "2", "3", "4"])
    >>> y.tolist(), classes
    ([[1, 1], [-1, -1], [-1, 1], [0, 0]], ('cat', 'dog'))
    """
    parsed = [_parts(text, place) for text, place in zip(texts, where, strict=True)]
    if classes is None:
        classes = sorted({name for present, unknown, _ in parsed for name in present | unknown})
    position = {name: i for i, name in enumerate(classes)}
    y = np.zeros((len(parsed), len(position)), dtype=np.int8)
    for row, (text, (present, unknown, others)) in enumerate(zip(texts, parsed, strict=True)):
        if not text or others:
            y[row] = -1
        for names, value in ((unknown, -1), (present, 1)):
            for name in names:
                if name not in position:
                    listed = ", ".join(repr(c) for c in list(classes)[:10])
                    raise LabelError(
                        f"{where[row]}: the label {name!r} is not among the classes {listed}"
                        f"{', …' if len(position) > 10 else '.'}"
                    )
                y[row, position[name]] = value
    return y, tuple(classes)


def _parts(text: str, where: str) -> tuple[set[str], set[str], bool]:
    """Give the labels that are present, those not known, and whether no other one is known."""
    parts = [part.strip() for part in text.split(BAR)]
    unknown = {part.removeprefix(UNKNOWN).strip() for part in parts if part.startswith(UNKNOWN)}
    present = {part for part in parts if part and not part.startswith(UNKNOWN)}
    both = sorted(present & unknown)
    if both:
        raise LabelError(
            f"{where}: {both[0]!r} is said to be present and not to be known ({text!r}): keep one "
            "of the two."
        )
    return present, unknown - {""}, "" in unknown
