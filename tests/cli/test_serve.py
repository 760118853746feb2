"""The service as a process: answers under load while models change and it is told to end."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("uvicorn")

from fewlabel.export import model_id
from fewlabel.files import atomic_folder
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run
from tests.cli.conftest import Run, refused, start_cli
from tests.conftest import Example
from tests.web.test_service import encoded


@pytest.fixture(scope="module")
def two_runs(digits: Example, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs, of which the second knows fewer classes."""
    folder, few = tmp_path_factory.mktemp("served"), np.flatnonzero(digits.truth.y[:80] < 5)
    fits = {"old": digits.fit(), "new": digits.fit(digits.known(few.tolist()))}
    for name, result in fits.items():
        save_run(result, digits.images, folder / name)
    return folder / "old", folder / "new"


Started = tuple[subprocess.Popen, int, list[str]]
Begin = Callable[..., Started]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start the service; return its process, its port, and the log, which grows."""
    processes = []

    def start(*args: object) -> Started:
        process, log = start_cli("serve", *args, "--port", "0", "--json"), list[str]()
        # Nobody else reads it, and a pipe that is full would stop the service.
        reader = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
        reader.start()
        processes.append((process, reader))
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/predict", line):
                return process, int(found[1]), log
        raise AssertionError(log)

    yield start
    for process, reader in processes:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stderr.close()


class Client(threading.Thread):
    """Asks over and over on one connection, until it is told to stop or to go elsewhere."""

    def __init__(self, port: int, body: bytes) -> None:
        super().__init__(daemon=True)
        self.port, self.body, self.ended = port, body, threading.Event()
        self.answers: list[dict] = []
        self.problems: list[str] = []
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.ended.is_set():
            try:
                headers = {"Content-Type": "image/png"}
                connection.request("POST", "/predict?top=all", self.body, headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                assert response.status == 200, answer
                self.answers.append(answer)
                if response.will_close:
                    break
            except Exception as error:
                self.problems.append(repr(error))
                break
        connection.close()


def ask(port: int, method: str, path: str) -> tuple[int, dict]:
    """Ask once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def replace(place: Path, run: Path) -> None:
    """Put the model of a run in the place of another, as `fit --force` does."""
    with atomic_folder(place, force=True) as folder:
        shutil.copytree(run, folder, dirs_exist_ok=True)


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(150):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("It did not happen within 15 s.")


def image_file(side: int) -> bytes:
    return encoded(np.random.default_rng(side).integers(0, 256, (side, side), np.uint8))


def test_models_change_and_it_ends_without_a_dropped_request(
    two_runs: tuple[Path, Path], begin: Begin, tmp_path: Path
) -> None:
    ids = old_id, new_id = tuple(model_id(load_run(run)) for run in two_runs)
    old, new = two_runs
    place = tmp_path / "place"
    replace(place, old)
    process, port, lines = begin(f"digits={place}")
    clients = [Client(port, image_file(8)) for _ in range(8)]
    with socket.create_connection(("127.0.0.1", port)) as broken:
        broken.sendall(b"GET / HTTP/9\r\n\r\n")
        assert b" 400 " in broken.recv(100)
    now = lambda: ask(port, "GET", "/readyz")[1]["models"]["digits"]  # noqa: E731
    assert now() == {"id": old_id, "reload_failed": False}
    # Found by itself.
    replace(place, new)
    wait_until(lambda: now()["id"] == new_id)
    # Damaged: the last one goes on.
    (place / "model" / "manifest.json").write_text("{}")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: now() == {"id": new_id, "reload_failed": True})
    replace(place, old)
    assert ask(port, "POST", "/models/digits/reload") == (
        200,
        {"model": "digits", "id": old_id, "changed": True},
    )
    wait_until(lambda: all(c.answers and c.answers[-1]["id"] == old_id for c in clients))
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: ask(port, "GET", "/readyz")[0] == 503)
    assert process.wait(15) == 0
    for client in clients:
        client.join(15)
    assert [problem for client in clients for problem in client.problems] == []
    seen: dict[str, Counter] = {}
    for answer in (answer for client in clients for answer in client.answers):
        (image,) = answer["images"]
        # No answer mixes two models. In batches of other sizes, sums round otherwise.
        proba = tuple(round(p, 2) for p in sorted(image["probabilities"].values()))
        seen.setdefault(answer["id"], Counter())[proba] += 1
    assert seen.keys() == set(ids)
    assert {len(answers) for answers in seen.values()} == {1}
    assert seen[old_id].keys() != seen[new_id].keys()
    log = [json.loads(line) for line in lines]
    assert {line["event"] for line in log} == {"request", "warning", "reload", "reload failed"}
    assert {line["status"] for line in log if line.get("method") == "POST"} == {200}


def test_memory_is_bounded_with_32_connections(two_runs: tuple[Path, Path], begin: Begin) -> None:
    process, port, _ = begin(two_runs[0])

    def resident() -> int:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1])

    def load(side: int, seconds: float, n: int) -> int:
        clients = [Client(port, image_file(side)) for _ in range(n)]
        time.sleep(seconds)
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join()
        assert [problem for client in clients for problem in client.problems] == []
        return sum(len(client.answers) for client in clients)

    if not Path(f"/proc/{process.pid}/status").exists():
        pytest.skip("This system does not say how much memory a process has.")
    load(500, 0.5, 4)
    before = resident()
    assert load(500, 2.0, 32) > 64
    # In kilobytes; a quarter of a megabyte each is under way, and as much decoded.
    assert resident() - before < 60_000


@pytest.mark.parametrize(
    ("runs", "options", "parts"),
    [
        (("nowhere",), (), ("nowhere is not a run folder",)),
        (("a=run", "a=run"), (), ("Two models are named a", "NAME=RUN")),
        (("b c=run",), (), ("'b c=run' gives no name", "letters")),
        (("run",), ("--max-error", "0.01%"), ("cannot be promised", "random")),
        (("run",), ("--max-error", "100%"), ("100%", "--max-error")),
        (("run",), ("--host", "256.1.1.1"), ("Cannot listen on 256.1.1.1", "--port")),
        (("run",), ("--max-images", "0"), ("at least 1",)),
        (("run",), ("--timeout", "soon"), ("'soon' is not a time",)),
        (("run/report.html",), (), ("not a run folder",)),
    ],
)
def test_mistakes_are_one_line(
    run_cli: Run,
    two_runs: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs: tuple,
    options: tuple,
    parts: tuple,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(two_runs[0])
    refused(run_cli("serve", *runs, "--port", "0", *options), *parts)
