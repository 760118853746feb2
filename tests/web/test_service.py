import io
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from PIL import Image
from starlette.testclient import TestClient

from fewlabel.data import load_images
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import Evidence
from fewlabel.export import model_id
from fewlabel.runs.model import load_run
from fewlabel.web.limits import _Limits, _Rate
from fewlabel.web.models import _Models
from fewlabel.web.service import _Service
from tests.hostile import png
from tests.web.conftest import HERE

Start = Callable[..., tuple[TestClient, _Service]]
PNG = {"content-type": "image/png"}


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """The log."""
    return []


@pytest.fixture
def start(run: Path, lines: list[dict[str, Any]]) -> Iterator[Start]:
    """Start a service of a run, or of others, with a client on this machine."""
    begun: list[_Service] = []

    def begin(
        runs: dict[str, Path] | None = None,
        max_error: float | None = None,
        host: str = "127.0.0.1",
        token: str | None = None,
        names: tuple[str, ...] = (),
        **limits: Any,
    ) -> tuple[TestClient, _Service]:
        models = _Models(runs or {"first": run}, max_error=max_error, log=lines.append)
        service = _Service(
            models, _Limits(**limits), lines.append, host=host, token=token, names=names
        )
        begun.append(service.__enter__())
        return TestClient(service.app, base_url=HERE), service

    yield begin
    for service in begun:
        service.__exit__()


def encoded(pixels: np.ndarray | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """Encode an image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def odd_images() -> dict[str, bytes]:
    """Return images in forms and modes that photos come in."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (40, 60), np.uint8)
    color = rng.integers(0, 256, (50, 30, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [Image.fromarray(color), Image.fromarray(255 - color)]
    return {
        "gray.png": encoded(gray),
        "color.jpg": encoded(color, "JPEG"),
        "large.jpg": encoded(np.kron(color, np.ones((20, 20, 1), np.uint8)), "JPEG"),
        "turned.jpg": encoded(color, "JPEG", exif=turned),
        "cmyk.jpg": encoded(Image.fromarray(color).convert("CMYK"), "JPEG"),
        "deep.png": encoded(gray.astype(np.uint16) * 16),
        "float.tif": encoded(gray.astype(np.float32) / 255, "TIFF"),
        "palette.png": encoded(Image.fromarray(color).quantize(), transparency=3),
        "alpha.webp": encoded(np.dstack([color, color[..., 0]]), "WEBP", lossless=True),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "bits.png": encoded(Image.fromarray(gray).convert("1")),
    }


DAMAGED = {
    "no image": b"path,label\na.png,cat\n",
    "cut": encoded(np.zeros((90, 90, 3), np.uint8), "JPEG")[:300],
    "cut png": encoded(np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8))[:900],
    "a bomb": png(60_000, 60_000),
    "more than a bomb": png(2**31 - 1, 2**31 - 1),
    "above the limit": png(9_000, 9_000),
    "no pixels": png(0, 5),
    "no chunks": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "only NaN": encoded(np.full((9, 9), np.nan, np.float32), "TIFF"),
    "a picture that runs": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


def test_answers_are_those_of_predict(start: Start, run: Path, tmp_path: Path) -> None:
    client, _ = start()
    model, files = load_run(run), odd_images()
    form = [("images", (name, data)) for name, data in files.items()]
    got = client.post("/predict?top=all", files=form).json()
    assert got["id"] == model_id(load_run(run))
    assert [image["name"] for image in got["images"]] == list(files)
    for (name, data), image in zip(files.items(), got["images"], strict=True):
        (tmp_path / name).write_bytes(data)
        expected = model.predict(load_images(tmp_path / name, scale=model.scale))
        proba = [image["probabilities"][c] for c in model.classes]
        np.testing.assert_allclose(proba, expected.proba[0], atol=2e-6, err_msg=name)
        assert [image["label"]] == expected.texts
        assert image["labels"] == [x for x in expected.texts[0].split("|") if x]
        assert image["unlike"] == bool(expected.unlike[0])
        # Alone, as the body of a request.
        body = client.post("/models/first/predict?top=1", content=data, headers=PNG).json()
        (alone,) = body["images"]
        assert alone["label"] == image["label"]
        (most,) = alone["probabilities"].values()
        assert most == pytest.approx(max(proba), abs=2e-6)


def test_unsure_labels_are_left_out(start: Start, run: Path) -> None:
    client, service = start()
    model, noise = service.models["first"].model, np.random.default_rng(1)
    model.evidence = Evidence(np.ones(100, bool), np.linspace(0.5, 1, 100, dtype=np.float32))
    form = [("images", ("x", encoded(noise.integers(0, 256, (16, 16), np.uint8))))] * 12
    form += [("images", ("x", data)) for data in odd_images().values()]
    got = client.post("/predict?max_error=0.2", files=form).json()
    assert got["max_error"] == 0.2
    threshold = model.threshold(0.2)
    assert threshold > 0.4
    for image in got["images"]:
        expected = image["confidence"] >= threshold and not image["unlike"]
        assert image["accepted"] == expected
        assert (image["label"] is None) == (image["labels"] is None) == (not expected)
    assert not all(image["accepted"] for image in got["images"])
    too_little = client.post("/predict?max_error=0.0001", files=form)
    assert too_little.status_code == 400
    assert "cannot be promised" in too_little.json()["detail"]
    with pytest.raises(UsageError, match="cannot be promised"):
        _Models({"first": run}, max_error=1e-4)


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_no_image_is_refused(start: Start, kind: str) -> None:
    client, _ = start()
    got = client.post("/predict", content=DAMAGED[kind], headers=PNG)
    assert got.status_code == 422
    assert "object at" not in got.text
    good = ("images", ("good", odd_images()["gray.png"]))
    mixed = client.post("/predict", files=[("images", ("bad", DAMAGED[kind])), good])
    bad, read = mixed.json()["images"]
    assert bad == {"name": "bad", "error": bad["error"]}
    assert read["accepted"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", PNG, 422),
        (b"x", {"content-type": "text/html"}, 415),
        (b"x", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"x", PNG | {"content-encoding": "gzip"}, 415),
        (b"x", {"content-type": "multipart/form-data; boundary=b"}, 400),
        (b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}, 422),
        (b"x", {"content-type": "multipart/form-data"}, 400),
        (b"x" * 200_001, PNG, 413),
        (b"x", PNG | {"origin": "https://evil.example"}, 403),
        (b"x", PNG | {"host": "evil.example"}, 421),
    ],
)
def test_wrong_requests_are_refused(
    start: Start, content: bytes, headers: dict[str, str], status: int
) -> None:
    client, _ = start(max_body=200_000)
    got = client.post("/predict", content=content, headers=headers)
    assert got.status_code == status
    assert got.json()["detail"]


def test_requests_are_bounded(start: Start, lines: list[dict[str, Any]]) -> None:
    client, service = start(max_images=2, rate=2.0)
    service.app._rate._clock = lambda: 0.0
    image = odd_images()["gray.png"]
    many = client.post("/predict", files=[("images", ("x", image))] * 3)
    assert many.status_code == 400
    for full in ("images", "bytes"):
        service.batcher.n_waiting = service.limits.max_waiting * (full == "images")
        service.app._n_bytes = service.limits.max_bytes * (full == "bytes")
        busy = client.post("/predict", content=image, headers=PNG)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    service.app._n_bytes = 0
    assert client.post("/predict", content=image, headers=PNG).status_code == 200
    # A burst of four was allowed, and each of them counted.
    fast = client.post("/predict", content=image, headers=PNG)
    assert (fast.status_code, fast.headers["retry-after"]) == (429, "1")
    assert client.get("/healthz").status_code == 200
    assert [line["status"] for line in lines] == [400, 503, 503, 200, 429, 200]
    assert service.batcher.n_waiting == service.app._n_bytes == 0
    assert not any(str(image[:20])[2:-1] in str(line) for line in lines)


def test_what_takes_too_long_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client, service = start(seconds=0.2)
    slow = threading.Event()
    monkeypatch.setattr("fewlabel.web.batching._predict", lambda jobs: slow.wait(5) and [])
    got = client.post("/predict", content=odd_images()["gray.png"], headers=PNG)
    # The second one waits for the first, and leaves nothing behind.
    client.post("/predict", content=odd_images()["gray.png"], headers=PNG)
    assert not service.batcher._jobs
    slow.set()
    assert (got.status_code, got.headers["retry-after"]) == (503, "1")
    assert "longer than 0.2 s" in got.json()["detail"]
    assert service.batcher.n_waiting == 0


def test_a_bucket_fills_again_and_the_clients_are_bounded() -> None:
    now = 0.0
    rate = _Rate(1.0, clock=lambda: now)
    assert [rate.wait_of("a") for _ in range(3)] == [0.0, 0.0, 1.0]
    assert rate.wait_of("b") == 0.0
    now = 1.5
    assert [rate.wait_of("a"), rate.wait_of("a")] == [0.0, 0.5]
    for number in range(10_050):
        rate.wait_of(str(number))
    assert len(rate._left) == 10_000


def test_a_token_is_asked_for_but_by_those_who_watch(start: Start) -> None:
    client, service = start(host="0.0.0.0", token="secret", names=("birds.example",))
    for path in ("/models", "/metrics", "/openapi.json"):
        assert client.get(path).status_code == 401
    image = odd_images()["gray.png"]
    assert client.post("/predict", content=image, headers=PNG).status_code == 401
    assert client.post("/models/first/reload").status_code == 401
    assert client.get("/readyz", headers={"host": "birds.example"}).status_code == 200
    assert client.get("/readyz", headers={"host": "other.example"}).status_code == 421
    by_token = PNG | {"authorization": "Bearer secret"}
    described = client.get("/openapi.json", headers=by_token).json()
    (scheme,) = described["components"]["securitySchemes"].values()
    assert scheme == {"type": "http", "scheme": "bearer"}
    assert described["paths"]["/readyz"]["get"]["security"] == []
    assert client.get("/", headers=by_token).json()["models"] == ["first"]
    assert client.post("/predict", content=image, headers=by_token).status_code == 200
    service.end()
    ending = client.get("/readyz")
    assert (ending.status_code, ending.headers["connection"]) == (503, "close")
    assert client.post("/predict", content=image, headers=by_token).status_code == 200


def test_several_models_have_names_and_counts(start: Start, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "other")
    client, _ = start({"first": run, "second": tmp_path / "other"})
    image = odd_images()["gray.png"]
    for path in ("/predict", "/models/first/predict", "/models/second/predict"):
        model = client.post(path, content=image, headers=PNG).json()["model"]
        assert model == ("second" if "second" in path else "first")
    assert client.post("/models/third/predict", content=image, headers=PNG).status_code == 404
    assert client.get("/nothing/at/all").status_code == 404
    client.post("/predict", content=DAMAGED["cut"], headers=PNG)
    text = client.get("/metrics").text
    for row in (
        'fewlabel_images_total{found="accepted",model="first"} 2.0',
        'fewlabel_images_total{found="unreadable",model="first"} 1.0',
        'fewlabel_requests_total{model="second",path="/models/{name}/predict",status="200"} 1.0',
        'fewlabel_requests_total{model="",path="other",status="404"} 1.0',
        "fewlabel_batch_images_count 3.0",
        "fewlabel_waiting_images 0.0",
        'fewlabel_reload_failed{model="second"} 0.0',
    ):
        assert row in text


def test_a_new_model_takes_the_place_and_a_damaged_one_does_not(
    run: Path, tmp_path: Path, start: Start, lines: list[dict[str, Any]]
) -> None:
    place = tmp_path / "place"
    shutil.copytree(run, place)
    client, service = start({"first": place})
    before = client.get("/readyz").json()["models"]["first"]
    assert before == {"id": model_id(load_run(run)), "reload_failed": False}
    arrays = place / "model" / "arrays.safetensors"
    whole = arrays.rename(tmp_path / "whole")
    arrays.write_bytes(whole.read_bytes()[:-9])
    assert service.models._is_replaced("first")
    refused = client.post("/models/first/reload")
    assert refused.status_code == 409
    assert "bytes where the manifest says" in refused.json()["detail"]
    # What failed once is tried again only once it has changed.
    assert not service.models._is_replaced("first")
    assert client.get("/readyz").json()["models"]["first"] == before | {"reload_failed": True}
    assert 'fewlabel_reload_failed{model="first"} 1.0' in client.get("/metrics").text
    assert client.get("/models").json()[0]["error"] == refused.json()["detail"]
    image = odd_images()["gray.png"]
    assert client.post("/predict", content=image, headers=PNG).json()["id"] == before["id"]
    # It is the file that was loaded, and still the last one was refused.
    whole.replace(arrays)
    assert service.models._is_replaced("first")
    again = client.post("/models/first/reload").json()
    assert again == {"model": "first", "id": before["id"], "changed": False}
    assert client.get("/readyz").json()["models"]["first"] == before
    shutil.rmtree(place)
    assert not service.models._is_replaced("first")
    events = [line["event"] for line in lines if line["event"] != "request"]
    assert events == ["reload failed", "reload"]


def test_a_request_that_fails_spoils_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = start()
    predict = type(service.models["first"].model).predict
    calls: list[int] = []

    def fails_at_first(model: Any, images: Any) -> Any:
        calls.append(len(images))
        if len(images) == 2 or len(calls) == 2:
            raise ModelFormatError("It is damaged.")
        return predict(model, images)

    monkeypatch.setattr(type(service.models["first"].model), "predict", fails_at_first)
    from fewlabel.data.uploads import _decode_upload
    from fewlabel.web.batching import _Job, _predict

    loaded = service.models["first"]
    image = _decode_upload(odd_images()["gray.png"], loaded.forms, loaded.model.scale, 10_000)
    job = _Job(loaded, [image], None)  # type: ignore[arg-type]
    first, second = _predict([job, job])
    assert isinstance(first, ModelFormatError)
    assert len(second.proba) == 1  # type: ignore[union-attr]
    assert calls == [2, 1, 1]
    assert client.get("/healthz").status_code == 200
