"""From an answer to the next image on the labeling page, while the model learns.

    python benchmarks/bench_page.py --images fashion-mnist --answers 150

A server of `fewlabel label` and its learning process run as a user starts them. Of each step the
time is taken that a page waits: the answer saved, the next card asked for, and its image fetched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

_PORT = 8877


def wait_for(page: httpx.Client) -> float:
    """Wait until the page answers; return the seconds."""
    start = time.perf_counter()
    while time.perf_counter() - start < 300:
        try:
            page.get("/healthz").raise_for_status()
            return time.perf_counter() - start
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("The page does not answer.")


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
    args = parser.parse_args()
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
    print(json.dumps(row | {"rounds": state["refit"]["round"]}))


if __name__ == "__main__":
    main()
