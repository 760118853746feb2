import time
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC
from unittest.mock import Mock

import numpy as np
import pytest

from fewlabel.data import labels_from_truth, load_images
from fewlabel.errors import StorageError, UsageError
from fewlabel.evaluate import AccuracyEstimate
from fewlabel.fit_settings import FitSettings
from fewlabel.labelling.learner import _Learner, _pairs
from fewlabel.labelling.messages import SOURCES, LearnerSettings, Picks
from fewlabel.labelling.queue import _Queue
from fewlabel.labelling.refit import _Refitter, _target_reached
from fewlabel.labelling.session import _Session
from fewlabel.labelling.store import Answer, open_store
from fewlabel.labelling.worker import _Worker, _WorkerError
from tests.labelling.conftest import draw


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


@pytest.fixture(scope="module")
def truth(digits):
    return labels_from_truth(digits).names()


@pytest.fixture(scope="module")
def settings():
    return LearnerSettings(FitSettings(features="pixels"), n_first=30, n_next=30, page_size=25)


@pytest.fixture
def store(digits, tmp_path):
    with open_store(digits, tmp_path / "labels.csv") as store:
        yield store


def _answer(store, queue, truth, n):
    taken = store.lease("ann", queue.wanted(), n)
    store.ask(taken, [queue.purpose(i) for i in taken])
    store.add([Answer(i, (truth[i],), annotator="ann") for i in taken])
    return taken


@pytest.fixture(scope="module")
def learned(digits, truth, settings, tmp_path_factory):
    """A session of 60 answers: queue, store, learner and its last round."""
    table = tmp_path_factory.mktemp("desk") / "labels.csv"
    with open_store(digits, table) as store:
        learner, queue = _Learner(digits, settings), _Queue(store)
        queue.begin(learner.first(store.labels()))
        shown = _answer(store, queue, truth, 30)
        queue.update(learner.fit(store.labels()))
        shown += _answer(store, queue, truth, 30)
        queue.update(learner.fit(store.labels()))
        yield queue, store, shown


def test_before_anything_is_known_images_come_in_random_order(digits, store, truth):
    queue = _Queue(store, seed=3)
    first = _answer(store, queue, truth, 5)
    assert len(set(first)) == 5
    assert {queue.purpose(i) for i in first} == {"random"}
    assert not set(first) & set(store.lease("ann", queue.wanted(), 5))
    assert list(queue.groups()) == []
    # Everybody gets all images in the end, each once.
    rest = list(queue.wanted())
    assert sorted(rest) == sorted(set(range(len(digits))) - set(first))


def test_a_round_says_what_a_review_shows(learned, digits):
    queue, store, _ = learned
    found = queue.round
    assert [SOURCES[k] for k in found.source[sorted(store.current())]] == ["label"] * 60
    assert set(found.source) > {0}
    assert set(found.unlike.tolist()).isdisjoint(store.current())
    assert found.tested_proba.shape == (len(found.tested), len(found.classes))


@pytest.mark.parametrize(("is_small", "expected"), [(True, None), (False, 150)])
def test_a_picture_of_a_photo_takes_fewer_samples(digits, monkeypatch, is_small, expected):
    pytest.importorskip("captum")
    asked = Mock(side_effect=UsageError)
    monkeypatch.setattr("fewlabel.explain.model._explain_one", asked)
    monkeypatch.setattr("fewlabel.explain.sheets._is_small", lambda *_: is_small)
    learner = _Learner(digits)
    learner.result = Mock()
    with pytest.raises(UsageError):
        learner.explain(3)
    assert asked.call_args.kwargs.get("n_samples") == expected


def test_pairs_of_copies_are_those_of_some_rows():
    number, rows = np.array([0, 1, 0, 3, 1, 0]), np.array([0, 1, 2, 3, 5])
    assert _pairs(number, rows).tolist() == [[0, 2], [2, 5]]
    assert _pairs(None, rows).shape == (0, 2)


def test_the_queue_follows_the_model_and_keeps_its_random_share(learned, digits):
    queue, store, shown = learned
    assert len(set(shown)) == 60
    purposes = store.purposes()
    assert [purposes[i] for i in shown].count("random") == 12
    found = queue.round
    assert (found.number, found.n_labels) == (2, 60)
    assert [n for n, *_ in found.curve] == [30, 60]
    wanted = list(queue.wanted())[: len(found.picks.images)]
    assert wanted == found.picks.images.tolist()
    chosen = [i for i, why in zip(wanted, found.picks.purposes, strict=True) if why == "train"]
    open_ = np.setdiff1d(np.arange(len(digits)), shown)
    # Those that are asked for are less sure than the rest.
    assert found.confidence[chosen].mean() < found.confidence[open_].mean() - 0.05


def test_pages_hold_images_of_one_suggestion_without_a_label(learned, truth):
    queue, _, shown = learned
    pages = list(queue.groups())
    seen = [i for page in pages for i in page.images]
    assert len(seen) == len(set(seen)) > 1_000
    assert not set(seen) & set(shown)
    for page in pages:
        assert {str(queue.round.suggested[i]) for i in page.images} == {page.label}
    right = [truth[i] == page.label for page in pages for i in page.images]
    assert np.mean(right) > 0.8
    assert all(len(page.images) <= 10 for page in queue.groups(10))


def test_a_skipped_image_is_not_shown_again_but_an_open_random_one_comes_first(digits, store):
    queue = _Queue(store)
    queue.begin(Picks(np.array([4, 7, 9]), ("train", "random", "train")))
    store.ask([7], ["random"])
    assert store.lease("ann", queue.wanted(), 3) == [7, 4, 9]
    store.add([Answer(4, None, annotator="ann"), Answer(9, ("nine",), annotator="ann")])
    assert store.lease("ann", queue.wanted(), 1) == [7]


def test_a_refit_in_between_makes_no_chosen_image_a_random_one(digits, store, learned):
    queue = _Queue(store)
    queue.begin(Picks(np.array([4, 7]), ("train", "random")))
    shown = store.lease("ann", queue.wanted(), 2)
    queue.update(learned[0].round)
    assert [queue.purpose(i) for i in shown] == ["train", "random"]


@pytest.mark.parametrize(
    ("low", "target", "reached"), [(0.91, 0.9, True), (0.89, 0.9, False), (0.91, None, False)]
)
def test_the_whole_interval_must_lie_above_the_target(low, target, reached):
    found = AccuracyEstimate(0.95, low, 0.97, 40, 0, 0.95, "wilson", True, "")
    assert _target_reached(found, target) is reached


class _ByHand:
    """A worker that answers when a test says so."""

    def __init__(self):
        self.asked = []
        self.stage = _Worker(dict).stage

    def call(self, name, *args):
        self.asked.append((name, args, Future()))
        return self.asked[-1][2]

    def stop(self):
        pass


def test_answers_during_a_fit_lead_to_another_one_and_a_failure_to_another_try(
    digits, store, truth, learned
):
    worker, queue = _ByHand(), _Queue(store)
    refitter = _Refitter("digits", store, queue, every=10, worker=worker)
    refitter.start()
    worker.asked[0][2].set_result(Picks(np.arange(50), ("train",) * 50))
    assert not refitter.running
    for n, n_fits in [(9, 0), (1, 1), (10, 1), (10, 1)]:
        _answer(store, queue, truth, n)
        refitter.answered()
        assert [name for name, *_ in worker.asked].count("fit") == n_fits
    assert refitter.running
    worker.asked[1][2].set_exception(_WorkerError("The process that learns ended."))
    assert refitter.error == "The process that learns ended."
    assert [args[0].n_labeled for name, args, _ in worker.asked if name == "fit"] == [10, 30]
    worker.asked[2][2].set_result(learned[0].round)
    assert refitter.error == ""
    assert queue.round is learned[0].round
    assert not refitter.running


def test_a_database_that_is_away_for_a_moment_ends_no_learning(digits, store, truth, monkeypatch):
    worker, queue = _ByHand(), _Queue(store)
    refitter = _Refitter("digits", store, queue, every=10, worker=worker)
    refitter.start()
    with monkeypatch.context() as away:
        away.setattr(store, "labels", Mock(side_effect=StorageError("The database is away.")))
        worker.asked[0][2].set_result(Picks(np.arange(50), ("train",) * 50))
        for _ in range(2):
            assert (refitter.running, refitter.error) == (False, "The database is away.")
            refitter.refit()
    _answer(store, queue, truth, 10)
    refitter.answered()
    assert [name for name, *_ in worker.asked] == ["first", "fit"]


def test_rounds_go_on_after_a_restart(digits, truth, learned, tmp_path):
    at_once = AccuracyEstimate(np.nan, np.nan, np.nan, 0, 0, 0.95, "none", True, "")
    found = replace(learned[0].round, number=1, n_labels=20)
    for number, accuracy in ((1, found.accuracy), (2, at_once)):
        with open_store(digits, tmp_path / "labels.csv") as store:
            worker, queue = _ByHand(), _Queue(store)
            refitter = _Refitter("digits", store, queue, worker=worker)
            refitter.refit()
            _, (_, past), asked = worker.asked[-1]
            assert len(past) == number - 1
            asked.set_result(replace(found, number=number, accuracy=accuracy))
    with open_store(digits, tmp_path / "labels.csv") as store:
        one, two = store.rounds()
        assert (one.number, one.n_labels, one.value) == (1, 20, found.accuracy.value)
        assert (two.number, two.value, two.at.tzinfo) == (2, None, UTC)
        # Until the model has learned again, the page shows what it was.
        session = _Session(store, queue)
        assert session.state()["curve"] == [list(one.point)]


def test_labels_that_are_corrected_or_taken_back_are_learned_as_well(digits, store, truth):
    worker, queue = _ByHand(), _Queue(store)
    refitter = _Refitter("digits", store, queue, every=10, worker=worker)
    store.add([Answer(i, (truth[i],), annotator="ann", origin="group") for i in range(30)])
    refitter.answered()
    worker.asked[-1][2].set_exception(_WorkerError("It ended."))
    n_fits = len(worker.asked)
    for i in range(10):
        store.add([Answer(i, (truth[i + 1],), annotator="ann", origin="review")])
        refitter.answered()
    assert len(worker.asked) == n_fits + 1
    worker.asked[-1][2].set_exception(_WorkerError("It ended."))
    for _ in range(11):
        store.undo("ann")
    refitter.answered()
    assert len(worker.asked) == n_fits + 2


def test_it_learns_in_a_process_of_its_own(store, digits, truth, settings):
    queue = _Queue(store)
    _answer(store, queue, truth, 25)
    refitter = _Refitter("digits", store, queue, settings)
    try:
        refitter.start()
        deadline = time.monotonic() + 120
        while queue.round is None:
            assert time.monotonic() < deadline
            assert not refitter.error, refitter.error
            time.sleep(0.05)
        assert queue.round.n_labels == 25
        assert queue.round.suggested.shape == queue.round.confidence.shape == (len(digits),)
        assert queue.round.tested_proba.shape[1] == len(queue.round.classes)
    finally:
        refitter.close()


def test_images_that_are_others_than_on_the_page_are_not_learned_from(tmp_path, settings):
    images = draw(tmp_path / "photos", ["a.png", "b.png"])
    with open_store(images, tmp_path / "labels.csv") as store:
        draw(tmp_path / "photos", ["0.png"])
        refitter = _Refitter(str(tmp_path / "photos"), store, _Queue(store), settings)
        try:
            refitter.start()
            deadline = time.monotonic() + 120
            while refitter.running:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert "are others than when the page was opened" in refitter.error
        finally:
            refitter.close()
