"""Several people on one set of images: who said what, how far they agree, and one label of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fewlabel.data import ImageSet
from fewlabel.labelling.answers import Answer
from fewlabel.labelling.session import _Session
from tests.web.browser import Open, saved, until
from tests.web.conftest import Make, client_of
from tests.web.test_review import review, told

N = 30
# Of 30 images that both answered, Ben says something else of these.
SLIPS = {3: "8", 7: "1", 8: "3"}


@pytest.fixture
def session(make: Make, digit_images: ImageSet) -> _Session:
    """Return a session of two people; Eve sides with Ben in one case, and reviews none."""
    session = make(refitter=told(digit_images), repeats=3)
    truth = [str(t) for t in digit_images.truth[:60]]
    session.store.add([Answer(i, (truth[i],), "Ann", 2.0) for i in range(60)])
    session.store.add([Answer(i, (SLIPS.get(i, truth[i]),), "Ben", 6.0) for i in range(N)])
    session.store.add([Answer(7, ("1",), "Eve"), Answer(50, None, "Eve")])
    return session


@pytest.fixture
def client(session: _Session, tmp_path: Path) -> TestClient:
    return client_of(session, tmp_path)


def test_who_answered_and_how_far_they_agree(client: TestClient, session: _Session) -> None:
    found = client.get("/api/people").json()
    ann, ben, eve = found["annotators"]
    assert (ann["name"], ann["n"], ann["n_shared"], ann["a_minute"]) == ("Ann", 60, 30, 30)
    assert (ben["n"], ben["a_minute"]) == (30, 10)
    assert (eve["n"], eve["n_skipped"], eve["a_minute"]) == (1, 1, None)
    # Of 31 answers of others to Ann's images, four differ; of 31 to Ben's, three.
    assert [a["differs"] for a in (ann, ben, eve)] == pytest.approx([4 / 31, 3 / 31, 1 / 2])
    assert (found["method"], found["n_shared"], found["n_disputed"]) == ("Fleiss", 30, 3)
    # By hand: (27 + 1/3) / 30 observed, about a tenth by chance.
    assert found["kappa"] == pytest.approx(0.901, abs=0.002)
    assert found["reading"].startswith("Almost perfect")
    assert found["by_class"][0][0] in SLIPS.values()
    assert "what most of them say" in found["rule"]
    # The gallery of one of them.
    total = client.get("/api/images?annotator=Ben").json()["total"]
    assert (total, client.get("/api/images?annotator=Nobody").json()["total"]) == (30, 0)


def test_a_consensus_is_shown_taken_and_taken_back(client: TestClient, session: _Session) -> None:
    sheet = client.get("/api/people/disputed").json()
    cards = {card["image"]: card for card in sheet["cards"]}
    assert [*cards] == [3, 8, 7]
    assert cards[7]["suggestion"]["labels"] == ["1"]
    assert cards[7]["suggestion"]["confidence"] == pytest.approx(2 / 3)
    assert cards[3]["why"] == "Ann: 3 · Ben: 8"
    assert client.post("/api/people/settle", json={"how": "majority"}).json() == {"saved": 3}
    assert session.store.current()[7] == ("1",)
    found = client.get("/api/people").json()
    assert (found["n_disputed"], found["n_settled"]) == (0, 3)
    client.post("/api/undo")
    assert client.get("/api/people").json()["n_disputed"] == 3


def test_crowdlab_asks_the_model(make: Make, session: _Session, client: TestClient) -> None:
    pytest.importorskip("cleanlab")
    sheet = client.get("/api/people/disputed?how=crowd").json()
    # The model, which is sure, and Ann, who is mostly right, outvote Ben and Eve.
    assert {c["image"]: c["suggestion"]["labels"] for c in sheet["cards"]} == {
        3: ["3"],
        7: ["7"],
        8: ["8"],
    }
    session.refitter.round = None  # type: ignore[union-attr]
    refused = client.get("/api/people/disputed?how=crowd")
    assert (refused.status_code, "has not learned yet" in refused.text) == (400, True)


def test_several_labels_are_decided_class_by_class(make: Make, tmp_path: Path) -> None:
    session = make(several=True, repeats=3)
    given = {"Ann": ("a", "b"), "Ben": ("a",), "Eve": ("a", "c")}
    session.store.add([Answer(0, labels, name) for name, labels in given.items()])
    session.store.add([Answer(1, (), "Ann"), Answer(1, (), "Ben"), Answer(1, ("c",), "Eve")])
    client = client_of(session, tmp_path)
    cards = client.get("/api/people/disputed").json()["cards"]
    assert [(c["image"], c["suggestion"]["labels"]) for c in cards] == [(0, ["a"]), (1, [])]
    assert cards[1]["why"] == "Ann: none · Ben: none · Eve: c"


def test_people_are_settled_by_keys(session: _Session, open_page: Open) -> None:
    page = open_page(session, annotator="Eve")
    review(page, "view=people")
    assert page.inner_text("[data-view=people] .badge") == "3"
    assert page.locator("#annotators tbody tr").count() == 3
    assert "kappa" in page.inner_text("#kappa-of")
    page.wait_for_selector(".shot:has-text('Ann: 3 · Ben: 8')")
    # The label that the table holds; something else; the consensus.
    kept = session.store.current()[3]
    page.keyboard.press("Space")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    saved(page)
    current = session.store.current()
    assert [current[i] for i in (3, 8, 7)] == [kept, ("5",), ("1",)]
    last = session.store.history(7)[-1]
    assert (last.origin, last.annotator, last.suggested) == ("review", "Eve", None)
    until(page, lambda: page.is_disabled("#settle"))
    assert "A review has settled 3." in page.inner_text("#rule")
    page.keyboard.press("u")
    until(page, lambda: page.inner_text("#settle") == "Settle 1")
    page.click("#settle")
    page.wait_for_selector("#toast:has-text('Settled: 1.')")
    until(page, lambda: page.inner_text("[data-view=people] .badge") == "")
    # Of one person alone.
    page.click("#annotators button:has-text('Ben')")
    until(page, lambda: page.inner_text("#count") == "30 images")
    assert page.input_value("[name=annotator]") == "Ben"


def test_a_history_names_the_round_that_suggested(
    make: Make, digit_images: ImageSet, open_page: Open
) -> None:
    session = make(refitter=told(digit_images, number=4))
    learner: Any = session.refitter
    session.store.add_round(4, 80, learner.round.accuracy)
    session.store.add([Answer(2, ("2",), "Ann", suggested=("2",), confidence=0.9, round=4)])
    # After a restart, nothing of that round but what the store holds is there.
    learner.round = told(digit_images, number=5).round
    page = open_page(session)
    review(page, "source=label")
    page.wait_for_selector("#story:has-text('shown: 2 90 %, round 4 of 80 labels')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(session: _Session, open_page: Open, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for width in (1280, 390):
        page = open_page(
            session, color_scheme=scheme, viewport={"width": width, "height": 844}, bypass_csp=True
        )
        review(page, "view=people")
        page.wait_for_selector(".shot")
        found = axe.Axe().run(page).response["violations"]
        serious = [f for f in found if f["impact"] in ("serious", "critical")]
        assert [(f["id"], f["nodes"][0]["html"]) for f in serious] == [], width
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
