import errno
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fewlabel.data.download import RemoteFile, fetch
from fewlabel.errors import DownloadError, StorageError

CONTENT = bytes(range(256)) * 2000
SHA = hashlib.sha256(CONTENT).hexdigest()
FILE = RemoteFile("data.bin", len(CONTENT), SHA)


class Mirror(http.server.BaseHTTPRequestHandler):
    """Behaves as the first part of the path says; keeps a record of what it was asked."""

    record: list[tuple[str, str | None]] = []

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        asked = self.headers.get("Range")
        earlier = sum(path == self.path for path, _ in self.record)
        self.record.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if kind == "missing" or (kind == "busy" and earlier < 2):
            self.send_error(404 if kind == "missing" else 503)
        elif start >= len(CONTENT):
            self.send_error(416)
        elif kind == "wrong":
            self.answer(b"x" * len(CONTENT), 0)
        elif kind == "large":
            self.answer(CONTENT + b"more", 0)
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT + b"more")
        elif kind == "breaks" and earlier < 2:
            self.answer(CONTENT, start, cut=200_000)
        elif kind == "norange":
            self.answer(CONTENT, 0, cut=200_000 if not earlier else None)
        elif kind == "shifted":
            self.answer(CONTENT, start, claim=start + 1 if start else 0)
        else:
            self.answer(CONTENT, start)

    def answer(
        self, content: bytes, start: int, cut: int | None = None, claim: int | None = None
    ) -> None:
        self.send_response(206 if start else 200)
        if start:
            first = start if claim is None else claim
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:] if cut is None else content[start : start + cut])


@pytest.fixture
def mirror() -> Iterator[str]:
    Mirror.record = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def get(tmp_path: Path, *addresses: str, file: RemoteFile = FILE, **options) -> Path:
    return fetch(file, addresses, tmp_path / "cache", pause=0.001, **options)


def test_a_file_arrives_whole(mirror: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = get(tmp_path, f"{mirror}/good/a", progress=lambda *call: calls.append(call))
    assert path.read_bytes() == CONTENT
    assert path == tmp_path / "cache" / "data.bin"
    assert list(path.parent.iterdir()) == [path]
    assert calls[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_resumed(mirror: str, tmp_path: Path) -> None:
    assert get(tmp_path, f"{mirror}/breaks/a").read_bytes() == CONTENT
    asked = [asked for _, asked in Mirror.record]
    assert asked == [None, "bytes=200000-", "bytes=400000-"]


def test_a_later_call_resumes_too(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(CONTENT[:300_000])
    assert get(tmp_path, f"{mirror}/good/a").read_bytes() == CONTENT
    assert Mirror.record[0][1] == "bytes=300000-"


@pytest.mark.parametrize("kind", ["norange", "shifted"])
def test_mirrors_that_cannot_resume_begin_again(mirror: str, tmp_path: Path, kind: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(CONTENT[:300_000])
    assert get(tmp_path, f"{mirror}/{kind}/a").read_bytes() == CONTENT


def test_a_damaged_beginning_is_fetched_anew(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(b"y" * 300_000)
    assert get(tmp_path, f"{mirror}/good/a").read_bytes() == CONTENT
    assert [asked for _, asked in Mirror.record] == ["bytes=300000-", None]


def test_a_part_that_is_too_long_is_fetched_anew(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(CONTENT + b"more")
    assert get(tmp_path, f"{mirror}/good/a").read_bytes() == CONTENT


def test_a_busy_mirror_is_asked_again(mirror: str, tmp_path: Path) -> None:
    assert get(tmp_path, f"{mirror}/busy/a").read_bytes() == CONTENT
    assert len(Mirror.record) == 3


def test_the_next_mirror_helps(mirror: str, tmp_path: Path) -> None:
    kinds = ["missing", "wrong", "large", "endless", "good"]
    path = get(tmp_path, "http://127.0.0.1:1/refused", *(f"{mirror}/{kind}/a" for kind in kinds))
    assert path.read_bytes() == CONTENT
    assert [path.split("/")[1] for path, _ in Mirror.record][:2] == ["missing", "wrong"]


def test_if_none_helps_each_reason_is_told(mirror: str, tmp_path: Path) -> None:
    addresses = [f"{mirror}/{kind}/a" for kind in ("missing", "wrong", "large", "endless")]
    with pytest.raises(DownloadError) as caught:
        get(tmp_path, *addresses, "http://127.0.0.1:1/refused")
    for reason in (
        "missing/a: HTTP 404",
        "wrong/a: the checksum is wrong",
        "it offers 512,004 bytes, more than the 512,000",
        "it sends more than",
        "refused",
    ):
        assert reason in str(caught.value)
    assert not (tmp_path / "cache" / "data.bin").exists()


def test_without_a_checksum_nothing_old_is_trusted(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(b"y" * 300_000)
    file = FILE._replace(sha256=None)
    assert get(tmp_path, f"{mirror}/good/a", file=file).read_bytes() == CONTENT
    assert Mirror.record[0][1] is None


def test_a_full_disk_is_named(mirror: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "cache").mkdir()
    real_open = Path.open

    def full(self: Path, mode: str = "r", *args, **kwargs):
        if mode == "wb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_open(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StorageError, match="no room is left on the disk"):
        get(tmp_path, f"{mirror}/good/a")
