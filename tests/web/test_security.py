from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fewlabel.labelling.session import _Session
from fewlabel.web.security import MAX_BODY
from tests.web.conftest import HERE, client_of

ANSWER = {"answers": [{"image": 0, "labels": ["a"]}]}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "127.0.0.1.nip.io"])
def test_names_of_elsewhere_are_refused(client: TestClient, host: str) -> None:
    # DNS rebinding: the name resolves to this machine, and the browser takes it for its origin.
    got = client.get("/api/state", headers={"host": host})
    assert got.status_code == 421
    assert "fewlabel" in got.text


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_not(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/api/answers", "/api/undo", "/api/classes"])
def test_changes_from_other_pages_are_refused(
    client: TestClient, session: _Session, headers: dict[str, str], path: str
) -> None:
    assert client.post(path, json=ANSWER, headers=headers).status_code == 403
    assert session.store.current() == {}


def test_changes_from_the_own_page_are_taken(client: TestClient) -> None:
    headers = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert client.post("/api/answers", json=ANSWER, headers=headers).status_code == 200


def test_a_form_of_another_page_cannot_pass_for_json(client: TestClient, session: _Session) -> None:
    body = '{"answers": [{"image": 0, "labels": ["a"]}]}'
    got = client.post("/api/answers", content=body, headers={"content-type": "text/plain"})
    assert got.status_code == 422
    assert session.store.current() == {}


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/images/0/..%2f..%2fetc%2fpasswd",
        "/images/0/original",
        "/images/1e3/thumb",
        "/images/99999/full",
        "/images/%00/thumb",
        "/api/images/-1",
    ],
)
def test_no_path_leads_elsewhere(client: TestClient, path: str) -> None:
    got = client.get(path)
    assert got.status_code in (404, 422)
    assert "root:" not in got.text
    assert "create_app" not in got.text


def test_bodies_and_addresses_are_bounded(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    huge = b" " * (MAX_BODY + 1)
    assert client.post("/api/answers", content=huge, headers=headers).status_code == 413
    # In pieces, without its length.
    parts = (b" " * 100_000 for _ in range(11))
    assert client.post("/api/answers", content=parts, headers=headers).status_code == 413
    assert client.get("/api/next?n=2&x=" + "x" * 3_000).status_code == 414
    assert client.get("/api/state", headers={"x-annotator": "x" * 500}).status_code == 422
    many = {"answers": [{"image": 0, "labels": ["a"]}] * 501}
    assert client.post("/api/answers", json=many).status_code == 422


@pytest.mark.parametrize("path", ["/", "/api/state", "/images/0/thumb?v=1", "/static/label.js"])
def test_every_response_is_strict(client: TestClient, path: str) -> None:
    got = client.get(path)
    assert got.status_code == 200
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert got.headers["x-content-type-options"] == "nosniff"
    keeps = {"/": "no-store", "/api/state": "no-store", "/static/label.js": "no-cache"}
    assert got.headers["cache-control"] == keeps.get(path, "private, max-age=31536000, immutable")
    # Nothing in the page needs a hole in the policy.
    assert " style=" not in got.text
    assert "<script>" not in got.text


def test_a_token_is_asked_for_and_becomes_a_cookie(session: _Session, tmp_path: Path) -> None:
    client = client_of(session, tmp_path, host="0.0.0.0", token="secret")
    for path in ("/", "/api/state", "/images/0/thumb", "/?token=", "/?token=secre", "/healthz"):
        assert client.get(path).status_code == 401
    assert client.post("/api/answers?token=secret", json=ANSWER).status_code == 401
    opened = client.get("/?token=secret")
    assert opened.status_code == 200
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert opened.headers["referrer-policy"] == "no-referrer"
    assert client.get("/api/state").status_code == 200
    assert client.post("/api/answers", json=ANSWER).status_code == 200
    client.cookies.clear()
    by_header = {"authorization": "Bearer secret"}
    assert client.get("/api/state", headers=by_header).status_code == 200
    assert (
        client.get(
            "/api/state", headers={"cookie": "fewlabel_8000=Ã".encode("latin-1")}
        ).status_code
        == 401
    )
