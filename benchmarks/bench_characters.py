"""What the characters of the study combo allow: letters read one by one, with no noise at all.

    python benchmarks/bench_characters.py

An image of the study counts as right only if its letter is read. Here the letters are as their
writers wrote them: 28×28 pixels, centred, black and white, each by itself. A small CNN is trained
on the letters that the labelled images are made of (``half``), and on those of the unlabelled ones
besides, with their classes (``all``). It is tested on the letters of the study's test images, by
writers who wrote nothing else (``new writers``), and, after ``half``, on the other half: letters
that it has not seen by writers that it has (``known writers``). Classes count alike, as in the
study's images. The network was not tuned: it is a mark to measure readers of noisy images by, and
no bound.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from fewlabel import NetworkClassifier
from fewlabel_experiments.combo.glyphs import Glyphs, load_glyphs

RESULT = Path(__file__).parent / "results" / "characters.json"


def network(seed: int) -> NetworkClassifier:
    """Make the reader; its settings were not tuned."""
    return NetworkClassifier(
        "cnn",
        options={"widths": (32, 64, 128)},
        n_epochs=12,
        batch_size=64,
        learning_rate=4e-3,
        augment="mild",
        flip=False,
        random_state=seed,
    )


def accuracy(reader: NetworkClassifier, glyphs: Glyphs) -> float:
    """Give the mean over the letters of the share that is read right, in percent."""
    right = reader.predict(glyphs.pixels) == glyphs.labels
    return 100 * float(np.mean([right[glyphs.labels == k].mean() for k in set(glyphs.labels)]))


def measure(seed: int) -> list[dict[str, object]]:
    """Train and test with one dealing of the letters."""
    splits = {name: letters for name, (_, letters) in load_glyphs(seed).items()}
    half, rest, test = splits["labeled"], splits["unlabeled"], splits["test"]
    both = Glyphs(
        np.concatenate([half.pixels, rest.pixels]), np.concatenate([half.labels, rest.labels])
    )
    found = []
    for name, train in (("half", half), ("all", both)):
        start = time.perf_counter()
        reader = network(seed).fit(train.pixels, train.labels)
        record = {
            "seed": seed,
            "train": name,
            "letters": len(train.labels),
            "new_writers": round(accuracy(reader, test), 2),
            "seconds": round(time.perf_counter() - start, 1),
        }
        if name == "half":
            record["known_writers"] = round(accuracy(reader, rest), 2)
        print(record, flush=True)
        found.append(record)
    return found


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    records = [record for seed in arguments.seeds for record in measure(seed)]
    arguments.out.write_text(json.dumps({"records": records}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
