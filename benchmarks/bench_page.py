"""From an answer to the next image on the labeling page, while the model learns.

    python benchmarks/bench_page.py --images fashion-mnist --answers 150
    python benchmarks/bench_page.py --open photos-100000 --accept 46000

A server of `fewlabel label` and its learning process run as a user starts them. Of each step the
time is taken that a page waits: the answer saved, the next card asked for, and its image fetched.
With --open, 100,000 small photos are made in a folder unless it exists, and the page is opened for
the first time and again, memory of earlier looks set aside. With --accept, somebody answers while
predictions of 60,000 images are accepted.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from fewlabel.data.arrays import image_set_from_array
from fewlabel.labelling.answers import Answer
from fewlabel.labelling.queue import _Queue
from fewlabel.labelling.session import _Session
from fewlabel.labelling.store import open_store

_PORT = 8877


def wait_for(page: httpx.Client, status: tuple[int, ...] = (200,)) -> float:
    """Wait until the page answers; return the seconds."""
    start = time.perf_counter()
    while time.perf_counter() - start < 300:
        try:
            if page.get("/healthz").status_code in status:
                return time.perf_counter() - start
        except httpx.TransportError:
            pass
        finally:
            time.sleep(0.05)
    raise SystemExit("The page does not answer.")


def make_photos(folder: Path, n: int = 100_000) -> None:
    """Write small JPEGs, each with a content of its own, a thousand in a folder."""
    rng, kinds = np.random.default_rng(0), []
    for _ in range(300):
        data = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8))
        small.resize((160, 120)).save(data, "JPEG", quality=60)
        kinds.append(data.getvalue())
    for i in range(n):
        comment = f"photo {i}".encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        file = folder / f"{i // 1000:03d}" / f"{i:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(kinds[i % 300][:2] + marker + kinds[i % 300][2:])


def time_opening(photos: Path) -> dict[str, Any]:
    """Return the seconds until the page answers, at the first time and again."""
    if not photos.exists():
        make_photos(photos)
    found: dict[str, Any] = {"photos": sum(1 for _ in photos.rglob("*.jpg"))}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "again", "third"):
            start = time.perf_counter()
            words = ["label", str(photos), "--labels", f"{folder}/labels.csv"]
            words += ["--no-browser", "--port", str(_PORT)]
            server = subprocess.Popen(
                [sys.executable, "-m", "fewlabel", *words],
                env=os.environ | {"FEWLABEL_CACHE": folder},
            )
            try:
                page = httpx.Client(base_url=f"http://127.0.0.1:{_PORT}")
                # First it says how far the images are read.
                for state, status in (("page", (200, 503)), ("images", (200,))):
                    wait_for(page, status)
                    found[f"{name}_{state}_seconds"] = round(time.perf_counter() - start, 1)
            finally:
                server.terminate()
                server.wait(20)
    return found


def time_accepting(n: int, n_images: int = 60_000) -> dict[str, Any]:
    """Return how long an acceptance takes, and how long answers wait that arrive meanwhile."""
    pixels = np.random.default_rng(0).integers(0, 256, (n_images, 8, 8), dtype=np.uint8)
    images = image_set_from_array(pixels)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(images, Path(folder) / "labels.csv") as store,
    ):
        store.add([Answer(i, (str(i % 10),)) for i in range(10)])
        session = _Session(store, _Queue(store))
        rest = [
            Answer(i, (str(i % 10),), origin="review", round=1) for i in range(10_000, 10_000 + n)
        ]
        start, waited = time.perf_counter(), []
        accepting = threading.Thread(target=session._fill, args=("ann", rest))
        accepting.start()
        for i in range(10, 9_000):
            before = time.perf_counter()
            session.answer("bea", [Answer(i, ("1",))])
            waited.append(1e3 * (time.perf_counter() - before))
            accepting.join(0.05)
            if not accepting.is_alive():
                break
        seconds = time.perf_counter() - start
        before = time.perf_counter()
        session.undo("ann")
        undone = time.perf_counter() - before
    low, median, p95, high = np.quantile(waited, [0, 0.5, 0.95, 1]).round(1).tolist()
    return {"accepted": n, "seconds": round(seconds, 1), "undo_seconds": round(undone, 1)} | {
        "others": len(waited), "median_ms": median, "p95_ms": p95, "most_ms": high, "least_ms": low
    }  # fmt: skip


def step(page: httpx.Client, card: dict[str, Any], n: int) -> tuple[dict[str, Any], float]:
    """Answer a card and fetch the next one; return it and the milliseconds."""
    start = time.perf_counter()
    answer = {"image": card["image"], "labels": [str(n % 10)], "seconds": 1.0}
    page.post("/api/answers", json={"answers": [answer]}).raise_for_status()
    following = page.get("/api/next?n=1").raise_for_status().json()[0]
    page.get(f"/images/{following['image']}/full").raise_for_status()
    return following, 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Print the times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", default="fashion-mnist")
    parser.add_argument("--answers", type=int, default=150)
    parser.add_argument("--pause", type=float, default=1.0, help="Seconds a person looks.")
    parser.add_argument("--open", type=Path, metavar="FOLDER")
    parser.add_argument("--accept", type=int, metavar="N")
    args = parser.parse_args()
    if args.open or args.accept:
        if args.open:
            print(json.dumps(time_opening(args.open) | {"load": os.getloadavg()}), flush=True)
        if args.accept:
            print(json.dumps(time_accepting(args.accept) | {"load": os.getloadavg()}))
        return
    base = f"http://127.0.0.1:{_PORT}"
    with tempfile.TemporaryDirectory() as folder:
        words = ["label", args.images, "--labels", str(Path(folder) / "labels.csv")]
        words += ["--no-browser", "--port", str(_PORT)]
        server = subprocess.Popen([sys.executable, "-m", "fewlabel", *words])
        page = httpx.Client(base_url=base, headers={"Origin": base}, timeout=60)
        try:
            opened = wait_for(page)
            card = page.get("/api/next?n=1").raise_for_status().json()[0]
            times: dict[bool, list[float]] = {True: [], False: []}
            for n in range(args.answers):
                time.sleep(args.pause)
                busy = page.get("/api/state").json()["refit"]["running"]
                card, taken = step(page, card, n)
                times[busy].append(taken)
            state = page.get("/api/state").json()
        finally:
            server.terminate()
            server.wait(20)
    found = {
        name: {"n": len(ms), "median_ms": round(float(np.median(ms)), 1),
               "p95_ms": round(float(np.quantile(ms, 0.95)), 1)}
        for name, ms in (("while it learns", times[True]), ("otherwise", times[False])) if ms
    }  # fmt: skip
    row = {"images": state["n_images"], "opened_seconds": round(opened, 1)} | found
    print(json.dumps(row | {"rounds": state["refit"]["round"], "load": os.getloadavg()}))


if __name__ == "__main__":
    main()
