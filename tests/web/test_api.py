from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fewlabel.labelling.session import _Session
from tests.web.conftest import Make, client_of
from tests.web.stand_ins import Told


def answer(client: TestClient, *answers: dict[str, Any], **options: Any) -> Any:
    return client.post("/api/answers", json={"answers": list(answers)} | options)


def test_an_answer_is_stored_counted_and_taken_back(client: TestClient, session: _Session) -> None:
    first, second = client.get("/api/next?n=2").json()
    assert (first["image"], first["name"], first["labels"]) == (0, "0", None)
    stored = answer(client, {"image": 0, "labels": ["zero"], "seconds": 1.5})
    assert stored.json()["saved"] == 1
    assert "0,zero" in Path(session.table).read_text()
    state = client.get("/api/state").json()
    assert state["n_labeled"] == 1
    assert [(c["name"], c["key"], c["n"]) for c in state["classes"]] == [("zero", "1", 1)]
    assert client.get("/api/next?n=1").json()[0]["image"] == second["image"]
    undone = client.post("/api/undo").json()
    assert [undone["undone"]] == stored.json()["ids"]
    assert undone["card"]["image"] == 0
    assert client.get("/api/state").json()["n_labeled"] == 0
    assert [a["revoked"] for a in client.get("/api/images/0/history").json()] == [True]


def test_an_answer_that_is_sent_twice_is_stored_once(client: TestClient, session: _Session) -> None:
    one = {"image": 3, "labels": ["a"], "seconds": 2.25}
    assert len(answer(client, one).json()["ids"]) == 1
    assert answer(client, one, again=True).json() == {"saved": 1, "ids": []}
    # Who says something else the second time, means it.
    assert len(answer(client, one | {"labels": ["b"]}, again=True).json()["ids"]) == 1
    assert [a.labels for a in session.store.history(3)] == [("a",), ("b",)]


def test_a_group_is_taken_back_as_one_and_never_twice(
    client: TestClient, session: _Session
) -> None:
    answer(client, {"image": 1, "labels": ["a"]})
    answer(client, *({"image": i, "labels": ["b"], "origin": "group"} for i in (2, 3, 5)))
    assert client.post("/api/undo", json={"image": 5}).json()["card"]["image"] == 2
    # The response was lost, and the page asks again.
    assert client.post("/api/undo", json={"image": 5}).json()["card"] is None
    assert session.store.current() == {1: ("a",)}


def test_random_images_are_asked_for_and_have_no_suggestion(make: Make, tmp_path: Path) -> None:
    session = make(refitter=Told([str(i % 10) for i in range(1797)]))
    session.add_class("0")
    client = client_of(session, tmp_path)
    for name in "123456789":
        client.post("/api/classes", json={"name": name})
    cards = client.get("/api/next?n=5").json()
    assert [card["purpose"] for card in cards] == ["train"] * 4 + ["random"]
    assert cards[3]["suggestion"] == {"labels": ["3"], "confidence": 0.93, "round": 1} | {
        "confidence": pytest.approx(0.93)
    }
    assert cards[4]["suggestion"] is None
    assert "drawn at random" in cards[4]["why"].lower()
    state = client.get("/api/state").json()
    assert state["accuracy"]["value"] == 0.91
    assert state["accuracy"]["rests_on"] == "40 random labels"
    assert len(state["curve"]) == 3
    answer(client, {"image": 4, "labels": None})
    state = client.get("/api/state").json()
    assert state["n_skipped"] == 1


def test_the_stop_rule_looks_at_the_lower_end(make: Make, tmp_path: Path) -> None:
    truth = ["0"] * 1797
    reached = make(refitter=Told(truth), target=0.87).state()["stop"]
    assert reached == {"target": 0.87, "reached": True}
    assert not make(refitter=Told(truth), target=0.9).state()["stop"]["reached"]


def test_look_alikes_leave_random_images_out(make: Make, tmp_path: Path) -> None:
    session = make(pages=[("7", (0, 1, 2, 4, 6))])
    client = client_of(session, tmp_path)
    client.get("/api/next?n=5")
    group = client.get("/api/group").json()
    assert group["labels"] == ["7"]
    assert [card["image"] for card in group["cards"]] == [0, 1, 2, 6]
    answer(client, *({"image": i, "labels": ["7"], "origin": "group"} for i in (0, 1, 2, 6)))
    assert client.get("/api/group").json() is None


def test_classes_are_renamed_and_merged(client: TestClient, session: _Session) -> None:
    answer(client, {"image": 0, "labels": ["cat"]}, {"image": 1, "labels": ["kat"]})
    renamed = client.patch("/api/classes/1", json={"old": "kat", "name": " hot dog "}).json()
    assert renamed["name"] == "hot dog"
    # Somebody else still sees the old page.
    assert (
        "no longer 'kat'"
        in client.patch("/api/classes/1", json={"old": "kat", "name": "x"}).json()["detail"]
    )
    answer(client, {"image": 2, "labels": ["kat"]})
    client.patch("/api/classes/1", json={"old": "hot dog", "name": "cat"})
    assert set(session.store.current().values()) == {("cat",)}
    assert [c["name"] for c in client.get("/api/state").json()["classes"]] == ["cat"]


def test_several_labels(make: Make, tmp_path: Path) -> None:
    client = client_of(make(several=True), tmp_path)
    answer(client, {"image": 0, "labels": ["cat", "dog"]}, {"image": 1, "labels": []})
    assert client.get("/api/images/0").json()["labels"] == ["cat", "dog"]
    assert client.get("/api/images/1").json()["labels"] == []


def test_two_pages_without_a_name_never_get_the_same_image(client: TestClient) -> None:
    def given(page: str) -> set[int]:
        found = client.get("/api/next?n=5", headers={"X-Page": page}).json()
        return {card["image"] for card in found}

    first, second = given("a1"), given("b2")
    assert (len(first), len(second), first & second) == (5, 5, set())
    assert given("a1") == first
    # Who closes a page gives back what it had.
    assert client.delete("/api/leases", headers={"X-Page": "a1"}).status_code == 204
    assert given("c3") == first


def test_what_was_left_out_is_not_asked_for_again(make: Make, tmp_path: Path) -> None:
    client = client_of(make(pages=[("cat", (0, 1, 2, 3)), ("dog", (1, 2))]), tmp_path)
    assert len(client.get("/api/group").json()["cards"]) == 4
    body = {"answers": [{"image": i, "labels": ["cat"], "origin": "group"} for i in (0, 3)]}
    client.post("/api/answers", json=body | {"left_out": [1, 2]})
    # They may be dogs, and they are no cats.
    assert client.get("/api/group").json()["labels"] == ["dog"]
    client.post("/api/undo")
    found = client.get("/api/group").json()
    assert (found["labels"], len(found["cards"])) == (["cat"], 4)


def test_two_annotators_never_get_the_same_image(client: TestClient) -> None:
    given = [
        {card["image"] for card in client.get("/api/next?n=5", headers={"X-Annotator": who}).json()}
        for who in ("Ann", "J%C3%B6rg")
    ]
    assert not given[0] & given[1]
    answer(client, {"image": 0, "labels": ["a"]})
    client.post(
        "/api/answers",
        json={"answers": [{"image": 1, "labels": ["a"]}]},
        headers={"X-Annotator": "J%C3%B6rg"},
    )
    assert client.get("/api/images/1/history").json()[0]["annotator"] == "Jörg"


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([{"image": 1797, "labels": ["a"]}], 400),
        ([{"image": -1, "labels": ["a"]}], 422),
        ([{"image": 0, "labels": ["a", "b"]}], 400),
        ([{"image": 0, "labels": ["a|b"]}], 400),
        ([{"image": 0, "labels": [""]}], 422),
        ([{"image": 0, "labels": ["x" * 201]}], 422),
        ([{"image": 0, "labels": ["a\ud800"]}], 422),
        ([{"image": 0, "labels": ["a"], "seconds": float("nan")}], 422),
        ([{"image": 0, "labels": ["a"], "path": "/etc/passwd"}], 422),
        ([], 422),
    ],
)
def test_what_is_no_answer_is_refused(client: TestClient, answers: Any, status: int) -> None:
    import json

    body = json.dumps({"answers": answers})
    got = client.post("/api/answers", content=body, headers={"content-type": "application/json"})
    assert got.status_code == status, got.text
    assert got.json()["detail"]
    assert client.get("/api/state").json()["n_labeled"] == 0


def test_the_schema_names_every_route(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/state", "/api/next", "/api/answers", "/images/{image}/{kind}"} <= set(paths)
    assert client.get("/docs").status_code == 404
