"""Small valid files of every kind that fewlabel reads, and what reads each; for `fuzz.py`."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, features

from fewlabel.data import (
    ImageSet,
    Labels,
    image_set_from_array,
    labels_from_truth,
    load_images,
    read_labels,
)
from fewlabel.evaluate import make_candidates
from fewlabel.labelling.store import Answer, open_store
from fewlabel.nets.pretrained import _read_checkpoint, _read_recipe
from fewlabel.pipeline import FitSettings, fit_images
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import _save_model, load_run
from fewlabel.runs.project import _list_runs, _read_project, _run_options
from fewlabel.runs.rerun import rerun
from fewlabel.runs.tables import _saved

Seed = tuple[str, bytes]
Reader = Callable[[Path], None]


def image_seeds() -> list[Seed]:
    """Return small images in every format and mode that is at hand."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (20, 28), np.uint8)
    color = rng.integers(0, 256, (20, 28, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    found: list[Seed] = []

    def add(name: str, image: Image.Image, **options: object) -> None:
        stream = io.BytesIO()
        image.save(stream, format=Image.registered_extensions()[f".{name}"], **options)
        found.append((f"image.{name}", stream.getvalue()))

    rgb, flat = Image.fromarray(color[..., :3].copy()), Image.fromarray(gray)
    add("jpg", rgb, exif=exif)
    add("jpg", flat, progressive=True)
    add("jpg", rgb.convert("CMYK"))
    for image in (flat, rgb, Image.fromarray(color), rgb.quantize(16), flat.convert("1")):
        add("png", image)
    add("png", Image.fromarray(gray.astype(np.uint16) * 257), exif=exif)
    add("gif", rgb.quantize(8), save_all=True, append_images=[flat, flat])
    add("bmp", rgb)
    add("bmp", rgb.quantize(16))
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        add("tif", rgb, compression=compression)
    add("tif", Image.fromarray(gray.astype(np.float32)))
    add("tif", Image.fromarray(gray.astype(np.int32) * 1000))
    add("tif", flat.convert("1"), compression="group4")
    add("ppm", rgb)
    add("pgm", flat)
    add("pbm", flat.convert("1"))
    for name, feature in (("webp", "webp"), ("jp2", "jpg_2000"), ("avif", "avif")):
        if features.check(feature):
            add(name, rgb)
            add(name, Image.fromarray(color))
    return found + _tiff_seeds(gray, color)


def _tiff_seeds(gray: np.ndarray, color: np.ndarray) -> list[Seed]:
    """Return TIFFs as microscopes write them, where tifffile is at hand."""
    try:
        import tifffile
    except ImportError:
        return []
    found: list[Seed] = []
    for pixels, options in (
        (gray / 255.0, {}),
        (gray.astype(np.float16), {}),
        (color[..., :3] / np.float32(255), {"photometric": "rgb"}),
        (np.moveaxis(color[..., :3], -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (65535 - gray.astype(np.uint16), {"photometric": "miniswhite"}),
        (gray.astype(np.int16) - 99, {"byteorder": ">"}),
        (gray.astype(np.uint32) << 23, {"bigtiff": True}),
        (np.tile(gray, (2, 2)).astype(np.uint16), {"tile": (16, 16)}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, **options)
        found.append(("image.tif", stream.getvalue()))
    return found


def read_image(file: Path) -> None:
    """Read an image as ``fit`` does, and as ``predict`` with a model of color."""
    images = load_images(file)
    images.digest()
    images.read([0], size=(16, 16), channels=3)
    images.read([0])


def table_seeds() -> list[Seed]:
    """Return label tables in the forms that people have."""
    rows = [(f"i{i:02d}.png", "cat" if i % 2 else "dog") for i in range(12)]
    text = "path,label\n" + "".join(f"{a},{b}\n" for a, b in rows)
    several = "path,label\n" + "".join(f'"{a}","{b}|x"\r\n' for a, b in rows)
    studio = [
        {"data": {"image": f"/data/upload/1/{a}"}, "annotations": [{"result": [
            {"type": "choices", "from_name": "c", "to_name": "image", "value": {"choices": [b]}}
        ]}]}
        for a, b in rows
    ]  # fmt: skip
    coco = {
        "images": [{"id": i, "file_name": a} for i, (a, _) in enumerate(rows)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1 + (b == "dog")}
            for i, (_, b) in enumerate(rows)
        ],
    }
    lines = "\n".join(json.dumps({"file_name": a, "label": b}) for a, b in rows)
    found: list[Seed] = [
        ("labels.csv", text.encode()),
        ("labels.csv", several.encode("utf-8-sig")),
        ("labels.csv", ("sep=;\n" + text.replace(",", ";")).encode()),
        ("labels.tsv", text.replace(",", "\t").encode("utf-16")),
        ("labels.csv", text.replace("path,label", "\nfilename,class,note").encode()),
        ("labels.json", json.dumps(studio).encode()),
        ("labels.json", json.dumps(coco).encode()),
        ("metadata.jsonl", lines.encode()),
    ]
    return found + _sheet_seeds(rows)


def _sheet_seeds(rows: list[tuple[str, str]]) -> list[Seed]:
    """Return workbooks of Excel and LibreOffice, where pandas and what it writes with are."""
    found: list[Seed] = []
    with contextlib.suppress(ImportError):
        import pandas as pd

        for name in ("labels.xlsx", "labels.ods"):
            stream = io.BytesIO()
            engine = "openpyxl" if name.endswith("xlsx") else "odf"
            pd.DataFrame(rows, columns=["path", "label"]).to_excel(
                stream, index=False, engine=engine
            )
            found.append((name, stream.getvalue()))
    return found


def read_table(file: Path) -> None:
    """Read labels for twelve images."""
    read_labels(file, _twelve(file.parent))


def _pictures(folder: Path) -> Path:
    images = folder / "images"
    if not images.exists():
        images.mkdir()
        for i in range(12):
            Image.new("L", (8, 8), 20 * i).save(images / f"i{i:02d}.png")
    return images


@functools.cache
def _twelve(folder: Path) -> ImageSet:
    return load_images(_pictures(folder))


def manifest_seeds() -> list[Seed]:
    """Return manifests of images, with labels and without."""
    names = [f"images/i{i:02d}.png" for i in range(12)]
    labeled = "".join(f"{name},{i % 2}\n" for i, name in enumerate(names))
    return [
        ("manifest.csv", ("path\n" + "\n".join(names) + "\n").encode()),
        ("manifest.csv", ("path,label\n" + labeled).encode()),
        ("manifest.csv", ("label;path\r\n" + "".join(f"b;{n}\r\n" for n in names)).encode()),
    ]


def read_manifest(file: Path) -> None:
    """Read a manifest and its pixels."""
    _pictures(file.parent)
    load_images(file).read([0], size=(8, 8))


def npz_seeds() -> list[Seed]:
    """Return npz files with labels of every kind."""
    X = np.arange(6 * 8 * 8, dtype=np.uint8).reshape(6, 8, 8)
    found: list[Seed] = []
    for save, arrays in (
        (np.savez, {"X": X}),
        (np.savez, {"X": X, "y": np.arange(6) % 2}),
        (np.savez_compressed, {"X": X / 255.0, "y": np.array(["a", "b", ""] * 2)}),
        (np.savez, {"X": X[..., None], "y": X[:, 0, :2] % 2, "classes": np.array(["a", "b"])}),
        (np.savez_compressed, {"X": np.asfortranarray(X), "y": np.array([b"a", b"b"] * 3)}),
        (np.savez, {"X": X.astype(">u2"), "y": np.array([0.0, 1.0, np.nan] * 2)}),
    ):
        stream = io.BytesIO()
        save(stream, **arrays)
        found.append(("images.npz", stream.getvalue()))
    return found


def idx_seeds() -> list[Seed]:
    """Return idx files of images."""
    X = np.arange(6 * 8 * 8, dtype=np.uint8)
    plain = b"\0\0\x08\x03" + struct.pack(">3I", 6, 8, 8) + X.tobytes()
    wide = b"\0\0\x0b\x03" + struct.pack(">3I", 6, 8, 8) + X.astype(">i2").tobytes()
    fine = b"\0\0\x0d\x04" + struct.pack(">4I", 2, 8, 8, 3) + X.astype(">f4").tobytes()
    return [
        ("train-images-idx3-ubyte", plain),
        ("images.idx", wide),
        ("images.idx", fine),
        ("train-images-idx3-ubyte.gz", gzip.compress(plain, mtime=0)),
    ]


def read_arrays(file: Path) -> None:
    """Read the images of a file, and the labels that they carry."""
    images = load_images(file)
    if len(images) and images.native_shape is not None and max(images.native_shape) < 1_000:
        images.read([0], size=(8, 8), channels=3)


def model_seeds() -> list[Seed]:
    """Return the files of models of pixels and of patches, for one label an image and several."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = (rng.integers(0, 99, (40, 12, 12)) + 100 * y[:, None, None]).astype(np.uint8)
    found: list[Seed] = []
    one = np.where(np.arange(40) < 20, y, -1)
    several = np.where(np.arange(40)[:, None] < 20, np.stack([y, 1 - y], axis=1), -1)
    for kind, truth in (("pixels", one), ("patches", one), ("pixels", several)):
        images = image_set_from_array(X, truth)
        settings = FitSettings(features=kind, cache=False, checkpoint=None)
        result = fit_images(images, labels_from_truth(images), settings)
        with tempfile.TemporaryDirectory() as folder:
            _save_model(result, images, Path(folder) / "model")
            parts = [
                (Path(folder) / "model" / name).read_bytes()
                for name in ("manifest.json", "arrays.safetensors")
            ]
        # Both in one, since both are damaged.
        found.append(("model", struct.pack("<Q", len(parts[0])) + b"".join(parts)))
    return found


def read_model(file: Path) -> None:
    """Load a model and predict two images."""
    whole = file.read_bytes()
    (n,) = struct.unpack("<Q", whole[:8])
    folder = file.with_name("run")
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "manifest.json").write_bytes(whole[8 : 8 + n])
    (folder / "model" / "arrays.safetensors").write_bytes(whole[8 + n :])
    model = load_run(folder)
    model.predict(image_set_from_array(np.zeros((2, 12, 12), np.uint8)))


@functools.cache
def _run_files() -> dict[str, bytes]:
    """Fit a run, and return the files that are read again beside its model."""
    X = np.random.default_rng(0).integers(0, 255, (40, 8, 8), np.uint8)
    images = image_set_from_array(X, np.where(np.arange(40) < 20, np.arange(40) % 2, -1))
    settings = FitSettings(features="pixels", cache=False, checkpoint=None)
    result = fit_images(images, labels_from_truth(images), settings)
    with tempfile.TemporaryDirectory() as folder:
        run = save_run(result, images, Path(folder) / "run")
        names = ("metrics.json", "predictions.csv", "run.json")
        return {name: (run / name).read_bytes() for name in names}


def run_seeds() -> list[Seed]:
    """Return what came of a run."""
    # Once each: those of a kind are damaged in the same manner.
    return [(name, _run_files()[name]) for name in ("metrics.json", "predictions.csv")]


def read_run(file: Path) -> None:
    """Read what lists of runs and commands that go on from a run read of it."""
    run = file.parent / "a-run"
    (run / "model").mkdir(parents=True, exist_ok=True)
    shutil.move(file, run / file.name)
    _list_runs(file.parent)
    _run_options(run)
    _saved(run)
    shutil.rmtree(run)


def record_seeds() -> list[Seed]:
    """Return how a run was made, with labels that can be found."""
    record = json.loads(_run_files()["run.json"])
    record |= {"folder": "..", "labels": "labels.csv"}
    return [("run.json", json.dumps(record).encode())]


def read_record(file: Path) -> None:
    """Read what a run is repeated from, beside its other files; fit nothing."""
    run, images = file.parent / "a-run", _twelve(file.parent)
    (run / "model").mkdir(parents=True, exist_ok=True)
    for name in ("metrics.json", "predictions.csv"):
        (run / name).write_bytes(_run_files()[name])
    shutil.move(file, run / file.name)
    (file.parent / "labels.csv").write_text("path,label\ni00.png,a\ni01.png,b\n")
    _list_runs(file.parent)
    _run_options(run)
    with mock.patch("fewlabel.runs.rerun.fit_images", _check), contextlib.suppress(_Fitted):
        rerun(run, file.parent / "again", images=images)


class _Fitted(Exception):  # noqa: N818
    """What comes instead of a fit."""


def _check(images: ImageSet, labels: Labels, settings: FitSettings, **_: object) -> None:
    """Make what a fit makes of its settings."""
    if settings.method != "auto":
        make_candidates(labels.task, [settings.method])
    np.random.default_rng(settings.seed)
    raise _Fitted


def project_seeds() -> list[Seed]:
    """Return a project file."""
    text = "# Written by fewlabel; x\nimages = 'photos'\nlabels = 'labels.csv'\nseed = 7\n"
    return [("fewlabel.toml", text.encode())]


def read_project(file: Path) -> None:
    """Read the options that a folder keeps."""
    _read_project(file.parent)


def weight_seeds() -> list[Seed]:
    """Return weights that say themselves what they are for, and the file beside others."""
    from safetensors.numpy import save

    cfg = {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    config = json.dumps({"architecture": "mobilenetv2_100", "pretrained_cfg": cfg})
    tensors = {"a.weight": np.ones((4, 3), np.float32), "b": np.zeros(5, np.float16)}
    whole = save(tensors, {"fewlabel-recipe": config})
    return [("a.safetensors", whole), ("b.json", config.encode())]


def read_weights(file: Path) -> None:
    """Read tensors and what they are for."""
    if file.suffix == ".json":
        shutil.copy(file, file.with_name("model.json"))
        file = file.with_name("model.safetensors")
        file.write_bytes(weight_seeds()[0][1])
    _read_recipe(file)
    _read_checkpoint(file)


def answer_seeds() -> list[Seed]:
    """Return the database of a labeling page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_store(_twelve(folder), folder / "labels.csv") as store:
            store.add([Answer(i, ("ab"[i % 2],), annotator="Ann") for i in range(5)])
            store.undo("Ann")
            store.add_class("c")
            store.lease("Bob", [7, 8], 2)
        return [("labels.answers.db", (folder / "labels.answers.db").read_bytes())]


def read_answers(file: Path) -> None:
    """Open a store, read all of it, and add to it."""
    try:
        with open_store(_twelve(file.parent), file.parent / "labels.csv") as store:
            store.labels(), store.history(0), store.standing(), store.classes(), store.skipped()
            store.add([Answer(3, ("a",), annotator="Eve")])
            store.undo("Eve")
    finally:
        for left in file.parent.glob("labels.*"):
            left.unlink()
