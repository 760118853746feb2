"""Damaged files of every kind that fewlabel reads: nothing but its own errors, and soon.

    python benchmarks/fuzz.py images --n 10000
    python benchmarks/fuzz.py tables | manifests | npz | idx | models

Small valid files are damaged (flipped bits, cuts, copies, splices of two files, numbers that are
often mistaken, values of JSON replaced) and read in this process, all the way to pixels, labels or
predictions. A reader may read what it is given or raise a ``FewLabelError``; everything else is a
finding, as is an answer that takes more than 5 seconds. Input k of a reader is the same in every
run, so a number tells it; ``--keep FOLDER`` writes the inputs that were findings. Counts and
findings are added to results/fuzz.json.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import hashlib
import io
import json
import random
import resource
import shutil
import struct
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence, features

from fewlabel.data import load_images, read_labels
from fewlabel.errors import FewLabelError
from fewlabel.runs.model import load_run

RESULT = Path(__file__).parent / "results" / "fuzz.json"
MAX_SECONDS = 5.0
NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 1e308, 0.5, "", "nan", "x" * 300, "\0", [], {},
    [[]], [None], ["a", "a"], {"a": {}}, [1e308] * 3, "../..", "/etc/passwd",
)  # fmt: skip
PIECES = (b"\0", b"\xff", b"\xff\xfe", b'"', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"a|b", b"=")

Seed = tuple[str, bytes]
Reader = Callable[[Path], None]


def damage(whole: bytes, other: bytes, dice: random.Random) -> bytes:
    """Return a file with one to four damages; parts may come from another one."""
    data = bytearray(whole)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        _damage_once(data, other, dice)
    return bytes(data)


def _damage_once(data: bytearray, other: bytes, dice: random.Random) -> None:
    # Headers decide more than what follows.
    place = dice.randrange(max(1, min(len(data), dice.choice((16, 64, 256, 1 << 30)))))
    size = dice.choice((1, 2, 4, 8, 16, 64))
    kind = dice.randrange(8)
    if kind == 0 and data:
        data[min(place, len(data) - 1)] ^= 1 << dice.randrange(8)
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        del data[place : place + size]
    elif kind == 3:
        data[place:place] = data[place : place + size]
    elif kind == 4 and other:
        start = dice.randrange(len(other))
        data[place : place + size] = other[start : start + size]
    elif kind == 5:
        form = dice.choice((">B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
        number = dice.choice(NUMBERS) & ((1 << 8 * struct.calcsize(form)) - 1)
        data[place : place + struct.calcsize(form)] = struct.pack(form, number)
    elif kind == 6:
        data[place:place] = dice.choice(PIECES) * dice.choice((1, 1, 2, 100))
    else:
        data[place : place + size] = dice.randbytes(size)


def damage_json(value: object, dice: random.Random) -> object:
    """Return a JSON value in which one part, anywhere, is replaced, doubled or gone."""
    places: list[tuple[dict | list, object]] = []

    def walk(node: object) -> None:
        if isinstance(node, dict | list):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            for key in keys:
                places.append((node, key))
                walk(node[key])

    walk(value)
    if not places:
        return dice.choice(VALUES)
    node, key = dice.choice(places)
    kind = dice.randrange(4)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    elif kind == 2:
        node[key] = [node[key], node[key]]
    else:
        node[key] = dice.choice(VALUES)
    return value


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
    assert next(ImageSequence.Iterator(Image.open(io.BytesIO(found[0][1]))))
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
    """Return a workbook, where openpyxl is at hand."""
    try:
        import openpyxl
    except ImportError:
        return []
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in [("path", "label"), *rows]:
        book.active.append(row)
    book.save(stream)
    return [("labels.xlsx", stream.getvalue())]


def read_table(file: Path) -> None:
    """Read labels for twelve images."""
    read_labels(file, load_images(_pictures(file.parent)))


def _pictures(folder: Path) -> Path:
    images = folder / "images"
    if not images.exists():
        images.mkdir()
        for i in range(12):
            Image.new("L", (8, 8), 20 * i).save(images / f"i{i:02d}.png")
    return images


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
    from fewlabel.data import image_set_from_array, labels_from_truth
    from fewlabel.pipeline import FitSettings, fit_images
    from fewlabel.runs.model import _save_model

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


def damage_model(whole: bytes, other: bytes, dice: random.Random) -> bytes:
    """Damage the manifest as JSON, or the arrays, with a checksum that is right again."""
    (n,) = struct.unpack("<Q", whole[:8])
    text, arrays = whole[8 : 8 + n], whole[8 + n :]
    kind = dice.randrange(6)
    if kind == 0:
        text = damage(text, other, dice)
    elif kind == 1:
        arrays = damage(arrays, other, dice)
    else:
        manifest = json.loads(text)
        if kind == 2:
            arrays = damage(arrays, other, dice)
            about = {"sha256": hashlib.sha256(arrays).hexdigest(), "bytes": len(arrays)}
            manifest["files"]["arrays.safetensors"] = about
        else:
            for _ in range(dice.choice((1, 1, 1, 2))):
                if kind == 3:
                    manifest = damage_json(manifest, dice)
                else:
                    manifest["meta"] = damage_json(manifest["meta"], dice)
        text = json.dumps(manifest).encode()
    return struct.pack("<Q", len(text)) + text + arrays


def read_model(file: Path) -> None:
    """Load a model and predict two images."""
    from fewlabel.data import image_set_from_array

    whole = file.read_bytes()
    (n,) = struct.unpack("<Q", whole[:8])
    folder = file.with_name("run")
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "manifest.json").write_bytes(whole[8 : 8 + n])
    (folder / "model" / "arrays.safetensors").write_bytes(whole[8 + n :])
    model = load_run(folder)
    model.predict(image_set_from_array(np.zeros((2, 12, 12), np.uint8)))


READERS: dict[str, tuple[Callable[[], list[Seed]], Callable[..., bytes], Reader]] = {
    "images": (image_seeds, damage, read_image),
    "tables": (table_seeds, damage, read_table),
    "manifests": (manifest_seeds, damage, read_manifest),
    "npz": (npz_seeds, damage, read_arrays),
    "idx": (idx_seeds, damage, read_arrays),
    "models": (model_seeds, damage_model, read_model),
}


def make(name: str, number: int, seeds: list[Seed]) -> Seed:
    """Return the file of one number."""
    dice = random.Random(f"{name} {number}")
    (file, whole), (_, other) = seeds[number % len(seeds)], dice.choice(seeds)
    if file.endswith((".json", ".jsonl")) and dice.randrange(2):
        lines = whole.split(b"\n") if file.endswith(".jsonl") else [whole]
        where = dice.randrange(len(lines))
        lines[where] = json.dumps(damage_json(json.loads(lines[where]), dice)).encode()
        return file, b"\n".join(lines)
    return file, READERS[name][1](whole, other, dice)


def try_one(name: str, file: Path) -> str:
    """Read a file; return ``"read"``, ``"refused"``, or what is wrong."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[name][2](file)
        outcome = "read"
    except FewLabelError:
        outcome = "refused"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in where if "fewlabel" in frame.filename] or where
        place = f"{Path(own[-1].filename).name}:{own[-1].name}"
        return f"{type(error).__name__} in {place}"
    seconds = time.perf_counter() - start
    return outcome if seconds < MAX_SECONDS else f"{seconds:.0f} seconds"


def main() -> None:
    """Damage and read the inputs of one reader, and record what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    faulthandler.enable()
    # More than a file promises is asked for by no honest reader.
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, resource.RLIM_INFINITY))
    seeds, outcomes, numbers = READERS[options.reader][0](), Counter(), {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.first, options.first + options.n):
            name, data = make(options.reader, number, seeds)
            file = Path(folder) / name
            file.write_bytes(data)
            faulthandler.dump_traceback_later(60, exit=True)
            outcome = try_one(options.reader, file)
            faulthandler.cancel_dump_traceback_later()
            outcomes[outcome] += 1
            if outcome not in ("read", "refused"):
                numbers.setdefault(outcome, []).append(number)
                if options.keep is not None:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, options.keep / f"{options.reader}-{number}-{name}")
            file.unlink(missing_ok=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    record = {
        "inputs": options.n,
        "seconds": round(time.perf_counter() - start, 1),
        "memory_grew_mb": round(grown / 1024),
        "read": outcomes.pop("read", 0),
        "refused": outcomes.pop("refused", 0),
        "wrong": {outcome: [n, *numbers[outcome][:5]] for outcome, n in outcomes.most_common()},
    }
    print(json.dumps({options.reader: record}, indent=1))
    records = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps(records | {options.reader: record}, indent=1) + "\n")


if __name__ == "__main__":
    main()
