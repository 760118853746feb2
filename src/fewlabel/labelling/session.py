"""``_Session``: what a labelling page asks for and says, without HTTP."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fewlabel.data.label_rows import DRAWN
from fewlabel.data.label_texts import _names_in
from fewlabel.errors import UsageError
from fewlabel.labelling.answers import Answer, _check_class_name
from fewlabel.labelling.cards import Card, LookAlikes, Suggestion, _class_keys
from fewlabel.labelling.messages import _Round
from fewlabel.labelling.progress import _accuracy, _count, _Counts, _doing, _Pace
from fewlabel.labelling.queue import _Queue
from fewlabel.labelling.refit import _fingerprint, _Refitter, _target_reached
from fewlabel.labelling.store import _Store

_POLL_S = 2.0
# Answers that are stored together where there are thousands, and the seconds in between.
_BLOCK, _BREATH_S = 500, 0.01
_WHY = {
    "random": "Drawn at random: the estimate of accuracy rests on such images.",
    "audit": "For the audit: it measures, and is never trained on.",
}


class _Session:
    """One set of images that people label, with what learns from it."""

    def __init__(
        self,
        store: _Store,
        queue: _Queue,
        refitter: _Refitter | None = None,
        *,
        target: float | None = None,
        annotator: str = "",
        suggests: bool = True,
        table: str = "",
        command: str = "",
    ) -> None:
        self.images, self.store, self.queue, self.refitter = store.images, store, queue, refitter
        self.target, self.annotator, self.suggests = target, annotator, suggests
        self.table, self.command = table, command
        # By it a page knows whether answers that it could not send are of these images.
        self.id = _fingerprint([table, self.images.source, *self.images.names])
        self._lock = threading.Lock()
        self._renamed: dict[str, str] = {}
        self._pace = _Pace()
        self._taken = time.monotonic()
        self._counted: _Counts | None = None
        # What somebody left out of look-alikes: the labels that it has not, and where they said so.
        self._left_out: dict[int, tuple[tuple[str, ...], int | None]] = {}

    # What is shown

    def state(self, annotator: str = "") -> dict[str, Any]:
        """Return all that the page shows beside the images."""
        self._take_table()
        counts, learned = self._counts(), self._round
        # Before the first fit after a restart, the curve of the fits before.
        points = [r.point for r in self.store.rounds()] if learned is None else learned.curve
        accuracy = None if learned is None else learned.accuracy
        return {
            "session": self.id,
            "source": self.images.source,
            "table": self.table,
            "table_error": self.store.table_error,
            "n_images": len(self.images),
            **counts.numbers,
            "classes": self.classes(),
            "accuracy": _accuracy(learned),
            "curve": [[float(v) for v in point] for point in points if np.isfinite(point).all()],
            "refit": self.refit(),
            "stop": {"target": self.target, "reached": _target_reached(accuracy, self.target)},
            "pace": self._pace.of(annotator),
            "several": not self.store.task.exclusive,
            "repeats": self.store.repeats,
            "annotator": self.annotator,
            "suggests": self.suggests,
            "command": self.command,
            "version": counts.version,
        }

    def refit(self) -> dict[str, Any]:
        """Return what the model is doing."""
        return _doing(self.refitter)

    def classes(self) -> list[dict[str, Any]]:
        """Return the classes with their keys."""
        counts, names = self._counts(), self.store.classes()
        keys = zip(names, *_class_keys(names), strict=True)
        return [
            {"id": i, "name": name, "key": key, "initial": initial, "n": counts.of_class[name]}
            for i, (name, key, initial) in enumerate(keys)
        ]

    def next(self, annotator: str, n: int = 2, page: str = "") -> list[Card]:
        """Return the next images for one annotator, which nobody else gets for a while."""
        held = self.store.lease(annotator, self.queue.wanted(), n, page=page)
        purposes = self.store.purposes()
        new = [image for image in held if image not in purposes]
        if new:
            # Before it is seen: a random image that is left out later would bias the estimate.
            self.store.ask(new, [self.queue.purpose(image) for image in new])
        return self._cards(held)

    def group(self, annotator: str, n: int = 24, page: str = "") -> LookAlikes | None:
        """Return images that look alike, for one annotator."""
        purposes = self.store.purposes()
        for group in self.queue.groups(n):
            labels, confidence = self._names_of(group.label), group.confidence
            # A label in common would say of random images what the model said of them.
            shown = [i for i in group.images if purposes.get(i, "") not in DRAWN]
            free = [i for i in shown if not self._is_left_out(i, labels)]
            held = self.store.lease(annotator, free, n, page=page)
            if len(held) > 1:
                return LookAlikes(labels, confidence, group.round, tuple(self._cards(held)))
        return None

    def card(self, image: int) -> Card:
        """Return one image."""
        if not 0 <= image < len(self.images):
            raise IndexError(image)
        return self._cards([image])[0]

    # What people say

    def answer(
        self,
        annotator: str,
        answers: Sequence[Answer],
        *,
        again: bool = False,
        left_out: Sequence[int] = (),
    ) -> list[Answer]:
        """Store answers; they are on the disk when this returns.

        With ``again``, those are left out that were stored already, when nobody heard so. Images
        that are ``left_out`` are not what the answers say: look-alikes of that label lack them.
        """
        cleaned = [replace(self._translated(a), annotator=annotator) for a in answers]
        missing = [a for a in cleaned if not (again and self._is_stored(a))]
        stored = self.store.add(missing) if missing else []
        self._pace.note(annotator, len(stored))
        with self._lock:
            for answer in stored[:1]:
                self._left_out |= dict.fromkeys(left_out, (answer.labels or (), answer.id))
        if self.refitter is not None:
            self.refitter.answered()
        return stored

    def undo(self, annotator: str, image: int | None = None) -> Answer | None:
        """Take back what somebody answered last; of a group, all of it."""
        if image is not None and not self._standing(annotator, image):
            return None
        undone = self.store.undo(annotator)
        with self._lock:
            last = None if undone is None else undone.id
            self._left_out = {i: said for i, said in self._left_out.items() if said[1] != last}
        if self.refitter is not None and undone is not None:
            self.refitter.answered()
        return undone

    def add_class(self, name: str) -> str:
        """Add a class; nothing happens if it exists."""
        name = _check_class_name(name)
        with self._lock:
            self._renamed.pop(name, None)
        self.store.add_class(name)
        return name

    def rename_class(self, class_id: int, old: str, new: str) -> str:
        """Rename a class; to the name of another merges the two."""
        new, names = _check_class_name(new), self.store.classes()
        if not 0 <= class_id < len(names) or names[class_id] != old:
            raise UsageError(
                f"Class {class_id} is no longer {old!r}: somebody changed the classes meanwhile. "
                "Look at them anew."
            )
        if new != old:
            self.store.rename_class(old, new)
            with self._lock:
                renamed = {o: new if n == old else n for o, n in self._renamed.items()}
                self._renamed = {o: n for o, n in (renamed | {old: new}).items() if o != new}
        return new

    def close(self) -> None:
        """Stop learning, and close the store."""
        if self.refitter is not None:
            self.refitter.close()
        self.store.close()

    # Within

    def _fill(self, annotator: str, answers: Sequence[Answer]) -> int:
        """Store answers to images without one, in blocks between which others answer."""
        first, n = None, 0
        for start in range(0, len(answers), _BLOCK):
            block = answers[start : start + _BLOCK]
            named = [replace(self._translated(a), annotator=annotator) for a in block]
            stored = self.store._fill(named, first)
            first, n = first or next(iter(stored), None), n + len(stored)
            # A lock that is free for no moment is taken by nobody else.
            time.sleep(_BREATH_S)
        if self.refitter is not None and n:
            self.refitter.answered()
        return n

    @property
    def _round(self) -> _Round | None:
        return None if self.refitter is None else self.refitter.round

    def _counts(self) -> _Counts:
        """Return what is labeled; counted anew after every change only."""
        version = self.store.version()
        if self._counted is None or self._counted.version != version:
            self._counted = _count(self.store, version)
        return self._counted

    def _cards(self, rows: Sequence[int]) -> list[Card]:
        if not rows:
            return []
        current, purposes, known = (
            self.store.current(),
            self.store.purposes(),
            set(self.store.classes()),
        )
        cards = []
        for row in rows:
            one = self.images.subset([row])
            purpose = purposes.get(row, "")
            cards.append(
                Card(
                    image=int(row),
                    name=self.images.names[row],
                    content=one.content_digests()[0][:16],
                    labels=current.get(row),
                    suggestion=None if purpose in DRAWN else self._suggestion(row, known),
                    purpose=purpose,
                    why=_WHY.get(purpose, self._why()),
                    is_small=max((one.native_shape or (0, 0, 0))[:2]) <= 64,
                )
            )
        return cards

    def _why(self) -> str:
        if self._round is None:
            return "Stands for images that look like it."
        return "The model is unsure of it, and of images like it."

    def _suggestion(self, row: int, known: set[str]) -> Suggestion | None:
        round_ = self._round
        if round_ is None or not round_.suggested[row]:
            return None
        labels = self._names_of(str(round_.suggested[row]))
        # A class that is gone since would come back.
        if not known.issuperset(labels):
            return None
        return Suggestion(labels, float(round_.confidence[row]), round_.number)

    def _names_of(self, cell: str) -> tuple[str, ...]:
        """Return labels that a model names, by the names that classes have now."""
        return tuple(dict.fromkeys(self._renamed.get(name, name) for name in _names_in(cell)))

    def _is_left_out(self, image: int, labels: tuple[str, ...]) -> bool:
        """Return whether somebody said of an image that it has other labels than these."""
        said = self._left_out.get(image)
        return said is not None and {self._renamed.get(n, n) for n in said[0]} == {*labels}

    def _take_table(self) -> None:
        """Take in what was changed in the table by hand, now and then."""
        now = time.monotonic()
        with self._lock:
            is_due = now - self._taken > _POLL_S
            self._taken = now if is_due else self._taken
        if is_due and self.store.take_table() and self.refitter is not None:
            self.refitter.answered()

    def _translated(self, answer: Answer) -> Answer:
        # Somebody else may have renamed a class since the page was drawn.
        labels = answer.labels and tuple(self._renamed.get(n, n) for n in answer.labels)
        return replace(answer, labels=labels)

    def _standing(self, annotator: str, image: int) -> list[Answer]:
        """Return somebody's answers to an image that were not taken back."""
        given = self.store.history(image)
        return [a for a in given if a.annotator == annotator and not a.revoked]

    def _is_stored(self, answer: Answer) -> bool:
        """Return whether somebody's last answer to an image is this very one."""
        last = self._standing(answer.annotator, answer.image)[-1:]
        return [_essence(a) for a in last] == [_essence(answer)]


def _essence(answer: Answer) -> tuple[Any, ...]:
    """Return what two answers do not have in common by accident."""
    labels = answer.labels and frozenset(answer.labels)
    return labels, answer.origin, round(answer.seconds, 3)
