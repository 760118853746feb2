import functools
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from fewlabel.data import labels_from_truth, load_images
from fewlabel.errors import DownloadError, RunFolderError, UsageError
from fewlabel.export import Exported, export_page
from fewlabel.export.web_page import _PARTS, _runtime
from fewlabel.fit_result import FitSettings
from fewlabel.model import Model
from fewlabel.pipeline import fit_images


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def model() -> Model:
    images = load_images("digits").subset(np.arange(400))
    labels = labels_from_truth(images)
    labels = replace(labels, y=np.where(np.arange(400) < 80, labels.y, -1))
    return fit_images(images, labels, FitSettings(method="supervised", cache=False)).model


@pytest.fixture(scope="module")
def page(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Make a page and serve it; return its folder and address."""
    try:
        archive = _runtime(None)
    except DownloadError as error:
        pytest.skip(f"the npm registry cannot be reached: {error}")
    folder = tmp_path_factory.mktemp("web") / "page"
    images = load_images("digits").subset(np.arange(400))
    export_page(model, folder, images, name="digits <1>", runtime=archive)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return files as people drop them: gray, color, transparent, of several sizes."""
    folder, files = tmp_path_factory.mktemp("photos"), []
    pixels = load_images("digits").read(np.arange(400, 406), size=(8, 8), channels=1)[..., 0]
    for number, digit in enumerate(pixels):
        image = Image.fromarray(digit)
        if number % 3 == 1:
            image = image.resize((40 + number, 30)).convert("RGB")
        if number % 3 == 2:
            image = image.convert("RGBA")
            image.putalpha(Image.new("L", image.size, 128))
        files.append(str(folder / f"{number}, digit.png"))
        image.save(files[-1])
    return files


def _confidence(file: Path, photos: list[str]) -> list[float]:
    """Return what ONNX Runtime gives in Python, in float32 as the browser computes."""
    session = onnxruntime.InferenceSession(file)
    found = []
    for photo in photos:
        image = Image.open(photo).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        pixels = np.asarray(image.convert("RGB"))[None]
        found.append(float(session.run(["probabilities"], {"images": pixels})[0].max()))
    return found


def test_photos_get_the_labels_of_the_model(
    model: Model, page: tuple[Path, str], photos: list[str], chromium: Any, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    complaints: list[str] = []
    context = chromium.new_context(color_scheme="light", accept_downloads=True)
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
    opened.goto(page[1])
    opened.wait_for_selector("body[data-ready]", timeout=60_000)
    assert opened.locator("h1").inner_text() == "digits <1>"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    opened.set_input_files("#files", [*photos, str(broken)])
    opened.wait_for_selector("#status:has-text('6 classified, 1 could not be read')")
    found = opened.locator("#found > li:not(.bad) strong").all_inner_texts()
    wanted = model.predict(photos)
    assert found == wanted.texts
    with opened.expect_download() as download:
        opened.click("#save")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "path,label,confidence"
    assert lines[1].startswith(f'"0, digit.png",{wanted.texts[0]},')
    given = [float(line.rpartition(",")[2]) for line in lines[1:]]
    np.testing.assert_allclose(given, _confidence(page[0] / "model.onnx", photos), atol=2e-4)
    opened.fill("#least", "100")
    assert opened.locator("#found > li.unsure").count() == 6
    assert opened.locator("#kept").inner_text().startswith("0 of 7 labeled")
    serious = [
        v["id"]
        for v in axe.Axe().run(opened).response["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert not serious
    context.close()
    assert complaints == []


def test_a_page_is_whole_and_names_what_it_holds(page: tuple[Path, str], model: Model) -> None:
    folder, _ = page
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert names == {
        "README.txt",
        "index.html",
        "model.json",
        "model.onnx",
        "page.css",
        "page.js",
        "runtime/ort-wasm-simd-threaded.wasm",
        "runtime/ort.wasm.bundle.min.mjs",
    }
    assert json.loads((folder / "model.json").read_text())["classes"] == list(model.classes)
    assert "unsafe-inline" not in (folder / "index.html").read_text()


def test_a_folder_of_somebody_else_stays(model: Model, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="--web"):
        export_page(model, tmp_path / "photos", load_images("digits"), runtime="x", force=True)


def test_a_file_that_was_exported_is_copied(page: tuple[Path, str], tmp_path: Path) -> None:
    parts = [f"runtime/{Path(part).name}" for part in _PARTS]
    with tarfile.open(tmp_path / "runtime.tgz", "w:gz") as archive:
        for name, part in zip(parts, _PARTS, strict=True):
            archive.add(page[0] / name, arcname=part)
    file, about = page[0] / "model.onnx", json.loads((page[0] / "model.json").read_text())
    given = Exported(str(file), 1, 64, 0.0, 0.0, 1.0, about)
    made: Any = {"runtime": tmp_path / "runtime.tgz", "exported": given}
    # Nothing is asked of the model and the images any more.
    found = export_page(None, tmp_path / "page", None, **made)  # type: ignore[arg-type]
    assert Path(found.file).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("member", ["package/dist/other.js", "../../escape.mjs"])
def test_another_archive_is_refused(model: Model, tmp_path: Path, member: str) -> None:
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(member), io.BytesIO())
    with pytest.raises(UsageError, match="is not onnxruntime-web"):
        export_page(model, tmp_path / "page", load_images("digits"), runtime=tmp_path / "other.tgz")
    assert [file.name for file in tmp_path.iterdir()] == ["other.tgz"]
