"""Files that mean harm, made for tests: archives, idx files, and models with forged manifests."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import os
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.errors import FewLabelError

WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 1e300, -0.5, "", "text", "x" * 100_000, "\x1b[2J"),
    *([], {}, [[]], [None], ["a", "a"], [0], [-1], [2**31] * 2, [1e300], [[0, 1]], {"a": 1}),
)
"""What stands in the place of every value of a manifest."""


def png(width: int, height: int, data: bytes = b"", *, depth: int = 8, color: int = 2) -> bytes:
    """Return a PNG of compressed rows; by default it promises a size and holds hardly any."""
    header = struct.pack(">2I5B", width, height, depth, color, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data or zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def npy(
    descr: str = "'|u1'", shape: str = "(2, 4, 3)", data: bytes = bytes(24), v: int = 1
) -> bytes:
    """Return an array in numpy's format, with a header of any text."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return (
        b"\x93NUMPY"
        + bytes([v, 0])
        + struct.pack("<H" if v == 1 else "<I", len(text))
        + text
        + data
    )


def npz(path: Path, *members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive; a name may come twice."""
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, how)
    return path


def forged(path: Path, member: str, **sizes: int) -> Path:
    """Change what both headers of a zip archive say of a member's sizes and flags."""
    at = {
        "flag": (6, 8, "<H"),
        "method": (8, 10, "<H"),
        "packed": (18, 20, "<I"),
        "size": (22, 24, "<I"),
    }
    data = bytearray(path.read_bytes())
    for key, value in sizes.items():
        for magic, name_at, offset in ((b"PK\3\4", 30, at[key][0]), (b"PK\1\2", 46, at[key][1])):
            start = data.find(magic)
            while data[start + name_at : start + name_at + len(member)] != member.encode():
                start = data.find(magic, start + 1)
            struct.pack_into(at[key][2], data, start + offset, value)
    path.write_bytes(data)
    return path


GOOD = npy()
_HEADERS = {
    "version 0": npy(v=0),
    "version 9": npy(v=9),
    "boolean shape": npy(shape="(True, 4, 3)"),
    "negative shape": npy(shape="(-2, 4, 3)"),
    "shape of floats": npy(shape="(2.0, 4, 3)"),
    "huge shape": npy(shape=f"({2**62}, {2**62}, 3)"),
    "2^96 and none": npy(shape=f"({2**48}, {2**48}, 0)"),
    "huge number": npy(shape=f"({'9' * 5000}, 4, 3)"),
    "65 axes": npy(shape=f"({'1, ' * 65})"),
    "shape of text": npy(shape="'abc'"),
    "shape of nothing": npy(shape="()"),
    "no such dtype": npy("'|q9'"),
    "objects": npy("'|O'"),
    "structured": npy("[('a', '|u1')]"),
    "void": npy("'|V1'"),
    "void of nothing": npy("'|V0'", f"({2**40}, 4, 3)"),
    "text of nothing": npy("'<U0'", f"({2**40},)"),
    "bytes of nothing": npy("'|S0'", f"({2**40}, 4, 3)"),
    "half a character": npy("'>U1'", "(2,)", b"\0\0\xd8\0\0\0\0a"),
    "no character": npy("'<U1'", "(2,)", b"\xff" * 8),
    "dates": npy("'<M8[s]'", "(3, 1, 1)"),
    "complex": npy("'<c8'", "(3, 1, 1)"),
    "descr that calls": npy("__import__('os').system('true')"),
    "descr that is nested": npy("(" * 3000 + ")" * 3000),
    "descr that does not parse": npy("'<f4"),
    "descr of numbers": npy("17"),
    "promises more": npy(shape=f"({2**31}, 4, 3)"),
    "header of zeros": npy()[:10] + bytes(100),
    "header that is cut": npy()[:20],
    "long header": npy("'|u1'" + " " * 50_000, v=2),
    "header of 4 GB": b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(1000),
    "no magic": bytes(1000),
    "empty": b"",
}


def npz_files(folder: Path) -> Iterator[Path]:
    """Write archives of which none holds images."""
    for name, data in _HEADERS.items():
        yield npz(folder / f"X {name}.npz", ("X.npy", data))
        if name not in ("dates", "complex"):
            yield npz(folder / f"y {name}.npz", ("X.npy", GOOD), ("y.npy", data))
    two = np.lib.format.MAGIC_PREFIX + GOOD[6:]
    yield npz(folder / "another class each.npz", ("X.npy", two), ("y.npy", npy("'<i8'", "(9,)")))
    yield npz(folder / "path.npz", ("a/X.npy", GOOD), ("../X.npy", GOOD))
    yield npz(folder / "escape.npz", ("\x1b[2J.npy", GOOD))
    yield npz(folder / "no members.npz")
    yield npz(folder / "many members.npz", *((f"{i}.npy", b"") for i in range(5000)))
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield npz(folder / f"how {how}.npz", ("X.npy", GOOD), how=how)
    for key, value in {"size": 2**32 - 2, "packed": 2**32 - 2, "flag": 1, "method": 99}.items():
        yield forged(npz(folder / f"forged {key}.npz", ("X.npy", GOOD)), "X.npy", **{key: value})
    lying = npy(shape=f"({2**27}, 4, 3)", data=bytes(1 << 22))
    yield forged(
        npz(folder / "lying.npz", ("X.npy", lying)),
        "X.npy",
        size=len(lying) - (1 << 22) + 12 * 2**27,
    )
    data = npz(folder / "whole.npz", ("X.npy", GOOD)).read_bytes()
    (folder / "whole.npz").unlink()
    for name, damaged in {
        "cut": data[:-9],
        "twice": data[:70] + data,
        "zeros": bytes(1000),
    }.items():
        (folder / f"{name}.npz").write_bytes(damaged if name != "twice" else data[:60])
        yield folder / f"{name}.npz"
    with zipfile.ZipFile(folder / "duplicates.npz", "w") as archive:
        archive.writestr("X.npy", GOOD)
        archive.writestr("Y.npy", GOOD)
    path = folder / "duplicates.npz"
    path.write_bytes(path.read_bytes().replace(b"Y.npy", b"X.npy"))
    yield path


def idx(n_axes: int, *sides: int, data: bytes = b"", kind: int = 8) -> bytes:
    """Return an idx file with any header."""
    return bytes([0, 0, kind, n_axes]) + struct.pack(f">{len(sides)}I", *sides) + data


def idx_files(folder: Path) -> Iterator[Path]:
    """Write idx files of which none holds images, each as it is and packed."""
    big = 2**32 - 1
    for name, data in {
        "65 axes": idx(65, *[1] * 65, data=b"x"),
        "255 axes": idx(255, *[1] * 255, data=b"x"),
        "zero and 2^96": idx(4, 0, big, big, big),
        "zero images": idx(3, 0, 28, 28),
        "2^96": idx(3, big, big, big, data=bytes(100)),
        "promises 4 GB": idx(3, 2**16, 256, 256, data=bytes(1000)),
        "no such kind": idx(3, 2, 2, 2, data=bytes(8), kind=7),
        "no axes": idx(0, data=b"x"),
        "cut": idx(3, 1, 2),
        "goes on": idx(3, 1, 2, 2, data=bytes(50_000_000)),
        "NaN": idx(3, 1, 1, 1, data=struct.pack(">d", np.nan), kind=14),
        "empty": b"",
        "not gzip": b"\x1f\x8b\x08\0rubbish",
    }.items():
        for suffix in ("-ubyte", ".gz"):
            path = folder / f"{name}-idx3{suffix}"
            path.write_bytes(gzip.compress(data, 1) if suffix == ".gz" else data)
            yield path


def not_regular(folder: Path, name: str) -> Iterator[Path]:
    """Make what a reader could wait for, or read from without an end."""
    for kind, make in {
        "pipe": os.mkfifo,
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "folder": Path.mkdir,
        "dangling": lambda path: path.symlink_to("nowhere"),
        "circle": lambda path: path.symlink_to(path),
    }.items():
        path = folder / f"{kind}{name}"
        make(path)
        yield path


def not_refused(inputs: Iterable[Any], load: Callable[[Any], Any]) -> list[str]:
    """Return which inputs end otherwise than in fewlabel's own error, within five seconds."""
    wrong = []
    for given in inputs:
        start, outcome = time.perf_counter(), "is taken"
        try:
            load(given)
        except FewLabelError as error:
            outcome = "" if len(str(error)) < 2000 else "a long message"
        except BaseException as error:
            outcome = repr(error)[:200]
        if time.perf_counter() - start > 5:
            outcome += " slowly"
        if outcome:
            wrong.append(f"{given[0] if isinstance(given, tuple) else given}: {outcome}")
    return wrong


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value within a manifest; of a list, those of its first two."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value[:2])):
            yield from places(value[key], (*at, key))


def changed(value: Any, at: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """Return a copy in which ``change(container, key)`` has changed one place."""
    value = copy.deepcopy(value)
    inner = value
    for key in at[:-1]:
        inner = inner[key]
    change(inner, at[-1])
    return value


def forged_manifests(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield manifests with one value missing, of another kind, or out of range."""
    # One array stands for all, and nothing but people reads the versions.
    others = {("arrays", name) for name in list(manifest["arrays"])[1:]}
    for at in places(manifest):
        name = ".".join(map(str, at))
        if at and at[0] != "created_with" and at[:2] not in others:
            yield f"{name} missing", changed(manifest, at, lambda d, k: d.pop(k))
            for wrong in WRONG:
                text = f"{name} {str(wrong)[:30]!r}"
                yield text, changed(manifest, at, lambda d, k, w=wrong: d.__setitem__(k, w))


def forged_arrays(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the arrays of a model with one missing, of another shape or kind, or not numbers."""
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "NaN": lambda a: (
            a + np.where(np.arange(a.size).reshape(a.shape), 0, np.nan).astype(a.dtype)
        ),
        "infinite": lambda a: np.full_like(a, np.inf),
        "negative": lambda a: -np.abs(a) - 1,
        "zeros": np.zeros_like,
        "shorter": lambda a: a[:-1] if a.ndim else a[None],
        "longer": lambda a: np.concatenate([np.atleast_1d(a)] * 2),
        "deeper": lambda a: a[None],
        "none": lambda a: a.ravel()[:0],
        "one": lambda a: np.zeros((), a.dtype),
        "integers": lambda a: np.zeros(a.shape, np.int64),
        "booleans": lambda a: np.zeros(a.shape, bool),
        "doubles": lambda a: a.astype(np.float64),
        "huge": lambda a: np.full(a.shape, np.finfo(a.dtype).max, a.dtype),
    }
    for name, array in arrays.items():
        yield f"{name} missing", {n: a for n, a in arrays.items() if n != name}
        for text, change in changes.items():
            if array.dtype.kind == "f" or text not in ("NaN", "infinite", "huge"):
                yield f"{name} {text}", arrays | {name: np.asarray(change(array))}


def model_with(folder: Path, manifest: dict[str, Any], arrays: bytes | None = None) -> Path:
    """Write a manifest into a model folder; of other arrays, with the right checksum."""
    if arrays is not None:
        (folder / "arrays.safetensors").write_bytes(arrays)
        entry = {"sha256": hashlib.sha256(arrays).hexdigest(), "bytes": len(arrays)}
        manifest = manifest | {"files": {"arrays.safetensors": entry}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def copied(run: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Copy the model of a run; return its folder and manifest."""
    shutil.copytree(run / "model", folder / "model")
    return folder / "model", json.loads((folder / "model" / "manifest.json").read_text())
