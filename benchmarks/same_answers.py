"""Whether two versions of fewlabel give the same answers: record each, then compare.

    python benchmarks/same_answers.py record FOLDER       # with the version that is installed
    python benchmarks/same_answers.py compare FOLDER FOLDER

Goes through the command line alone, so that any version can be recorded. Needs FEWLABEL_DATA, and
for the photos the weights of MobileNetV2 by ``--weights FILE``.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from fewlabel.runs.project import _run_record

METRICS = ("estimate", "supervised_accuracy", "method")


def fewlabel(*arguments: object) -> str:
    """Run a command and return what it prints."""
    command = [sys.executable, "-m", "fewlabel", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def images_of(name: str, n: int, folder: Path) -> tuple[Path, list[str]]:
    """Write the first n training images as .npz without labels, and return their labels."""
    from fewlabel.data import load_images

    images = load_images(name).subset(range(n))
    pixels = np.concatenate([block for _, block in images.blocks(1_000)])
    path = folder / f"{name.split(':')[0]}.npz"
    np.savez(path, X=pixels)
    assert images.truth is not None
    return path, images.truth.tolist()


def fill(picks: Path, truth: list[str] | dict[str, str]) -> None:
    """Fill in the column `label` of a table that ``select`` wrote."""
    with picks.open(newline="") as file:
        rows = list(csv.DictReader(file))
    key = next(iter(rows[0]))
    for row in rows:
        row["label"] = truth[row[key]] if isinstance(truth, dict) else truth[int(row[key])]
    with picks.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def odd_and_large(digit: str) -> str:
    """Turn a digit into several labels."""
    names = [name for name, holds in (("odd", int(digit) % 2), ("large", int(digit) > 4)) if holds]
    return "|".join(names) if len(names) > 1 else f"{''.join(names)}|"


def record(out: Path, weights: Path | None) -> None:
    """Fit every case, and keep predictions, metrics and seconds."""
    out.mkdir(parents=True, exist_ok=True)
    digits, truth = images_of("digits", 1_297, out)
    clothes, kinds = images_of("fashion-mnist:train", 6_000, out)
    several = [odd_and_large(digit) for digit in truth]
    cases = [
        ("digits-40", digits, truth, 40, "representatives", []),
        ("several-150", digits, several, 150, "random", []),
        ("clothes-100", clothes, kinds, 100, "representatives", []),
        ("clothes-500", clothes, kinds, 500, "representatives", []),
    ]
    for name, images, labels, budget, how, options in cases:
        fit_case(out / name, images, labels, budget, how, options)
    if weights is not None:
        from fewlabel.data import load_images

        photos = load_images("grocery:train")
        assert photos.truth is not None
        by_name = dict(zip(photos.names, photos.truth.tolist(), strict=True))
        options = ["--weights", weights]
        fit_case(out / "photos-271", "grocery:train", by_name, 271, "random", options)


def fit_case(
    folder: Path,
    images: Path | str,
    labels: list[str] | dict[str, str],
    budget: int,
    how: str,
    options: list[object],
) -> None:
    """Select, label and fit one case."""
    folder.mkdir(exist_ok=True)
    picks = folder / "picks.csv"
    fewlabel("select", images, "--budget", budget, "--method", how, "--out", picks, "--force",
             "--no-cache", *options)  # fmt: skip
    fill(picks, labels)
    begin = time.perf_counter()
    fewlabel("fit", images, "--labels", picks, "--out", folder / "run", "--force", "--explain", 0,
             "--probabilities", "--no-cache", *options)  # fmt: skip
    (folder / "seconds.json").write_text(json.dumps(time.perf_counter() - begin))


def predictions(folder: Path) -> tuple[list[str], np.ndarray]:
    """Read labels and probabilities of a run."""
    with (folder / "run/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [key for key in rows[0] if key.startswith("p(")]
    return [row["label"] for row in rows], np.array([[float(r[c]) for c in columns] for r in rows])


def compare(old: Path, new: Path) -> None:
    """Print a line a case: how many predictions are the same, and how far apart figures are."""
    for folder in sorted(path.parent for path in old.glob("*/seconds.json")):
        other = new / folder.name
        if not (other / "seconds.json").is_file():
            print(f"{folder.name}: not recorded in {new}")
            continue
        (a, p), (b, q) = predictions(folder), predictions(other)
        same = np.mean([x == y for x, y in zip(a, b, strict=True)])
        picks = [(path / "picks.csv").read_text() for path in (folder, other)]
        figures = [_run_record(path / "run") for path in (folder, other)]
        seconds = [json.loads((path / "seconds.json").read_text()) for path in (folder, other)]
        print(
            f"{folder.name}: {same:.2%} of {len(a)} predictions the same, probabilities within "
            f"{np.abs(p - q).max():.1e}, picks {'the same' if picks[0] == picks[1] else 'DIFFER'}"
            f", {seconds[0]:.1f} s and {seconds[1]:.1f} s, peak "
            f"{figures[0]['peak_rss_mb']:.0f} and {figures[1]['peak_rss_mb']:.0f} MB"
        )
        for key in METRICS:
            if figures[0].get(key) != figures[1].get(key):
                print(f"    {key}: {figures[0].get(key)} | {figures[1].get(key)}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("record", "compare"))
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    if given.command == "record":
        record(given.folders[0].resolve(), given.weights)
    else:
        compare(*given.folders)


if __name__ == "__main__":
    main()
