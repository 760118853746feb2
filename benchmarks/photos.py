r"""Accuracy of joined networks on photos that were held out, and photos a second.

    FEWLABEL_DATA=... python benchmarks/photos.py accuracy eurosat --labels 20,40,100 \
        --seeds 51,52,53 --backbone tf_efficientnet_lite2,tf_efficientnet_lite0 \
        --held-out 0.5 --out benchmarks/results/photos.jsonl
    FEWLABEL_DATA=... python benchmarks/photos.py speed --out benchmarks/results/photos-speed.json

The networks are run once over all photos; each split then takes its rows. What is learned of the
rows (the whitening) is learned of the training photos only. A network is NAME or NAME=FILE.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from fewlabel.compute import _as_generator
from fewlabel.data import ImageSet, labels_from_truth, load_benchmark, stratified_split
from fewlabel.features.backbone import Backbone
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.cache import _cached_transform
from fewlabel.pipeline import Features, fit_images, select_images
from fewlabel.selection import _looked_up

_SPEEDS = (
    ("mobilenetv2_100", 128),
    ("mobilenetv2_100", 224),
    ("tf_efficientnet_lite0", 160),
    ("tf_efficientnet_lite0", 224),
    ("tf_efficientnet_lite2", 192),
    ("tf_efficientnet_lite2", 260),
)


def network(text: str, **settings: Any) -> Backbone:
    """Return the network of NAME or NAME=FILE."""
    name, _, file = text.partition("=")
    return Backbone(name, file or None, **settings)


def accuracy(args: argparse.Namespace) -> None:
    """Select, fit and measure on the photos that were held out, for each seed and budget."""
    images = load_benchmark(args.dataset, None)
    truth = labels_from_truth(images)
    names = args.backbone.split(",")
    computed = [_cached_transform(network(name), images) for name in names]
    for seed in args.seeds:
        groups = images.content_groups()
        split = stratified_split(truth.y, groups, args.held_out, _as_generator(seed))
        train, test = split
        extractor: Any = JoinedBackbones([part for part, _ in computed], random_state=seed)  # type: ignore[misc]
        features = Features(extractor, extractor._fit_rows([r[train] for _, r in computed]), "")
        for n_labeled in args.labels:
            for selection in args.selection.split(","):
                start = time.perf_counter()
                result, used = _fitted(images.subset(train), n_labeled, selection, seed, features)
                rows = extractor._join([r[test] for _, r in computed])
                kept = result.model.extractor
                if kept is not extractor:
                    rows = extractor._split(rows)[extractor.parts.index(kept.parts[0])]
                main, base = (
                    float(
                        (
                            result.model.widen(each.predict_proba(rows)).argmax(1) == truth.y[test]
                        ).mean()
                    )
                    for each in (result.main, result.baseline)
                )
                record = {
                    "dataset": args.dataset,
                    "backbone": [name.partition("=")[0] for name in names],
                    "n_labeled": used,
                    "selection": selection,
                    "seed": seed,
                    "held_out": args.held_out,
                    "n_test": len(test),
                    "accuracy": round(main, 4),
                    "supervised_accuracy": round(base, 4),
                    "estimate": result.estimate.to_dict(),
                    "method": result.method,
                    "kept": len(kept.parts),
                    "seconds": round(time.perf_counter() - start, 1),
                }
                print(json.dumps(record), flush=True)
                if args.out:
                    with Path(args.out).open("a") as file:
                        file.write(json.dumps(record) + "\n")


def _fitted(
    train: ImageSet, n_labeled: int, selection: str, seed: int, features: Features
) -> tuple[Any, int]:
    picks = select_images(train, n_labeled, method=selection, seed=seed, prepared=features)
    labels = _looked_up(labels_from_truth(train), picks)
    return fit_images(train, labels, prepared=features), len(picks.indices)


def speed(args: argparse.Namespace) -> None:
    """Measure photos a second, decoding included, in one run, and each against the first."""
    images = load_benchmark("grocery", None).subset(range(0, 5_000, 10))
    rows: list[dict[str, Any]] = []
    for name, side in _SPEEDS:
        file = f"={args.weights}" if name == "mobilenetv2_100" and args.weights else ""
        made = network(name + file, size=side, pretrained=name != "mobilenetv2_100" or bool(file))
        made.fit_transform(images.subset(range(64)))
        start, cpu = time.perf_counter(), time.process_time()
        made.fit(images)
        loading = time.perf_counter() - start
        made.transform(images)
        seconds = time.perf_counter() - start - loading
        cpu = time.process_time() - cpu
        rows.append({"name": name, "side": side, "photos_per_s": round(len(images) / seconds, 1)})
        rows[-1]["photos_per_cpu_s"] = round(len(images) / cpu, 1)
        rows[-1]["ratio"] = round(rows[-1]["photos_per_s"] / rows[0]["photos_per_s"], 2)
        print(json.dumps(rows[-1]), flush=True)
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1) + "\n")


def numbers(text: str) -> list[int]:
    """Return whole numbers with commas between them."""
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    fits, speeds = commands.add_parser("accuracy"), commands.add_parser("speed")
    fits.add_argument("dataset")
    fits.add_argument("--labels", type=numbers, required=True)
    fits.add_argument("--seeds", type=numbers, default=[51, 52, 53])
    fits.add_argument("--selection", default="representatives")
    fits.add_argument("--backbone", required=True, help="NAME or NAME=FILE, with commas between")
    fits.add_argument("--held-out", type=float, default=0.25)
    speeds.add_argument("--weights", help="a .safetensors file of MobileNetV2; else random ones")
    for command, run in ((fits, accuracy), (speeds, speed)):
        command.add_argument("--out")
        command.set_defaults(run=run)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
