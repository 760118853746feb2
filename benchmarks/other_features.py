"""What other patch features bring that `fit --time` tries: a finer dictionary, fewer directions.

    python benchmarks/other_features.py --seeds 21 22 23 24 25 --labels 50 100 500 2000

The refined graph on 60,000 images of Fashion-MNIST with labels that `select --method
representatives` asks for, with and without time for other features (no networks are trained);
accuracy is that on the 10,000 test images. One record a fit is added to the file.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from fewlabel.data import labels_from_truth, load_images
from fewlabel.features.extract import extract_features
from fewlabel.pipeline import FitSettings, fit_images, select_images
from fewlabel.selection import _looked_up

RESULT = Path(__file__).parent / "results" / "other_features.jsonl"
ENOUGH = 1e6


def main() -> None:
    """Fit with and without time, and add the records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23, 24, 25])
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 500, 2_000])
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    train, test = (load_images(f"{asked.data}:{part}") for part in ("train", "test"))
    truth, known = labels_from_truth(test).y, labels_from_truth(train)
    for seed in asked.seeds:
        prepared = extract_features(train, features="patches", seed=seed, cache=True)
        for n in asked.labels:
            picks = select_images(train, n, method="representatives", seed=seed, prepared=prepared)
            record: dict[str, object] = {"data": asked.data, "seed": seed, "labels": n}
            for name, budget in (("usual", None), ("with time", ENOUGH)):
                settings = FitSettings("refined", seed=seed, time_budget=budget, cache=True)
                start = time.perf_counter()
                result = fit_images(train, _looked_up(known, picks), settings, prepared=prepared)
                record |= {f"{name} seconds": round(time.perf_counter() - start, 1)}
                right = result.model.predict(test).proba.argmax(axis=1) == truth
                record[name] = round(100 * float(right.mean()), 2)
            record["why"] = result.features.reason
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(record, flush=True)


if __name__ == "__main__":
    main()
