import json
import re
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Run, draw, refused, rows_of, start_cli

pytest.importorskip("uvicorn")


def ask(url: str, path: str, body: object = None, token: str = "") -> object:
    """Ask the server of a command; return what it says."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def test_the_page_is_served_until_ctrl_c(tmp_path: Path) -> None:
    draw(tmp_path / "photos", 30)
    table = tmp_path / "labels.csv"
    process = start_cli(
        *("label", tmp_path / "photos", "--labels", table, "--classes", "dark,light"),
        *("--port", "0", "--no-browser", "--token", "secret", "--target", "90%"),
    )
    assert process.stdout is not None
    head = [process.stdout.readline(), process.stdout.readline()]
    url = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=secret", head[1])
    assert url is not None, (head, process.stderr and process.stderr.read())
    state = ask(url[1], "/api/state", token="secret")
    assert [c["name"] for c in state["classes"]] == ["dark", "light"]
    assert state["stop"] == {"target": 0.9, "reached": False}
    (card,) = ask(url[1], "/api/next?n=1", token="secret")
    answer = {"answers": [{"image": card["image"], "labels": ["dark"]}]}
    assert ask(url[1], "/api/answers", answer, token="secret")["saved"] == 1
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "labels.csv: 1 of 30 images." in out
    assert f"fewlabel fit {tmp_path}" in out
    assert err == ""
    assert [r["label"] for r in rows_of(table) if r["label"]] == ["dark"]
    assert 'images = "photos"' in (tmp_path / "fewlabel.toml").read_text()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--labels", "folders"), ("writes a table", "--labels")),
        (("--labels", "labels.xlsx"), ("labels.xlsx", ".csv")),
        (("--target", "100%"), ("100%", "--target")),
        (("--port", "70000"), ("70000", "--port")),
        (("--host", "256.1.1.1"), ("Cannot listen on 256.1.1.1", "--port")),
        (("--url", "mysql://x"), ("mysql",)),
        (("--repeats", "0"), ("at least 1",)),
        (("--classes", "cat,|"), ("'|'",)),
    ],
)
def test_mistakes_are_one_line(
    run_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple, parts: tuple
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "photos", 4)
    refused(run_cli("label", "photos", "--port", "0", "--no-browser", *options), *parts)
