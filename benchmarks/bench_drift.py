"""Does `fewlabel check` alarm where it should, and only there? Batches of images beside a fit.

    FEWLABEL_DATA=... python benchmarks/bench_drift.py                 # seeds 54 to 56, resumed
    FEWLABEL_DATA=... python benchmarks/bench_drift.py --datasets digits --seeds 101 --out mine.json
    python benchmarks/bench_drift.py --table                       # write the how-to page's table

A fit has a pool of at most 1,500 images of all classes but one and 100 labels that `select` asks
for. Batches are drawn from other images: as they are (50, 200 and 500), and 200 with another
brightness, blurred, noisy, with the class that the pool lacks (500 too), or with other shares of
the classes.
The accuracy to be expected is held against the truth, beside that of ATC (Garg et al. 2022).
Thresholds were fixed on seeds 101 to 103.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from fewlabel.compute import _as_generator
from fewlabel.data import (
    ImageSet,
    Labels,
    image_set_from_array,
    labels_from_truth,
    list_benchmarks,
    load_benchmark,
)
from fewlabel.evaluate.drift import _appearance, _find_drift
from fewlabel.fit_result import FitSettings
from fewlabel.model import Model
from fewlabel.pipeline import extract_features, fit_images, select_images
from fewlabel.runs.model import _reference

HERE = Path(__file__).parent
RECORD = HERE / "results" / "drift.json"
PAGE = HERE.parent / "docs" / "how-to" / "check-new-images.md"
MARKS = "<!-- written by benchmarks/bench_drift.py --table -->\n", "<!-- end -->\n"
DATASETS = ("digits", "mnist", "fashion-mnist", "eurosat")
N_POOL, N_NEW, N_LABELS, N_BATCH = 1_500, 1_000, 100, 200
SIZES = (50, 200, 500)
Seen = tuple[np.ndarray, ...]


def changed(X: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Give images in other light, out of focus, and noisy."""
    real, side = X.astype(np.float64), X.shape[1] / 28
    blur = max(1.2 * side, 0.5)
    sigma = (0, blur, blur, *[0] * (X.ndim - 3))
    noise = _as_generator(0).normal(0, 30, X.shape)
    found = {
        "brighter by 60": real + 60,
        "half as bright": real / 2,
        "contrast 1.5": 1.5 * real,
        "blurred": ndimage.gaussian_filter(real, sigma),
        "noise of 30": real + noise,
    }
    for name, pixels in found.items():
        yield name, np.clip(pixels, 0, 255).astype(np.uint8)


def look(model: Model, images: ImageSet, y: np.ndarray) -> Seen:
    """Give probabilities, looks, truth and features of images."""
    found = model.predict(images)
    return found.proba, np.column_stack([found.scores, _appearance(images)]), y, found.rows


def cell(name: str, seed: int) -> list[dict[str, object]]:
    """Fit once, and check batches of every kind."""
    whole = {info.name for info in list_benchmarks() if not info.n_test}
    images = load_benchmark(name, None if name in whole else "train")
    truth, rng = labels_from_truth(images), _as_generator(seed)
    n_classes = len(truth.classes)
    left_out = int(rng.integers(n_classes))
    order = rng.permutation(len(images))[: N_POOL + 3 * N_NEW]
    known, strange = (order[(truth.y[order] == left_out) == of] for of in (False, True))
    n_pool = min(N_POOL, int(0.55 * len(known)))
    pool, new = np.sort(known[:n_pool]), known[n_pool : n_pool + N_NEW]
    kept = np.delete(np.arange(n_classes), left_out)
    given = images.subset(pool)
    # Features of the pool alone, as those of a user are.
    features = extract_features(
        given, features="patches" if images.is_gray else "tf_efficientnet_lite0", cache=False
    )
    chosen = select_images(given, N_LABELS, prepared=features, seed=seed)
    y, purpose = np.full(n_pool, -1), np.full(n_pool, "", dtype=object)
    y[chosen.indices] = np.searchsorted(kept, truth.y[pool[chosen.indices]])
    purpose[chosen.indices] = chosen.purpose
    labels = Labels(y, tuple(truth.classes[k] for k in kept), tuple(purpose))
    result = fit_images(given, labels, FitSettings(seed=seed), prepared=features)
    model = result.model
    model.reference = _reference(result, given)
    y_new = np.searchsorted(kept, truth.y[new])
    plain = look(model, images.subset(new), y_new)
    other = look(model, images.subset(strange[:250]), np.full(len(strange[:250]), -1))
    some = images.subset(new[: 2 * N_BATCH])
    kinds = {
        kind: look(model, image_set_from_array(X), y_new[: len(some)])
        for kind, X in changed(some.read(slice(None)))
    }
    rows = []
    for kind, batch in batches(plain, other, kinds, rng):
        rows.append({"data": name, "seed": seed, "kind": kind} | measure(model, batch))
    return rows


def batches(
    plain: Seen, other: Seen, kinds: dict[str, Seen], rng: np.random.Generator
) -> Iterator[tuple[str, Seen]]:
    """Give batches by kind."""

    def take(seen: Seen, n: int, weights: np.ndarray | None = None) -> Seen:
        p = None if weights is None else weights / weights.sum()
        rows = rng.choice(len(seen[0]), min(n, len(seen[0]) // 2), replace=False, p=p)
        return tuple(part[rows] for part in seen)

    y, n_classes = plain[2], plain[0].shape[1]
    for size in SIZES:
        for _ in range(6):
            yield f"same, {size}", take(plain, size)
    for _ in range(5):
        for kind, seen in kinds.items():
            yield kind, take(seen, N_BATCH)
        for share, size in ((0.1, N_BATCH), (0.1, 500), (0.3, N_BATCH)):
            n = int(share * size)
            parts = zip(take(plain, size - n), take(other, n), strict=True)
            kind = f"new class, {share:.0%}" + (f" of {size}" if size != N_BATCH else "")
            yield kind, tuple(np.concatenate(pair) for pair in parts)
        for times in (2, 4):
            often = np.isin(y, rng.choice(n_classes, 2, replace=False))
            yield f"two classes × {times}", take(plain, N_BATCH, np.where(often, times, 1.0))


def measure(model: Model, batch: Seen) -> dict[str, object]:
    """Check a batch, and hold the accuracy that is expected against the truth."""
    proba, looks, y, rows = batch
    of_fit = model.novelty.graph.rows
    task, reference, evidence = model.task, model.reference, model.evidence
    drift = _find_drift(task, reference, evidence, proba, looks, rows, of_fit)
    sure, was = proba.max(axis=1), model.reference.proba.max(axis=1)
    fit = was.mean()  # the calibration lets the mean confidence be the accuracy
    found = drift.accuracy
    return {
        "verdict": drift.verdict,
        "right": float((proba.argmax(axis=1) == y).mean()),
        "expected": [found.value, found.low, found.high],
        "atc": float((sure >= np.quantile(was, 1 - fit)).mean()),
    }


def table(rows: list[dict[str, object]]) -> str:
    """Write the tables of the page."""
    seeds = sorted({row["seed"] for row in rows})
    names = list(dict.fromkeys(row["data"] for row in rows))
    lines = [
        f"Seeds {seeds[0]} to {seeds[-1]} on {', '.join(names)}: {len(rows):,} batches of "
        f"{N_BATCH} images (where a row names no other size).",
        "",
        "| new images | batches | like | other mix | unlike | true accuracy | expected | interval "
        "holds | error: ours, ATC |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(str(row["kind"]) for row in rows):
        some = [row for row in rows if row["kind"] == kind]
        cells = [
            f"{np.mean([r['verdict'] == v for r in some]):.1%}" for v in ("like", "mix", "unlike")
        ]
        right = np.array([r["right"] for r in some])
        value, low, high = np.array([r["expected"] for r in some]).T
        holds = np.mean((low - 1e-9 <= right) & (right <= high + 1e-9))
        atc = np.abs(np.array([r["atc"] for r in some]) - right).mean()
        cells += [f"{right.mean():.1%}", f"{value.mean():.1%}", f"{holds:.0%}"]
        cells.append(f"{100 * np.abs(value - right).mean():.1f}, {100 * atc:.1f}")
        lines.append(f"| {kind} | {len(some)} | {' | '.join(cells)} |")
    same = [row for row in rows if str(row["kind"]).startswith("same")]
    alarms = [row["verdict"] != "like" for row in same]
    by_data = [
        f"{name} {np.mean([row['verdict'] != 'like' for row in same if row['data'] == name]):.1%}"
        for name in names
    ]
    lines += ["", f"False alarms: {np.mean(alarms):.1%} of {len(same)} ({', '.join(by_data)}).", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure what is not recorded yet, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[54, 55, 56])
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    rows = json.loads(given.out.read_text()) if given.out.exists() else []
    if given.table:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        text = before + MARKS[0] + "\n" + table(rows) + MARKS[1] + after
        PAGE.write_text(text, encoding="utf-8")
        return
    done = {(row["data"], row["seed"]) for row in rows}
    for name in given.datasets:
        for seed in given.seeds:
            if (name, seed) not in done:
                rows += cell(name, seed)
                given.out.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    print(table(rows))


if __name__ == "__main__":
    main()
