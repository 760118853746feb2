"""The review page: its calls in process, and journeys in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from fewlabel.data import ImageSet
from fewlabel.errors import StorageError, UsageError
from fewlabel.labelling.answers import Answer
from fewlabel.labelling.review import _Review
from fewlabel.labelling.session import _Session
from tests.web.browser import Open, saved, until
from tests.web.conftest import Make, client_of
from tests.web.stand_ins import Told

TRUTH = "0123456789"
# Of 60 labeled images, these have a wrong label.
SLIPS = {7: "1", 11: "8", 30: "3"}


def told(images: ImageSet, **known: Any) -> Told:
    """Return a model that is right, and was tested on 60 labels."""
    truth = [str(t) for t in images.truth]
    tested = np.arange(60)
    proba = np.full((60, 10), 0.002, np.float32)
    proba[tested, [int(truth[i]) for i in tested]] = 0.982
    confidence = np.linspace(0.5, 0.999, len(truth)).astype(np.float32)
    source = np.where(np.arange(len(truth)) < 60, 0, np.arange(len(truth)) % 2 + 1)
    return Told(
        truth,
        **{
            "confidence": confidence,
            "source": source.astype(np.uint8),
            "tested": tested,
            "tested_proba": proba,
        }
        | known,
    )


@pytest.fixture
def session(make: Make, digit_images: ImageSet) -> _Session:
    """Return a session of 60 labels, three of them wrong, and a model that says so."""
    session = make(refitter=told(digit_images))
    label(session, digit_images)
    return session


def label(session: _Session, images: ImageSet) -> None:
    names = [SLIPS.get(i, str(images.truth[i])) for i in range(60)]
    session.store.add([Answer(i, (name,), "ann") for i, name in enumerate(names)])


@pytest.fixture
def client(session: _Session, tmp_path: Path) -> TestClient:
    return client_of(session, tmp_path)


def shown(client: TestClient, query: str) -> tuple[int, list[int]]:
    sheet = client.get(f"/api/images?{query}").json()
    return sheet["total"], [card["image"] for card in sheet["cards"]]


def test_predictions_by_class_confidence_source_and_round(
    client: TestClient, session: _Session, digit_images: ImageSet
) -> None:
    truth = np.array([int(t) for t in digit_images.truth])
    names = session.store.classes()
    three = names.index("3")
    total, first = shown(client, f"class={three}&order=name")
    assert total == (truth == 3).sum()
    assert first == np.flatnonzero(truth == 3)[:60].tolist()
    assert (
        shown(client, f"class={three}&order=name&page=1")[1]
        == np.flatnonzero(truth == 3)[60:120].tolist()
    )
    confidence = session.refitter.round.confidence  # type: ignore[union-attr]
    within = np.flatnonzero((confidence >= np.float32(0.9)) & (confidence <= np.float32(0.95)))
    assert shown(client, "min_confidence=0.9&max_confidence=0.95")[1] == within[:60].tolist()
    assert shown(client, "order=sure")[1][0] == 1796
    assert shown(client, "source=label")[0] == 60
    by_source = [shown(client, f"source={name}")[0] for name in ("propagated", "model")]
    assert by_source == [869, 868]
    assert shown(client, "round=1")[0] == 1797
    assert shown(client, "round=2")[0] == 0
    assert client.get("/api/images?class=10").status_code == 404
    card = client.get("/api/images?order=sure").json()["cards"][0]
    assert card["suggestion"]["labels"] == [digit_images.truth[1796]]


def test_random_images_are_shown_once_they_have_their_label(
    client: TestClient, session: _Session
) -> None:
    session.store.ask([100, 101], ["random", "audit"])
    assert shown(client, "source=")[0] == 1795
    assert client.get("/api/images/100/opinions").json() == []
    assert client.get("/api/images/100/explanation").status_code == 400
    session.store.add([Answer(100, ("4",))])
    assert shown(client, "source=")[0] == 1796


def test_a_cell_of_the_confusions_opens_its_images(client: TestClient, session: _Session) -> None:
    found = client.get("/api/review/confusion").json()
    names = session.store.classes()
    counts = np.array(found["counts"])
    assert (found["n"], counts.sum(), counts.trace()) == (60, 60, 57)
    given, predicted = names.index("1"), names.index("7")
    assert counts[given, predicted] == 1
    assert shown(client, f"source=tested&label={given}&class={predicted}") == (1, [7])
    # Who renames a class, sees it at once.
    session.rename_class(given, "1", "one")
    assert client.get("/api/review/confusion").json()["counts"] == found["counts"]


def test_doubtful_labels_are_there_until_somebody_looks(
    client: TestClient, session: _Session
) -> None:
    sheet = client.get("/api/review/suspicious").json()
    assert {card["image"] for card in sheet["cards"]} == set(SLIPS)
    assert sheet["n_marked"] == 3
    assert "<\u00a01\u00a0%" in sheet["cards"][0]["why"]
    suggested = {c["image"]: c["suggestion"]["labels"] for c in sheet["cards"]}
    fixed = {"image": 7, "labels": ["7"], "suggested": suggested[7], "origin": "review"}
    kept = {"image": 11, "labels": ["8"], "suggested": suggested[11], "origin": "review"}
    client.post("/api/answers", json={"answers": [fixed, kept]})
    left = client.get("/api/review/suspicious").json()
    assert [card["image"] for card in left["cards"]] == [30]
    client.post("/api/undo")
    assert client.get("/api/review/suspicious").json()["total"] == 3


def test_several_labels_an_image(make: Make, digit_images: ImageSet, tmp_path: Path) -> None:
    proba = np.array([[0.9, 0.1], [0.9, 0.8], [0.2, 0.02]], np.float32)
    learner = Told(["a|", "a|b"] * 898 + ["|"], tested=np.arange(3), tested_proba=proba)
    session = make(refitter=learner, several=True)
    session.store.add([Answer(0, ("a",)), Answer(1, ("a",)), Answer(2, ("a", "b"))])
    client = client_of(session, tmp_path)
    assert client.get("/api/review/confusion").json()["counts"] == [[2, 1, 0], [0, 1, 1]]
    assert shown(client, "source=tested&label=1&not_class=1") == (1, [2])
    assert shown(client, "source=tested&not_label=1&class=1") == (1, [1])
    assert [c["image"] for c in client.get("/api/review/suspicious").json()["cards"]] == [2, 1]
    assert shown(client, "class=1&not_class=0")[0] == 0
    assert client.post("/api/review/accept", json={"round": 1}).json() == {"saved": 1794}
    assert session.store.current()[1796] == ()


def test_copies_with_different_labels(make: Make, digit_images: ImageSet, tmp_path: Path) -> None:
    near = np.array([[0, 3], [1, 2], [4, 90]])
    session = make(refitter=told(digit_images, near=near))
    session.store.add([Answer(i, (name,)) for i, name in enumerate(["a", "b", "b", "c", "d"])])
    client = client_of(session, tmp_path)
    sheet = client.get("/api/review/duplicates").json()
    assert [card["image"] for card in sheet["cards"]] == [0, 3]
    assert sheet["cards"][0]["why"] == "Nearly the same as 3."


def test_acceptance_leaves_out_what_it_must_and_is_undone_as_one(
    make: Make, digit_images: ImageSet, tmp_path: Path
) -> None:
    session = make(refitter=told(digit_images, unlike=np.array([1790, 1791])))
    label(session, digit_images)
    session.store.ask([1780, 1781], ["random", "audit"])
    session.store.add([Answer(1785, None, "ann")])
    confidence = session.refitter.round.confidence  # type: ignore[union-attr]
    sure = set(np.flatnonzero(confidence >= np.float32(0.9))) - {1780, 1781, 1785, 1790, 1791}
    client = client_of(session, tmp_path)
    offer = client.get("/api/review/offer").json()
    assert (offer["n_images"], offer["n_unlike"], offer["round"]) == (len(sure), 2, 1)
    assert client.post("/api/review/accept", json={"round": 2}).status_code == 400
    assert client.post("/api/review/accept", json={"round": 1}).json() == {"saved": len(sure)}
    current = session.store.current()
    assert set(current) - set(range(60)) == sure
    last = session.store.history(1796)[-1]
    assert (last.origin, last.labels, last.round) == ("review", (digit_images.truth[1796],), 1)
    assert client.get("/api/review/offer").json()["n_images"] == 0
    # What was accepted is no judgement of a person.
    client.post("/api/undo")
    assert set(session.store.current()) == set(range(60))


def test_an_acceptance_lets_others_in_between_and_stays_one(
    make: Make, digit_images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make(refitter=told(digit_images))
    label(session, digit_images)
    monkeypatch.setattr("fewlabel.labelling.session._BLOCK", 100)
    review, fill, n_blocks = _Review(session), session.store._fill, 0

    def fill_slowly(answers: list[Answer], after: Answer | None) -> list[Answer]:
        nonlocal n_blocks
        n_blocks += 1
        stored = fill(answers, after)
        if n_blocks == 1:
            # Others answer what a later block holds, and so does the same person.
            session.answer("bea", [Answer(1796, ("7",))])
            session.answer("ann", [Answer(1795, None)])
        if n_blocks == 2:
            raise StorageError("The disk is full.")
        return stored

    monkeypatch.setattr(session.store, "_fill", fill_slowly)
    n_all = review.offer().n_images
    with pytest.raises(StorageError):
        review.accept("ann", 1)
    assert len(session.store.current()) == 60 + 2 * 100 + 1
    # Asked again, it goes on; asked once more, it says the same.
    n = review.accept("ann", 1)
    assert n == n_all - 2 * 100 - 2 == review.accept("ann", 1)
    assert (session.store.current()[1796], 1795 in session.store.skipped()) == (("7",), True)
    for left in (2 * 100 + 61, 61, 61):
        session.undo("ann")
        assert len(session.store.current()) == left


def test_an_acceptance_that_is_taken_back_meanwhile_ends(
    make: Make, digit_images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make(refitter=told(digit_images))
    label(session, digit_images)
    monkeypatch.setattr("fewlabel.labelling.session._BLOCK", 100)
    fill = session.store._fill

    def fill_and_undo(answers: list[Answer], after: Answer | None) -> list[Answer]:
        if stored := fill(answers, after):
            session.undo("ann")
        return stored

    monkeypatch.setattr(session.store, "_fill", fill_and_undo)
    assert _Review(session).accept("ann", 1) == 100
    assert set(session.store.current()) == set(range(60))


def test_nothing_is_accepted_without_a_promise(client: TestClient, session: _Session) -> None:
    offer = client.get("/api/review/offer?max_error=0.01").json()
    assert offer["threshold"] is None
    assert offer["why_not"] == "that takes at least 99 more random labels than the 200 there are"
    refused = client.post("/api/review/accept", json={"round": 1, "max_error": 0.01})
    assert "99 more random labels" in refused.json()["detail"]
    assert client.get("/api/review/offer?max_error=0.03").status_code == 400


def test_what_was_said_of_an_image_round_by_round(client: TestClient, session: _Session) -> None:
    found = client.get("/api/images/7/opinions").json()
    assert [(o["source"], o["labels"]) for o in found] == [("tested", ["7"])]
    learner = session.refitter
    again = told(session.images, number=2)
    learner.round = again.round  # type: ignore[union-attr]
    for listener in learner.listeners:  # type: ignore[union-attr]
        listener(again.round)
    found = client.get("/api/images/99/opinions").json()
    assert [(o["round"], o["source"]) for o in found] == [(1, "model"), (2, "model")]
    assert client.get("/api/review/rounds").json() == [2, 1]
    assert client.get("/api/images/1797/opinions").status_code == 404


def test_an_explanation_waits_and_then_is_there(client: TestClient, session: _Session) -> None:
    learner: Any = session.refitter
    assert client.get("/api/images/70/explanation").status_code == 202
    for image in (71, 72, 73):
        client.get(f"/api/images/{image}/explanation")
    assert "wait already" in client.get("/api/images/74/explanation").json()["detail"]
    learner.explained[70].set_result(b"PNG")
    learner.explained[71].set_exception(UsageError("Install fewlabel[explain]."))
    found = client.get("/api/images/70/explanation")
    assert (found.status_code, found.content) == (200, b"PNG")
    assert found.headers["content-type"] == "image/png"
    failed = client.get("/api/images/71/explanation")
    assert (failed.status_code, failed.json()["detail"]) == (400, "Install fewlabel[explain].")


def test_before_the_model_has_learned(make: Make, tmp_path: Path) -> None:
    client = client_of(make(), tmp_path)
    for path in ("images", "images?source=tested", "review/suspicious", "review/duplicates"):
        assert client.get(f"/api/{path}").json()["total"] == 0
    assert client.get("/api/review/confusion").json()["counts"] == []
    assert client.get("/api/review/offer").json()["threshold"] is None
    assert client.post("/api/review/accept", json={"round": 1}).status_code == 400
    assert client.get("/api/images/0/explanation").status_code == 400


def review(page: Any, view: str = "") -> None:
    page.goto(f"{page.evaluate('location.origin')}/review#{view}")
    page.wait_for_selector("body[data-ready]")


def test_a_doubtful_label_is_reviewed_and_fixed(session: _Session, open_page: Open) -> None:
    page = open_page(session)
    review(page, "view=suspicious")
    assert page.locator(".shot").count() == 3
    images = [int(page.get_attribute(f".shot >> nth={i}", "title")) for i in range(3)]
    truth = session.images.truth
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    page.keyboard.press("5")
    saved(page)
    current = session.store.current()
    said = [current[i] for i in images]
    assert said == [(truth[images[0]],), (SLIPS[images[1]],), ("5",)]
    assert {session.store.history(i)[-1].origin for i in images} == {"review"}
    page.keyboard.press("u")
    saved(page)
    until(page, lambda: session.store.current()[images[2]] == (SLIPS[images[2]],))
    assert page.locator(".shot.done").count() == 2
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator(".shot").count() == 1
    page.wait_for_selector("#story:has-text('ann, answered')")


def test_what_is_sure_is_accepted_and_undone(session: _Session, open_page: Open) -> None:
    page = open_page(session)
    review(page)
    assert page.inner_text("#offer-what") == "357 can be accepted without a look."
    page.click("#accept")
    page.click("#accept-yes")
    until(page, lambda: len(session.store.current()) == 60 + 357)
    page.wait_for_selector("#offer-what:has-text('Nothing is left')")
    page.keyboard.press("u")
    until(page, lambda: len(session.store.current()) == 60)
    page.wait_for_selector("#offer-what:has-text('357')")


def test_confusions_lead_to_images_and_back(session: _Session, open_page: Open) -> None:
    page = open_page(session)
    review(page, "view=confusion")
    page.click("[aria-label='1, taken for 7: 1'] >> nth=0")
    page.wait_for_selector(".shot")
    assert page.get_attribute(".shot", "title") == "7"
    assert page.inner_text("#count") == "1 image"
    page.go_back()
    page.wait_for_selector("#matrix table")
    # By keyboard: to the doubtful labels, and the explanation of one.
    page.keyboard.press("g")
    page.wait_for_selector(".shot")
    page.keyboard.press("x")
    page.wait_for_selector("#explain-state:has-text('being made')")
    learner: Any = session.refitter
    next(iter(learner.explained.values())).set_exception(UsageError("Install fewlabel[explain]."))
    page.wait_for_selector("#explain-state:has-text('Install')")


def test_several_labels_are_collected_and_saved(make: Make, open_page: Open) -> None:
    proba = np.array([[0.9, 0.1], [0.2, 0.02]], np.float32)
    learner = Told(["a|", "a|b"] * 898 + ["|"], tested=np.arange(2), tested_proba=proba)
    session = make(refitter=learner, several=True)
    session.store.add([Answer(0, ("a",)), Answer(1, ("a", "b"))])
    page = open_page(session)
    review(page, "view=confusion")
    page.click("[aria-label='b: missed: 1'] >> nth=0")
    page.wait_for_selector(".shot")
    assert page.inner_text("#keep-text") == "It is a + b: keep it"
    page.keyboard.press("b")
    page.keyboard.press("Space")
    saved(page)
    assert session.store.current()[1] == ("a",)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(session: _Session, open_page: Open, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for width in (1280, 390):
        page = open_page(
            session, color_scheme=scheme, viewport={"width": width, "height": 844}, bypass_csp=True
        )
        for view, then in (("images", ".shot"), ("confusion", ""), ("suspicious", ".shot")):
            review(page, f"view={view}")
            page.reload()
            page.wait_for_selector("body[data-ready]")
            if then:
                page.click(then)
            found = axe.Axe().run(page).response["violations"]
            serious = [f for f in found if f["impact"] in ("serious", "critical")]
            assert [(f["id"], f["nodes"][0]["html"]) for f in serious] == [], (view, width)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
