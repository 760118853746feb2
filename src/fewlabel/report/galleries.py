"""Which images are worth a look."""

from collections.abc import Sequence

import numpy as np

from fewlabel.cluster.representatives import _pick_representatives
from fewlabel.cluster.strategies.clusters import _typicality
from fewlabel.data import ImageSet
from fewlabel.explain.figure import KINDS, _original_pixels, _overlay_pixels
from fewlabel.explain.model import Explained
from fewlabel.explain.sheets import _by_class
from fewlabel.fit_result import FitResult
from fewlabel.model import Prediction
from fewlabel.report.html import View
from fewlabel.report.pictures import _gallery, _picture, _pictures, _words
from fewlabel.report.quality import _Scored
from fewlabel.report.tiles import _marks
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory
from fewlabel.texts import _percent, _printable

_SIZE = 16  # pictures at most
_MAX_ROUNDS = 4
_N_NEXT = 12
_UNSURE_POOL = 1_000
_N_MISTAKES = 15
_CAPTIONS = {
    "right": "Does the model look at the thing itself, or at what lies around it?",
    "wrong": "Green speaks for the class that is wrong, and may have misled the model.",
    "unsure": "What speaks for the class that is doubtful, and what against it.",
}


def _fit_galleries(result: FitResult, images: ImageSet) -> list[View]:
    """Show what to label next, doubtful labels, and predictions of every confidence."""
    task = result.task
    # Images of the audit have labels too: nobody is asked for them again.
    unlabeled = np.setdiff1d(np.arange(len(result.proba)), result.labels.labeled)
    order = unlabeled[np.argsort(-result.confidence[unlabeled], kind="stable")]
    audit = result.audited
    audited = _Scored(task, result.labels.y[audit], result.proba[audit])
    kinds = task.stratify(task.predict(result.proba))
    doubtful, typical = _labeled(result, images)
    return [
        _gallery(
            "Mistakes on the audit",
            "Below each image its label, and what was predicted by the model, which never saw it.",
            _mistakes(audited, _most_confident_mistakes(audited), audit, images, result.classes),
        ),
        _gallery(
            "What to label next",
            "Images that the model is unsure about, spread over different kinds of images.",
            _predictions(result, images, _next_to_label(result, unlabeled)),
        ),
        doubtful,
        _gallery(
            "Unlike anything labeled",
            result.unlike_in_words,
            _predictions(result, images, result.unlike[:_SIZE]),
        ),
        typical,
        _gallery(
            "Least confident",
            "Predictions that are most likely wrong.",
            _predictions(result, images, order[::-1][:_SIZE]),
        ),
        _gallery(
            "Most confident",
            "Of each predicted class in turn: a class that is mistaken for another shows up here.",
            _predictions(result, images, _by_class(unlabeled, kinds, -result.confidence)[:_SIZE]),
        ),
        _disagreement(result, images, unlabeled),
    ]


def _labeled(result: FitResult, images: ImageSet) -> tuple[View, View]:
    """Show labels that are improbable without themselves, and typical ones of the others."""
    task, y, classes = result.task, result.labels.training_y, result.classes
    tested = _Scored(task, y[result.tested], result.tested_proba)
    wrong = np.flatnonzero(~tested.correct)
    wrong = wrong[np.argsort(result.label_probability[wrong], kind="stable")][:_SIZE]
    n_suspicious = np.isin(result.tested[wrong], result.suspicious).sum()
    right = np.setdiff1d(task.labeled(y), result.tested[wrong])
    if len(right) > _SIZE:
        scores = _typicality(result.features.rows[right], random_state=result.settings.seed)
        right = right[np.argsort(-scores, kind="stable")[:_SIZE]]
    present, _ = task.evidence(y[right], len(classes))
    return _gallery(
        "Labeled images that were predicted otherwise",
        "By models that had not seen their labels, the least probable labels first. "
        f"Suspicious: {f'the first {n_suspicious}' if n_suspicious else 'none'}. "
        "Is each of these labels right?",
        _mistakes(tested, wrong, result.tested, images, classes),
    ), _gallery(
        "Labeled images",
        "Some of the labels that everything rests on, the most typical ones.",
        _pictures(images, right, _words(task, y[right], classes), marks=_marks(present == 1)),
    )


def _predictions(
    of: FitResult | Prediction,
    images: ImageSet,
    rows: np.ndarray,
    notes: Sequence[str] | None = None,
) -> list[View]:
    """Show some images with what is predicted for them."""
    task, proba = of.task, of.proba[rows]
    texts, sure = _words(task, task.predict(proba), of.classes), task.confidence(proba)
    return _pictures(images, rows, texts, sure, notes, _marks(task.decided(proba), sure))


def _disagreement(result: FitResult, images: ImageSet, unlabeled: np.ndarray) -> View:
    """Show where propagation and the supervised baseline predict otherwise."""
    task, propagated = result.task, result.propagated[unlabeled]
    baseline = task.predict(result.supervised_proba()[unlabeled])
    differ = np.flatnonzero(~task.correct(baseline, propagated))
    strongest = np.argsort(-task.confidence(propagated[differ]), kind="stable")[:_SIZE]
    differ = differ[strongest]
    rows = unlabeled[differ]
    notes = [f"supervised: {text}" for text in _words(task, baseline[differ], result.classes)]
    return _gallery(
        "Graph and supervised baseline disagree",
        "Spread by similarity the label is one thing, by the supervised baseline another: "
        "these classes are hard to tell apart.",
        _predictions(result, images, rows, notes),
    )


def _next_to_label(result: FitResult, unlabeled: np.ndarray) -> np.ndarray:
    """Choose images whose labels would help most: unsure, and unlike each other."""
    if len(unlabeled) <= _N_NEXT:
        return unlabeled
    margin = result.task.margin(result.proba[unlabeled])
    # Among the least certain fifth: the very least certain are often all alike.
    size = min(_UNSURE_POOL, max(_N_NEXT, len(unlabeled) // 5))
    pool = unlabeled[np.argsort(margin, kind="stable")[:size]]
    rows, seed = result.features.rows[pool], result.settings.seed
    return pool[_pick_representatives(rows, _N_NEXT, method="medoids", random_state=seed).indices]


def _most_confident_mistakes(scored: _Scored) -> np.ndarray:
    wrong = np.flatnonzero(~scored.correct)
    return wrong[np.argsort(-scored.confidence[wrong], kind="stable")[:_SIZE]]


def _mistakes(
    held_out: _Scored, wrong: np.ndarray, rows: np.ndarray, images: ImageSet, classes: Sequence[str]
) -> list[View]:
    """Show some mistakes on images that were held out, label and prediction."""
    task = held_out.task
    if not len(wrong):
        return []
    y, proba, sure = held_out.y[wrong], held_out.proba[wrong], held_out.confidence[wrong]
    predicted = _words(task, task.predict(proba), classes)
    pairs = zip(predicted, sure.tolist(), strict=True)
    return _pictures(
        images,
        rows[wrong],
        _words(task, y, classes),
        notes=[f"predicted: {text}, {_percent(share, 0)} sure" for text, share in pairs],
        marks=_marks((task.evidence(y, len(classes))[0] == 1) | task.decided(proba), sure),
    )


def _evaluation_galleries(
    scored: _Scored, images: ImageSet, classes: Sequence[str]
) -> tuple[list[View], list[View]]:
    """Show the worst mistakes and the least confident predictions, and list the former."""
    confidence = scored.confidence
    predicted = _words(scored.task, scored.task.predict(scored.proba), classes)
    true = _words(scored.task, scored.y, classes)
    present, _ = scored.task.evidence(scored.y, len(classes))
    marks = _marks((present == 1) | scored.task.decided(scored.proba), confidence)

    def shown(rows: np.ndarray) -> list[View]:
        notes = [f"true: {true[i]}" for i in rows]
        texts, of_rows = [predicted[i] for i in rows], [marks[i] for i in rows]
        return _pictures(images, rows, texts, confidence[rows], notes, of_rows)

    worst = _most_confident_mistakes(scored)
    galleries = [
        _gallery(
            "Worst mistakes",
            "Wrong and most confident: mislabeled images show up here first.",
            shown(worst),
        ),
        _gallery(
            "Least confident",
            "Where the model hesitates, right or wrong.",
            shown(np.argsort(confidence, kind="stable")[:_SIZE]),
        ),
    ]
    mistakes = [
        {
            "name": _printable(images.names[i], limit=60),
            "true": _printable(true[i], limit=40),
            "predicted": _printable(predicted[i], limit=40),
            "confidence": float(confidence[i]),
        }
        for i in worst[:_N_MISTAKES]
    ]
    return galleries, mistakes


def _accepted_galleries(
    history: TrainingHistory | None, images: ImageSet, predicted: Sequence[str]
) -> list[View]:
    """Show pseudo-labels that networks were trained on, in some of the rounds."""
    if history is None:
        return []
    filled = [accepted for accepted in history.accepted if len(accepted.rows)]
    if len(filled) > _MAX_ROUNDS:
        places = np.linspace(0, len(filled) - 1, _MAX_ROUNDS).round().astype(int)
        filled = [filled[place] for place in places]
    named = len({accepted.network for accepted in filled}) > 1
    galleries = []
    for accepted in filled:
        chosen = _choose_spread(accepted.codes, accepted.confidence)
        rows = accepted.rows[chosen]
        names = history.classes or [f"class {k}" for k in range(accepted.codes.max() + 1)]
        labels = [names[code] for code in accepted.codes[chosen].tolist()]
        pairs = zip(labels, rows.tolist(), strict=True)
        notes = [f"in the end: {predicted[k]}" if predicted[k] != a else "" for a, k in pairs]
        of = f", {accepted.network}" if named else ""
        galleries.append(
            _gallery(
                f"Pseudo-labels of round {accepted.round}{of}",
                _accepted_caption(accepted),
                _pictures(images, rows, labels, accepted.confidence[chosen], notes),
            )
        )
    return galleries


def _choose_spread(codes: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Choose the most confident of each class in turn, then the least confident of all."""
    order = np.argsort(-confidence, kind="stable")
    if len(order) <= _SIZE:
        return order
    least, rest = order[len(order) - _SIZE // 2 :], order[: len(order) - _SIZE // 2]
    # The most confident are often all of one class: each class gives one before any gives two.
    top = _by_class(rest, codes, -confidence)[: _SIZE - _SIZE // 2]
    return np.concatenate([top[np.argsort(-confidence[top], kind="stable")], least])


def _accepted_caption(accepted: AcceptedLabels) -> str:
    count = len(accepted.rows)
    if count <= _SIZE:
        return f"All {count} of this round." if count > 1 else "The only one of this round."
    # Rounded down: "at least 100 % sure" would promise more than 99.6 % does.
    low, middle = np.floor(100 * np.quantile(accepted.confidence, [0.0, 0.5]) + 1e-9)
    return (
        f"{count:,} images, half of them at least {middle:.0f} % sure, all at least "
        f"{low:.0f} %. First {_SIZE - _SIZE // 2} of the most confident, of as many classes as "
        f"possible, then the {_SIZE // 2} least confident: mistakes show up there."
    )


def _explained_galleries(
    explained: Sequence[Explained], classes: Sequence[str], audited: bool
) -> list[View]:
    """Show explained predictions by kind, each image with its explanation beside it."""
    where = "Images of the audit."
    if not audited:
        where = "Labeled images, as predicted by models that did not see their labels."
    galleries = []
    for kind in dict.fromkeys(one.kind for one in explained):
        pictures = [
            _picture(
                _original_pixels(one.explanation),
                one.name,
                classes[one.explanation.target],
                float(one.explanation.proba[one.explanation.target]),
                f"{one.note}, stability {one.explanation.stability:.2f}".removeprefix(", "),
                _overlay_pixels(one.explanation),
            )
            for one in explained
            if one.kind == kind
        ]
        galleries.append(_gallery(KINDS[kind], f"{where} {_CAPTIONS[kind]}", pictures))
    return galleries
