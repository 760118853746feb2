"""What the characters of the study combo allow: read one by one, with no noise at all.

    python benchmarks/bench_characters.py --letters emnist --case upper --train half

An image of the study counts as right only if its letter is read. Here characters are as their
writers wrote them: 28×28 pixels, centered, each by itself. A small CNN is trained on the digits
and letters that the labeled images are made of (``half``), and on those of the unlabeled ones
besides, with their classes (``all``). It is tested on those of the study's test images, and, after
``half``, on the letters of the other half (``rest``; with chars74k these are letters that it has
not seen by writers that it has, where those of the test are by new writers). Classes count alike,
as in the study's images. ``pair`` is what one reader of all 36 characters, trained on ``half``,
makes of two of them: that one is a digit and one a letter is known, and not which (0 beside I, or
O beside 1). The network was not tuned: it is a mark to measure readers of noisy images by, and no
bound. Records of other letters and trainings stay in the file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fewlabel import NetworkClassifier
from fewlabel_experiments.combo.generator import _draw_rows
from fewlabel_experiments.combo.glyphs import CASES, LABELS, LETTER_SETS, Glyphs, load_glyphs
from fewlabel_experiments.combo.pair import pair_marginals
from fewlabel_experiments.combo.session import ONE_OF_EACH

RESULT = Path(__file__).parent / "results" / "characters.json"
N_PAIRS = 20_000
KEYS = ("letters", "case", "train", "seed")


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


def pairs_read(reader: NetworkClassifier, kinds: Sequence[Glyphs], seed: int) -> float:
    """Give the share of pairs of which both are read right, in percent; classes count alike."""
    rng = np.random.default_rng([seed, 31])
    truth = np.zeros((N_PAIRS, len(LABELS)), dtype=np.int64)
    scores = torch.full((2, N_PAIRS, len(LABELS)), -1e9, dtype=torch.float64)
    for glyphs, score in zip(kinds, scores, strict=True):
        rows = _draw_rows(glyphs.labels, N_PAIRS, rng)
        truth[np.arange(N_PAIRS), glyphs.labels[rows]] = 1
        proba = np.maximum(reader.predict_proba(glyphs.pixels[rows]), 1e-12)
        score[:, reader.classes_] = torch.from_numpy(np.log(proba))
    read = ONE_OF_EACH.predict(pair_marginals(*scores, first=10).numpy())
    return 100 * float((read == truth).all(axis=1).mean())


def measure(seed: int, letters: str, case: str, train: str) -> dict[str, object]:
    """Train and test with one dealing of the characters."""
    splits = load_glyphs(seed, letters, case)
    kinds = list(zip(*splits.values(), strict=True))
    found: dict[str, object] = {"seed": seed, "letters": letters, "case": case, "train": train}
    start = time.perf_counter()
    for kind, (half, rest, test) in zip(("digit", "letter"), kinds, strict=True):
        both = Glyphs(
            np.concatenate([half.pixels, rest.pixels]), np.concatenate([half.labels, rest.labels])
        )
        known = half if train == "half" else both
        reader = network(seed).fit(known.pixels, known.labels)
        found |= {f"n_{kind}s": len(known.labels), kind: round(accuracy(reader, test), 2)}
    if train == "half":
        # Of the letters, which come last.
        found["rest"] = round(accuracy(reader, rest), 2)
        halves, _, tests = zip(*kinds, strict=True)
        pixels, labels = (
            np.concatenate([getattr(one, name) for one in halves]) for name in ("pixels", "labels")
        )
        reader = network(seed).fit(pixels, labels)
        found["pair"] = round(pairs_read(reader, tests, seed), 2)
    found["seconds"] = round(time.perf_counter() - start, 1)
    print(found, flush=True)
    return found


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--letters", choices=LETTER_SETS, default="emnist")
    parser.add_argument("--case", choices=CASES, default="any")
    parser.add_argument("--train", choices=("half", "all"), default="half")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    new = [measure(seed, asked.letters, asked.case, asked.train) for seed in asked.seeds]
    kept = {tuple(record[key] for key in KEYS): record for record in [*_read(asked.out), *new]}
    text = json.dumps({"records": list(kept.values())}, indent=1)
    asked.out.write_text(text + "\n", encoding="utf-8")


def _read(path: Path) -> list[dict[str, object]]:
    return json.loads(path.read_text(encoding="utf-8"))["records"] if path.is_file() else []


if __name__ == "__main__":
    main()
