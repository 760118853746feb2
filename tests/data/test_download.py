import errno
import hashlib
import http.server

import pooch
import pytest

from fewlabel.data.download import _fetch, _RemoteFile
from fewlabel.errors import DownloadError, StorageError
from tests.data.conftest import serving

CONTENT = bytes(range(256)) * 2000
SHA = hashlib.sha256(CONTENT).hexdigest()
FILE = _RemoteFile("data.bin", len(CONTENT), SHA)


class Mirror(http.server.BaseHTTPRequestHandler):
    """Behaves as the first part of the path says; keeps a record of what it was asked."""

    record: list[str] = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        kind = self.path.split("/")[1]
        early = self.record.count(kind) < 2
        self.record.append(kind)
        content = {
            "wrong": b"x" * len(CONTENT),
            "large": CONTENT + b"more",
            "endless": CONTENT + b"more" * 40_000,
        }.get(kind, CONTENT)
        self.send_response({"missing": 404, "busy": 503 if early else 200}.get(kind, 200))
        if kind != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:200_000] if kind == "breaks" and early else content)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)


@pytest.fixture
def mirror():
    Mirror.record = []
    with serving(Mirror) as address:
        yield address


def get(tmp_path, *addresses, file=FILE, **options):
    return _fetch(file, addresses, tmp_path / "cache", **options)


@pytest.mark.parametrize(("kind", "n_asked"), [("good", 1), ("busy", 3), ("breaks", 3)])
@pytest.mark.parametrize("sha", [SHA, None])
@pytest.mark.parametrize("damaged", [True, False])
def test_a_file_arrives_whole(mirror, tmp_path, kind, n_asked, sha, damaged):
    if damaged:
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "data.bin").write_bytes(b"y" * 300_000)
    calls = []
    file, address = FILE._replace(sha256=sha), f"{mirror}/{kind}/a"
    path = get(tmp_path, address, file=file, progress=lambda *call: calls.append(call))
    assert path.read_bytes() == CONTENT
    assert path == tmp_path / "cache" / "data.bin"
    assert list(path.parent.iterdir()) == [path]
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert Mirror.record == [kind] * n_asked


def test_the_next_mirror_helps_and_if_none_does_each_reason_is_named(mirror, tmp_path):
    kinds = ["missing", "wrong", "large", "endless"]
    bad = ["http://127.0.0.1:1/refused", *(f"{mirror}/{kind}/a" for kind in kinds)]
    with pytest.raises(DownloadError) as caught:
        get(tmp_path, *bad)
    for reason in (
        "missing/a: HTTP 404",
        "wrong/a: the checksum is wrong",
        "it offers 512,004 bytes, more than the 512,000",
        "it sends more than",
        "1/refused: [Errno 111] Connection refused;",
    ):
        assert reason in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())
    assert get(tmp_path, *bad, f"{mirror}/good/a").read_bytes() == CONTENT
    assert list(dict.fromkeys(Mirror.record)) == [*kinds, "good"]


def test_a_full_disk_is_named(mirror, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.downloaders, "open", full, raising=False)
    with pytest.raises(StorageError, match="no room is left on the disk"):
        get(tmp_path, f"{mirror}/good/a")
