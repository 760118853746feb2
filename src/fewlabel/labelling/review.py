"""``_Review``: what somebody checks after the model: predictions, confusions, doubtful labels."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.evaluate import Acceptance
from fewlabel.evaluate.outliers import SUSPICIOUS_BELOW
from fewlabel.labelling.answers import Answer, _settles
from fewlabel.labelling.cards import Confusion, Offer, Opinion, Sheet, Suggestion, _Wanted
from fewlabel.labelling.evidence import (
    _at,
    _Given,
    _given_labels,
    _Tested,
    _tested_labels,
    _View,
    _view_of,
)
from fewlabel.labelling.messages import SOURCES, _Round
from fewlabel.labelling.refit import _Pictures
from fewlabel.labelling.session import _Session
from fewlabel.texts import _percent_text

PAGE = 60
"""Images on a page; even, so that pairs stay together."""

MAX_ERROR = 0.02
"""Fraction of the images that are accepted without a look that may be wrong."""

_MAX_ROUNDS, _MAX_DOUBTFUL = 100, 1_000


class _Review:
    """What a review page asks for, and does."""

    def __init__(self, session: _Session) -> None:
        self.session, self._lock, self._turn = session, threading.RLock(), threading.Lock()
        self._accepted: tuple[tuple[str, int, float], int] = ("", 0, 0.0), 0
        self._learner = session.refitter
        self._rounds: dict[int, _View] = {}
        self._given_now: _Given | None = None
        self._tested_now: _Tested | None = None
        if self._learner is not None:
            self._pictures = _Pictures(self._learner)
            self._learner.listeners.append(self.take)
            if self._learner.round is not None:
                self.take(self._learner.round)

    def take(self, found: _Round) -> None:
        """Keep what a round predicts, for the history of each image."""
        past = _view_of(found, np.arange(len(found.confidence)), found.suggested, found.source)
        with self._lock:
            self._rounds[past.number] = past
            for number in list(self._rounds)[:-_MAX_ROUNDS]:
                del self._rounds[number]

    @property
    def rounds(self) -> list[int]:
        """Numbers of the rounds that are kept, the last one first."""
        with self._lock:
            return sorted(self._rounds, reverse=True)

    # What is shown

    def images(self, wanted: _Wanted, page: int = 0) -> Sheet:
        """Return a page of the images that fit."""
        given, view = self._given(), self._view(wanted)
        if view is None:
            return self._sheet([], [], page)
        codes, fits = given.codes[view.rows], ~given.hidden[view.rows]
        sets = [self.session._names_of(cell) for cell in view.cells]
        for name, is_so, held, where in (
            (wanted.predicted, True, sets, view.codes),
            (wanted.not_predicted, False, sets, view.codes),
            (wanted.label, True, given.sets, codes),
            (wanted.not_label, False, given.sets, codes),
        ):
            if name is not None:
                fits &= _at([name in labels for labels in held], where) == is_so
        if wanted.source == "label":
            fits &= codes >= 0
        elif wanted.source in SOURCES:
            fits &= (view.source == SOURCES.index(wanted.source)) & (codes < 0)
        if wanted.annotator:
            given_by = [a for a in self.session.store.standing() if a.annotator == wanted.annotator]
            theirs = [a.image for a in given_by if a.labels is not None and not _settles(a)]
            fits &= np.isin(view.rows, theirs)
        # Confidences are kept in single precision: 0.9 is a little more there.
        low, high = np.float32(wanted.low), np.float32(wanted.high)
        at = np.flatnonzero(fits & (view.confidence >= low) & (view.confidence <= high))
        key = {"unsure": view.confidence, "sure": -view.confidence, "name": view.rows}
        at = at[np.argsort(key[wanted.order][at], kind="stable")]
        return self._sheet(view.rows[at], self._says(view, _on_page(at, page)), page)

    def confusion(self) -> Confusion:
        """Return which classes are taken for which."""
        given, tested, task = self._given(), self._tested(), self.session.store.task
        n = 0 if tested is None else len(tested.present)
        counts = task.confusion(tested.present, tested.decided).tolist() if tested and n else []
        rows = tuple(map(tuple, counts))
        return Confusion(self._number, not task.exclusive, given.classes, rows, n)

    def suspicious(self, page: int = 0) -> Sheet:
        """Return labels that models contradict which have not seen them, most doubtful first."""
        tested = self._tested()
        if tested is None:
            return self._sheet([], [], page)
        # Histories are not looked at for all labels: this page is asked for often.
        order, view = tested.order[:_MAX_DOUBTFUL], tested.view
        said = self.session.store.histories(view.rows[order].tolist())
        order = order[[not _is_settled(answers) for answers in said]]
        shown = _on_page(order, page)
        chance = [_percent_text(p, 0).replace(" ", "\u00a0") for p in tested.probability[shown]]
        why = [f"Models that have not seen this label give it {text}." for text in chance]
        marked = int((tested.probability[order] < SUSPICIOUS_BELOW).sum())
        sheet = self._sheet(view.rows[order], self._says(view, shown), page, why)
        return replace(sheet, n_marked=marked)

    def duplicates(self, page: int = 0) -> Sheet:
        """Return copies and near-copies whose labels differ."""
        given, found = self._given(), self._round
        pairs = np.zeros((0, 2), np.int64) if found is None else found.near
        pairs = pairs[(given.codes[pairs] >= 0).all(axis=1)]
        pairs = pairs[given.codes[pairs[:, 0]] != given.codes[pairs[:, 1]]]
        images, names = pairs.ravel(), self.session.images.names
        why = [f"Nearly the same as {names[i]}." for i in _on_page(pairs[:, ::-1].ravel(), page)]
        return self._sheet(images, [None] * len(why), page, why)

    def opinions(self, image: int) -> list[Opinion]:
        """Return what the model said of an image."""
        if self._given().hidden[image]:
            return []
        with self._lock:
            rounds = sorted(self._rounds.items())
        tested, found = self._tested(), []
        for view in [view for _, view in rounds] + ([] if tested is None else [tested.view]):
            for i in np.flatnonzero((view.rows == image) & (view.source > 0)).tolist():
                source = (*SOURCES, "tested")[view.source[i]]
                found.append(Opinion(**vars(self._says(view, [i])[0]), source=source, at=view.at))
        return found

    def explanation(self, image: int) -> bytes | None:
        """Return a picture of what the model looked at in an image."""
        if self._learner is None or self._round is None:
            raise UsageError("The model has not learned yet, so that it has nothing to explain.")
        if self._given().hidden[image]:
            raise UsageError("This image was drawn at random: label it before you see a hint.")
        return self._pictures.get(image, self._number)

    # What is accepted without a look

    def offer(self, max_error: float = MAX_ERROR) -> Offer:
        """Return what can be accepted without a look."""
        found = self._round
        if found is None:
            why = "the model has not learned from your labels yet"
            return Offer(max_error, None, 0, 0, 0, why, 0)
        promise = _promise(found, max_error)
        rows, n_unlike = self._acceptable(found, promise)
        return Offer(
            max_error,
            promise.threshold,
            len(rows),
            n_unlike,
            promise.n_labels,
            promise.why_not,
            found.number,
        )

    def accept(self, annotator: str, round_: int, max_error: float = MAX_ERROR) -> int:
        """Label all images that are sure enough as predicted; one undo takes all of it back."""
        # Who was not answered in time asks again: the second time waits for the first.
        with self._turn:
            return self._accept(annotator, round_, max_error)

    def _accept(self, annotator: str, round_: int, max_error: float) -> int:
        found = self._round
        if found is None or found.number != round_:
            raise UsageError("The model has learned anew since: look at what it offers now.")
        promise = _promise(found, max_error)
        if promise.threshold is None:
            raise UsageError(f"Nothing can be accepted without a look: {promise.why_not}.")
        answers = []
        for i in self._acceptable(found, promise)[0].tolist():
            labels, sure = self.session._names_of(str(found.suggested[i])), found.confidence[i]
            answers.append(
                Answer(
                    i,
                    labels,
                    origin="review",
                    suggested=labels,
                    confidence=float(sure),
                    round=found.number,
                )
            )
        if not answers and self._accepted[0] == (annotator, round_, max_error):
            return self._accepted[1]
        n = self.session._fill(annotator, answers)
        self._accepted = (annotator, round_, max_error), n
        return n

    # Within

    @property
    def _round(self) -> _Round | None:
        found: _Round | None = None if self._learner is None else self._learner.round
        return found

    @property
    def _number(self) -> int:
        return 0 if self._round is None else self._round.number

    def _view(self, wanted: _Wanted) -> _View | None:
        """Return what the wanted round says; without any, the labels that there are."""
        if wanted.source == "tested":
            tested = self._tested()
            return None if tested is None else tested.view
        with self._lock:
            number = self._number if wanted.round is None else wanted.round
            return self._rounds.get(number)

    def _given(self) -> _Given:
        """Return the labels that stand; read anew after every change only."""
        version = self.session.store.version()
        if self._given_now is None or self._given_now.version != version:
            self._given_now = _given_labels(self.session, version)
        return self._given_now

    def _tested(self) -> _Tested | None:
        """Return tested labels as they stand now, by the names that classes have now."""
        found, given, held = self._round, self._given(), self._tested_now
        if found is None or not given.classes:
            return None
        key = (given.version, found.number)
        if held is None or held.key != key:
            held = self._tested_now = _tested_labels(self.session, key, found, given)
        return held

    def _acceptable(self, found: _Round, promise: Acceptance) -> tuple[np.ndarray, int]:
        """Return the images that a promise is of, and how many are unlike anything labeled."""
        given, n = self._given(), len(found.confidence)
        if promise.threshold is None:
            return np.array([], np.int64), 0
        fits = (found.confidence >= np.float32(promise.threshold)) & (found.source != 0)
        fits &= (given.codes < 0) & ~given.hidden & (found.suggested != "")
        # Somebody could not tell.
        fits[sorted(self.session.store.skipped())] = False
        is_unlike = np.zeros(n, dtype=bool)
        is_unlike[found.unlike] = True
        return np.flatnonzero(fits & ~is_unlike), int((fits & is_unlike).sum())

    def _says(self, view: _View, at: Sequence[int]) -> list[Suggestion]:
        cells = [str(view.cells[view.codes[i]]) for i in at]
        pairs = zip(cells, view.confidence[at].tolist(), strict=True)
        return [Suggestion(self.session._names_of(c), sure, view.number) for c, sure in pairs]

    def _sheet(
        self,
        rows: Any,
        says: Sequence[Suggestion | None],
        page: int,
        why: Sequence[str] | None = None,
    ) -> Sheet:
        """Return a page of images with what the model says of those on it."""
        shown = [int(i) for i in _on_page(rows, page)]
        pairs = zip(self.session._cards(shown), says, strict=True)
        cards = [replace(card, suggestion=says_so) for card, says_so in pairs]
        if why is not None:
            cards = [replace(c, why=text) for c, text in zip(cards, why, strict=True)]
        return Sheet(len(rows), page, -(-len(rows) // PAGE), self._number, tuple(cards))


def _promise(found: _Round, max_error: float) -> Acceptance:
    promise = next((p for p in found.promises if p.max_error == max_error), None)
    if promise is None:
        known = ", ".join(f"{p.max_error:g}" for p in found.promises)
        raise UsageError(f"The error must be one of {known}. Got {max_error:g} instead.")
    return promise


def _on_page(rows: Any, page: int) -> Any:
    return rows[page * PAGE : (page + 1) * PAGE]


def _is_settled(answers: Sequence[Answer]) -> bool:
    """Return whether somebody has looked at a label again, against what a model said."""
    last = next((a for a in reversed(answers) if not a.revoked), None)
    return last is not None and last.origin == "review" and last.labels != last.suggested
