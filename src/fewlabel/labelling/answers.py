"""Answers, and what follows from a series of them: the labels that stand, classes, purposes."""

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from fewlabel.data.label_names import _label_name
from fewlabel.data.label_texts import BAR, UNKNOWN, _in_order
from fewlabel.data.missing import _is_unlabeled_text
from fewlabel.data.task import TASKS, Task
from fewlabel.errors import UsageError

ORIGINS = ("typed", "confirmed", "group", "review", "table", "import")
"""Where an answer may come from."""

SETTLING = ("review", "table", "import")
"""Origins of the answers that no vote of several annotators overrules."""

MAX_NAME = 200
"""Longest name of a class or of an annotator, in characters."""


@dataclass(frozen=True)
class Answer:
    """The labels that an annotator gave an image.

    Parameters
    ----------
    image : int
        Row of the ``ImageSet``.
    labels : tuple of str or None
        One name where an image has one label; any number where it may have several, ``()`` for
        none of them. None if the image was skipped.
    annotator : str
        Who answered.
    seconds : float
        Time spent on it.
    origin : str
        One of ``ORIGINS``.
    suggested : tuple of str or None
        The labels that the page suggested.
    confidence : float or None
        The confidence that it showed.
    round : int
        Number of the model that suggested.
    at : datetime or None
        When it was kept.
    id : int or None
        Its number in the store.
    revoked : bool
        Whether it was undone.
    """

    image: int
    labels: tuple[str, ...] | None
    annotator: str = ""
    seconds: float = 0.0
    origin: str = "typed"
    suggested: tuple[str, ...] | None = None
    confidence: float | None = None
    round: int = 0
    at: datetime | None = None
    id: int | None = None
    revoked: bool = False


class _Event(NamedTuple):
    """One entry of the store, as far as labels, classes and purposes follow from it."""

    id: int
    kind: str
    answer: Answer | None = None
    image: int | None = None
    names: tuple[str, ...] = ()
    purpose: str = ""
    target: int | None = None
    batch: int | None = None


@dataclass
class _Log:
    """What follows from the events up to one of them."""

    task: Task = TASKS["single-label"]
    repeats: int = 1
    last: int = 0
    answers: dict[int, Answer] = field(default_factory=dict)
    by_image: dict[int, list[int]] = field(default_factory=dict)
    current: dict[int, tuple[str, ...]] = field(default_factory=dict)
    purposes: dict[int, str] = field(default_factory=dict)
    batches: dict[int, int] = field(default_factory=dict)
    # Labels by answer, with the names that classes have now.
    _renamed: dict[int, tuple[str, ...] | None] = field(default_factory=dict)
    _classes: dict[str, None] = field(default_factory=dict)

    def extend(self, events: Iterable[_Event]) -> None:
        """Add events that follow those that are there."""
        for event in events:
            self.last = event.id
            if event.kind == "answer" and event.answer is not None:
                self._add(event.id, event.answer)
                if event.batch is not None:
                    self.batches[event.id] = event.batch
            elif event.kind == "undo" and event.target in self.answers:
                answer = replace(self.answers[event.target], revoked=True)
                self.answers[event.target] = answer
                self._decide(answer.image)
            elif event.kind == "purpose" and event.image is not None:
                self.purposes[event.image] = event.purpose
            elif event.kind == "class":
                self._classes.setdefault(event.names[0])
            elif event.kind == "rename":
                self._rename_class(*event.names)

    def classes(self) -> list[str]:
        """Return the classes, in the order in which they first appeared."""
        return list(self._classes)

    def standing(self, image: int) -> list[Answer]:
        """Return the answers to an image that were not undone."""
        found = (self.answers[i] for i in self.by_image.get(image, ()))
        pairs = [(a, self._renamed[a.id or 0]) for a in found if not a.revoked]
        return [a if names is a.labels else replace(a, labels=names) for a, names in pairs]

    def last_of(self, annotator: str) -> list[int]:
        """Return the last answer of somebody in the page that stands, and those of the same key."""
        theirs = (
            number
            for number, answer in reversed(self.answers.items())
            if answer.annotator == annotator
            and answer.origin not in ("table", "import")
            and not answer.revoked
        )
        last = next(theirs, None)
        if last is None or last not in self.batches:
            return [] if last is None else [last]
        batch = self.batches[last]
        # What is accepted in blocks may have other answers in between.
        return [last, *(number for number in theirs if self.batches.get(number) == batch)]

    def is_open(self, image: int, annotator: str) -> bool:
        """Return whether an image still lacks an answer that this annotator may give."""
        # First what is so of nearly all images: a queue may name many that have their label.
        if image not in self.by_image or (self.repeats == 1 and image in self.current):
            return image not in self.by_image
        found = [self.answers[i] for i in self.by_image[image]]
        given = [answer for answer in found if not answer.revoked]
        if any(a.annotator == annotator or _settles(a) for a in given):
            return False
        return len({a.annotator for a in given if a.labels is not None}) < self.repeats

    def _add(self, number: int, answer: Answer) -> None:
        self.answers[number] = answer
        self._renamed[number] = answer.labels
        self.by_image.setdefault(answer.image, []).append(number)
        for name in answer.labels or ():
            if self.task.is_known(name):
                self._classes.setdefault(name)
        self._decide(answer.image)

    def _rename_class(self, old: str, new: str) -> None:
        # The new name takes the place of the old one, unless it has one already.
        merged = [new if name == old else name for name in self._classes]
        self._classes = dict.fromkeys(merged) if new not in self._classes else self._classes
        self._classes.pop(old, None)
        self._classes.setdefault(new)
        for number, labels in self._renamed.items():
            if labels and (old in labels or UNKNOWN + old in labels):
                pairs = {old: new, UNKNOWN + old: UNKNOWN + new}
                self._renamed[number] = _in_order(pairs.get(name, name) for name in labels)
                self._decide(self.answers[number].image)

    def _decide(self, image: int) -> None:
        """Find the label that stands."""
        given = [a for a in self.standing(image) if a.labels is not None]
        if not given:
            self.current.pop(image, None)
        elif self.repeats == 1 or _settles(given[-1]):
            self.current[image] = given[-1].labels or ()
        else:
            settled = [a for a in given if _settles(a)]
            self.current[image] = (settled[-1].labels or ()) if settled else self._vote(given)

    def _vote(self, given: list[Answer]) -> tuple[str, ...]:
        """Return what most annotators say, each by the last answer; of a tie, the latest."""
        votes = {a.annotator: a.labels or () for a in given}
        return _in_order(self.task.vote(votes.values(), [a.labels or () for a in given]))


def _check_class_name(name: str) -> str:
    """Return the name of a class in one spelling, or raise if no label table could hold it.

    >>> _check_class_name(" red fox ")
    'red fox'
    """
    clean = _label_name(name) if isinstance(name, str) else ""
    if not clean or len(clean) > MAX_NAME or not clean.isprintable():
        raise UsageError(
            f"A class needs a printable name of 1 to {MAX_NAME} characters. Got {name!r} instead."
        )
    if BAR in clean or clean[0] in f"{UNKNOWN}[{{" or _is_unlabeled_text(clean):
        raise UsageError(
            f"{clean!r} cannot be the name of a class: a label table reads it as something else. "
            "Give another name, without a bar and without ? or a bracket in front."
        )
    return clean


def _check_answer(
    answer: Answer, *, n_images: int, task: Task, classes: Container[str] = ()
) -> Answer:
    """Return an answer in one spelling, or raise if it is none to these images."""
    if not 0 <= answer.image < n_images:
        raise UsageError(f"There are the images 0 to {n_images - 1}. Got {answer.image} instead.")
    if answer.origin not in ORIGINS:
        raise UsageError(f"The origin must be one of {', '.join(ORIGINS)}. Got {answer.origin!r}.")
    numbers = (answer.seconds, answer.confidence or 0.0)
    if not all(math.isfinite(value) and value >= 0 for value in numbers):
        raise UsageError(f"Seconds and confidence must be 0 or more. Got {numbers} instead.")
    labels = answer.labels
    if labels is not None:
        labels = _in_order(n if n in classes else _checked(n, task) for n in labels)
        task.check_names(labels)
    return replace(
        answer,
        labels=labels,
        annotator=_check_annotator(answer.annotator),
        suggested=None if answer.suggested is None else tuple(answer.suggested),
    )


def _check_annotator(name: str) -> str:
    """Return the name of an annotator, or raise if it is none."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise UsageError(
            f"An annotator's name must be printable, of up to {MAX_NAME} characters. "
            f"Got {name[:40]!r} instead."
        )
    return name.strip()


def _checked(name: str, task: Task) -> str:
    if task.is_known(name):
        return _check_class_name(name)
    return UNKNOWN if name == UNKNOWN else UNKNOWN + _check_class_name(name[1:])


def _settles(answer: Answer) -> bool:
    return answer.origin in SETTLING and answer.labels is not None
