"""Damaged files of every kind that fewlabel reads: nothing but its own errors, and soon.

    python benchmarks/fuzz.py images --n 10000
    python benchmarks/fuzz.py tables | manifests | npz | idx | models | runs | projects | …

Small valid files are damaged (flipped bits, cuts, copies, splices of two files, numbers that are
often mistaken, values of JSON replaced) and read in this process, all the way to pixels, labels or
predictions. A reader may read what it is given or raise a ``FewLabelError``; everything else is a
finding, as is an answer that takes more than 5 seconds. Input k of a reader is the same in every
run, so a number tells it; ``--keep FOLDER`` writes the inputs that were findings. Counts and
findings are added to results/fuzz.json.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import json
import random
import resource
import shutil
import sqlite3
import struct
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fewlabel.errors import FewLabelError
from fuzz_readers import (
    Reader,
    Seed,
    answer_seeds,
    idx_seeds,
    image_seeds,
    manifest_seeds,
    model_seeds,
    npz_seeds,
    project_seeds,
    read_answers,
    read_arrays,
    read_image,
    read_manifest,
    read_model,
    read_project,
    read_record,
    read_run,
    read_table,
    read_weights,
    record_seeds,
    run_seeds,
    table_seeds,
    weight_seeds,
)

RESULT = Path(__file__).parent / "results" / "fuzz.json"
MAX_SECONDS = 5.0
NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 1e308, 0.5, "", "nan", "x" * 300, "\0", [], {},
    [[]], [None], ["a", "a"], {"a": {}}, [1e308] * 3, "../..", "/etc/passwd",
)  # fmt: skip
PIECES = (b"\0", b"\xff", b"\xff\xfe", b'"', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"a|b", b"=")


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


def damage_database(whole: bytes, other: bytes, dice: random.Random) -> bytes:
    """Damage a SQLite file, or change, double or drop up to three of its rows."""
    if dice.randrange(3) == 0:
        return damage(whole, other, dice)
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        # A database in memory cannot be one with a log beside it, as these are.
        connection.deserialize(whole[:18] + b"\1\1" + whole[20:])
        connection.execute("PRAGMA ignore_check_constraints = ON")
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = [row[0] for row in connection.execute(tables)]
        for _ in range(dice.choice((1, 1, 2, 3))):
            table = dice.choice(names)
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            value = dice.choice(VALUES)
            value = json.dumps(value) if isinstance(value, list | dict) else value
            value = float(value) if isinstance(value, int) and abs(value) >= 2**63 else value
            which = dice.choice(("1", f"rowid = {dice.randrange(1, 8)}"))
            statement = f"UPDATE OR IGNORE {table} SET {dice.choice(columns)} = ?1 WHERE {which}"
            if dice.randrange(8) == 0:
                statement = f"DELETE FROM {table} WHERE {which} AND ?1 IS ?1"
            # Some columns do not take everything.
            with contextlib.suppress(sqlite3.Error):
                connection.execute(statement, (value,))
        changed = connection.serialize()
    return changed[:18] + whole[18:20] + changed[20:]


READERS: dict[str, tuple[Callable[[], list[Seed]], Callable[..., bytes], Reader]] = {
    "images": (image_seeds, damage, read_image),
    "tables": (table_seeds, damage, read_table),
    "manifests": (manifest_seeds, damage, read_manifest),
    "npz": (npz_seeds, damage, read_arrays),
    "idx": (idx_seeds, damage, read_arrays),
    "models": (model_seeds, damage_model, read_model),
    "runs": (run_seeds, damage, read_run),
    "projects": (project_seeds, damage, read_project),
    "weights": (weight_seeds, damage, read_weights),
    "records": (record_seeds, damage, read_record),
    "answers": (answer_seeds, damage_database, read_answers),
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
    # Of 10,000 databases, most of the time would go by until the disk has each.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
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
