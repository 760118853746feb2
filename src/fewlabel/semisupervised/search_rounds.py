"""Networks trained in turn by one way: first without some labels, then with all."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.features.joined import JoinedFeatures
from fewlabel.graph import FewLabelClassifier
from fewlabel.semisupervised.kept_networks import Trained
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.network_inputs import Problem
from fewlabel.semisupervised.strategies import Lesson, Way

MOST_MORE = 2
"""Networks that are trained with all labels behind those that were tested, at most."""


@dataclass
class Rounds:
    """The state after some rounds.

    Attributes
    ----------
    way : Way
        How the networks were trained.
    networks : list
        The network of every round.
    lessons : list of Lesson
        What each of them was trained on.
    history : list of dict
        ``round``, ``seconds``, ``n_accepted``, ``n_new``, ``n_revoked``, ``mean_confidence``,
        and ``accuracy`` where labels were held out.
    held_proba : list of ndarray of shape (m, K)
        Probabilities of the held-out images by round, not calibrated.
    classifier : FewLabelClassifier
        Fitted on the rows of the last round.
    extractor : JoinedFeatures
        Makes such rows.
    rows : ndarray of shape (n, d)
        Rows of the images.
    """

    way: Way
    networks: list[Trained]
    lessons: list[Lesson]
    history: list[dict[str, Any]]
    held_proba: list[np.ndarray]
    classifier: FewLabelClassifier
    extractor: JoinedFeatures
    rows: np.ndarray

    @property
    def seconds(self) -> float:
        """Time of all rounds."""
        return float(sum(record["seconds"] for record in self.history))

    @property
    def n_rounds(self) -> int:
        """Number of rounds."""
        return len(self.networks)


@dataclass(frozen=True)
class HeldOut:
    """Labels that the networks are tested on.

    Attributes
    ----------
    rows : ndarray of shape (m,), dtype int64
        Rows whose labels are held out.
    truth : ndarray of shape (m,)
        Those labels.
    """

    rows: np.ndarray
    truth: np.ndarray


def first_rounds(
    problem: Problem,
    y: np.ndarray,
    way: Way,
    held: HeldOut,
    goes_on: Callable[[Rounds], bool],
) -> Rounds:
    """Train networks in turn without the held-out labels, and test each round on them.

    Parameters
    ----------
    problem : Problem
        Images, features and settings.
    y : ndarray of shape (n,)
        Classes, -1 where unlabelled or held out.
    way : Way
        How to train.
    held : HeldOut
        What to test on.
    goes_on : callable
        Asked after each round whether another one may follow.

    Returns
    -------
    Rounds
        The state after the last round.
    """
    proba = problem.classify(problem.base_rows, y).propagated_
    rounds = _next_round(problem, y, way, None, proba, held)
    while rounds.n_rounds < way.most_rounds and goes_on(rounds):
        rounds = _next_round(problem, y, way, rounds, rounds.classifier.propagated_, held)
    return rounds


def last_rounds(
    problem: Problem,
    y: np.ndarray,
    tested: Rounds,
    n_rounds: int,
    goes_on: Callable[[Rounds], bool],
) -> Rounds:
    """Go on behind the tested rounds with all labels.

    The networks that were trained without the held-out labels stay: what they see is as good for
    the graph, which is given all labels. Where there is time, further ones are trained.

    Parameters
    ----------
    problem : Problem
        Images, features and settings.
    y : ndarray of shape (n,)
        Classes, -1 where unlabelled.
    tested : Rounds
        From `first_rounds`.
    n_rounds : int
        How many of these rounds to keep.
    goes_on : callable
        Asked before each further round whether it may follow.

    Returns
    -------
    Rounds
        The state after the last round.
    """
    way = tested.way
    networks = tested.networks[:n_rounds]
    extractor, rows = _join(problem, way, networks)
    rounds = Rounds(
        way,
        networks,
        tested.lessons[:n_rounds],
        tested.history[:n_rounds],
        tested.held_proba[:n_rounds],
        problem.classify(rows, y),
        extractor,
        rows,
    )
    least = n_rounds + way.rounds_with_all
    most = max(least, n_rounds + MOST_MORE if way.joins_all else least)
    while rounds.n_rounds < least or (rounds.n_rounds < most and goes_on(rounds)):
        proba = rounds.classifier.propagated_
        rounds = _next_round(problem, y, way, rounds, proba, None)
    return rounds


def _next_round(
    problem: Problem,
    y: np.ndarray,
    way: Way,
    before: Rounds | None,
    proba: np.ndarray,
    held: HeldOut | None,
) -> Rounds:
    begin = time.perf_counter()
    networks = [] if before is None else before.networks
    number = len(networks) + 1
    name = f"{way.name}-{number}" + ("" if held is None else "-tested")
    # A copy: rounds that are not kept shall leave no trace.
    ledger = copy.deepcopy(before.lessons[-1].ledger) if before else PseudoLabelLedger()
    lesson = Lesson(name, number, problem.codes(y), proba, networks, ledger)
    way.prepare(problem, lesson)
    network = None if way.resumes_itself else problem.kept.get(name, problem.settings.device)
    if network is None:
        network = way.train(problem, lesson)
        if not way.resumes_itself:
            problem.kept.put(name, network)
    extractor, rows = _join(problem, way, [*networks, network])
    classifier = problem.classify(rows, y)
    confidence = lesson.accepted[2]
    record: dict[str, Any] = {
        "round": number,
        "n_accepted": len(confidence),
        "n_new": lesson.n_new,
        "n_revoked": lesson.n_revoked,
        "mean_confidence": float(confidence.mean()) if len(confidence) else None,
    }
    tests = [] if before is None else before.held_proba
    if held is not None:
        distributions = classifier.proba_[held.rows]
        tests = [*tests, distributions]
        predicted = classifier.classes_[distributions.argmax(axis=1)]
        record["accuracy"] = float(np.mean(predicted == held.truth))
    record["seconds"] = time.perf_counter() - begin
    return Rounds(
        way,
        [*networks, network],
        [*([] if before is None else before.lessons), lesson],
        [*([] if before is None else before.history), record],
        tests,
        classifier,
        extractor,
        rows,
    )


def _join(problem: Problem, way: Way, networks: list[Trained]) -> tuple[JoinedFeatures, np.ndarray]:
    extractor = JoinedFeatures(problem.base, networks if way.joins_all else networks[-1:])
    return extractor, extractor.join(problem.base_rows, problem.images, progress=problem.progress)
