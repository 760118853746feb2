"""Who answers, how far people agree, and what to do where they do not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fewlabel.errors import UsageError
from fewlabel.extras import check_installed
from fewlabel.labelling.agreement import _agreed_labels, _measure_agreement, _OutOfFold, _read_kappa
from fewlabel.labelling.answers import Answer, _settles
from fewlabel.labelling.cards import Sheet, Suggestion
from fewlabel.labelling.review import _on_page, _Review
from fewlabel.labelling.store import _Store


@dataclass(frozen=True)
class Annotator:
    """What one person has answered, before any review.

    Attributes
    ----------
    name : str
        Empty where none was given.
    n, n_skipped, n_shared : int
        Images that they answered, skipped, and answered as somebody else did.
    a_minute : float or None
        Answers a minute, by the median time of one; None where no time is known.
    differs : float or None
        Fraction of the others' answers to the same images that are not the same.
    """

    name: str
    n: int
    n_skipped: int
    n_shared: int
    a_minute: float | None
    differs: float | None


@dataclass(frozen=True)
class Summary:
    """Who has answered, and how far they agree; see `fewlabel.labelling.agreement`.

    Attributes
    ----------
    annotators : tuple of Annotator
        Who has answered most comes first.
    n_shared : int
        Images that at least two of them answered.
    agreed, kappa : float or None
        Fraction of the pairs of answers to one image that are the same, and that beyond chance.
    method, reading : str
        Whose kappa it is, and how it reads, as a sentence; empty without any.
    by_class : tuple of (str, float or None)
        Kappa of each class against the others, the lowest first.
    n_disputed, n_settled : int
        Images on which they disagree, without and with a review that settles it.
    rule : str
        What the label table holds where they disagree, as a sentence.
    """

    annotators: tuple[Annotator, ...]
    n_shared: int
    agreed: float | None
    kappa: float | None
    method: str
    reading: str
    by_class: tuple[tuple[str, float | None], ...]
    n_disputed: int
    n_settled: int
    rule: str


class _People:
    """What a page shows of people, and does where they disagree."""

    def __init__(self, review: _Review) -> None:
        self._review, self._store = review, review.session.store
        self._known: tuple[int, _Standing, Summary] | None = None

    def summary(self) -> Summary:
        """Return who has answered, and how far they agree."""
        return self._now()[1]

    def disputed(self, how: str = "majority", page: int = 0) -> Sheet:
        """Return disputed images, the least agreed first; ``how`` is "majority" or "crowd"."""
        standing = self._now()[0]
        found = standing.consensus(self._tested(how))
        sure = {image: _fraction(standing.votes[image], found[image]) for image in found}
        rows = sorted(found, key=lambda image: (sure[image], image))
        shown = _on_page(rows, page)
        says = [Suggestion(found[image], sure[image], 0) for image in shown]
        return self._review._sheet(rows, says, page, [_said(standing.votes[i]) for i in shown])

    def settle(self, annotator: str, how: str = "majority") -> int:
        """Settle all of them by the consensus; one undo takes all of it back."""
        found = self._now()[0].consensus(self._tested(how))
        answers = [Answer(i, x, origin="review", suggested=x) for i, x in found.items()]
        return len(self._review.session.answer(annotator, answers)) if answers else 0

    def _now(self) -> tuple[_Standing, Summary]:
        """Return the answers as they stand; read anew after every change only."""
        version, known = self._store.version(), self._known
        if known is None or known[0] != version:
            standing = _Standing(self._store)
            known = self._known = (version, standing, standing.summary())
        return known[1:]

    def _tested(self, how: str) -> _OutOfFold | None:
        """Return what CROWDLAB needs; None for the majority."""
        if how == "majority":
            return None
        check_installed("cleanlab", "CROWDLAB")
        tested = self._review._tested()
        if tested is None or not len(tested.proba):
            raise UsageError(
                "CROWDLAB weighs people by what a model says, which has not learned yet: label "
                "more images, or take the majority."
            )
        return _OutOfFold(tested.view.rows, tested.proba, self._store.classes())


class _Standing:
    """The answers that stand, by image and by annotator."""

    def __init__(self, store: _Store) -> None:
        self.store = store
        self.votes: defaultdict[int, dict[str, tuple[str, ...]]] = defaultdict(dict)
        self._settled = set[int]()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._skipped: defaultdict[str, set[int]] = defaultdict(set)
        for answer in store.standing():
            if _settles(answer):
                self._settled.add(answer.image)
            elif answer.labels is None:
                self._skipped[answer.annotator].add(answer.image)
            else:
                self.votes[answer.image][answer.annotator] = answer.labels
                self._seconds[answer.annotator].append(answer.seconds)

    def consensus(self, tested: _OutOfFold | None = None) -> dict[int, tuple[str, ...]]:
        """Return labels of the images on which people disagree and that no review has settled."""
        found = _agreed_labels(self.votes, self.store.task, tested)
        return {image: labels for image, labels in found.items() if image not in self._settled}

    def summary(self) -> Summary:
        """Return who has answered, and how far they agree."""
        found = _measure_agreement(self.votes, task=self.store.task)
        by_class = [] if found is None else [*found.by_class.items()]
        differing = {i for i, given in self.votes.items() if len({*given.values()}) > 1}
        return Summary(
            annotators=self._annotators(),
            n_shared=0 if found is None else found.n_images,
            agreed=None if found is None else found.agreed,
            kappa=None if found is None else found.kappa,
            method="" if found is None else found.method,
            reading="" if found is None else _read_kappa(found.kappa),
            by_class=tuple(sorted(by_class, key=lambda one: 2 if one[1] is None else one[1])),
            n_disputed=len(differing - self._settled),
            n_settled=len(differing & self._settled),
            rule=_rule(self.store.repeats),
        )

    def _annotators(self) -> tuple[Annotator, ...]:
        n, shared, pairs, same = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        for given in self.votes.values():
            for name, labels in given.items():
                n[name] += 1
                shared[name] += len(given) > 1
                pairs[name] += len(given) - 1
                same[name] += sum(labels == other for other in given.values()) - 1
        found = []
        for name in sorted({*n, *self._skipped}, key=lambda name: (-n[name], name)):
            typical = median(self._seconds[name] or [0.0])
            pace = 60 / typical if typical else None
            differs = 1 - same[name] / pairs[name] if pairs[name] else None
            n_skipped = len(self._skipped[name])
            found.append(Annotator(name, n[name], n_skipped, shared[name], pace, differs))
        return tuple(found)


def _rule(repeats: int) -> str:
    says = "the last answer" if repeats == 1 else "what most of them say, of a tie the last answer"
    return (
        f"Where people disagree, the label table holds {says}; a review, or an edit of the table, "
        "overrules that."
    )


def _fraction(given: Mapping[str, tuple[str, ...]], labels: Sequence[str]) -> float:
    """Return the fraction of the annotators of an image who say just this."""
    return sum(said == labels for said in given.values()) / len(given)


def _said(given: Mapping[str, tuple[str, ...]]) -> str:
    """Return who says what of an image."""
    texts = (f"{name or 'Somebody'}: {' + '.join(x) or 'none'}" for name, x in given.items())
    return " · ".join(texts)
