"""Features of the Grocery photos by MobileNetV2 at 128 × 128: fewlabel and a plain timm loop.

    FEWLABEL_DATA=... python benchmarks/bench_features.py --weights mobilenetv2_100.safetensors \
        --out benchmarks/results/features.json

Seconds begin with a list of files and end with a matrix of features: reading, decoding, scaling
and the network are included; imports, building the network and the first look at the files (which
tells damaged ones apart) are not. The plain loop is what timm's documentation shows, in float32:
Pillow, the model's own evaluation transform at that size, batches of 64. "plain-workers" decodes
in two processes beside the network, "cached" is a second run of fewlabel on the same photos.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import contest

CONTENDERS = ["fewlabel", "plain", "plain-workers", "cached"]
SIDE = 128


def photos(n: int):
    """Take every k-th Grocery photo, about ``n`` in all, known to be readable."""
    from fewlabel.data import load_images

    images = load_images("grocery")
    return images.subset(np.arange(0, len(images), max(1, len(images) // n)))


def prepare_fewlabel(images, weights: str) -> Callable[[], np.ndarray]:
    """Build the extractor; give what computes the features."""
    from fewlabel.features.backbone import Backbone

    backbone = Backbone(weights=weights, size=SIDE, normalize=False).fit(images)
    return lambda: backbone.transform(images)


def prepare_cached(images, weights: str) -> Callable[[], np.ndarray]:
    """Fill the cache; give what a second run does, the building of the network included."""
    from fewlabel.features.backbone import Backbone
    from fewlabel.features.cache import _cached_transform

    folder = tempfile.TemporaryDirectory()

    def run() -> np.ndarray:
        backbone = Backbone(weights=weights, size=SIDE, normalize=False)
        return _cached_transform(backbone, images, folder=Path(folder.name))[1]

    run()
    return run


def prepare_plain(images, weights: str, workers: int) -> Callable[[], np.ndarray]:
    """Build timm's model and transform; give the loop over batches of 64."""
    from fewlabel.extras import require

    timm = require("timm", "This benchmark")
    import safetensors.torch
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    model = timm.create_model("mobilenetv2_100", pad_type="same")
    tensors = safetensors.torch.load_file(weights)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    model.reset_classifier(0)
    model.eval()
    transform = timm.data.create_transform(
        (3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=1.0, interpolation="bicubic"
    )

    class Files(Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int):
            with Image.open(images.path(index)) as image:
                return transform(image.convert("RGB"))

    loader = DataLoader(Files(), batch_size=64, num_workers=workers)

    @torch.inference_mode()
    def run() -> np.ndarray:
        return torch.cat([model(batch) for batch in loader]).numpy()

    return run


def compete(name: str, weights: str, n: int) -> None:
    """Run one contender in this process and print its figures."""
    images = photos(n)
    prepare = {
        "fewlabel": lambda: prepare_fewlabel(images, weights),
        "cached": lambda: prepare_cached(images, weights),
        "plain": lambda: prepare_plain(images, weights, 0),
        "plain-workers": lambda: prepare_plain(images, weights, 2),
    }[name]
    run = prepare()
    features, figures = contest.timed(run)
    print(
        json.dumps(
            {
                **figures,
                "photos": len(images),
                "photos_per_second": len(images) / figures["seconds"],
                # The same network everywhere: nearly the same figure.
                "mean_feature": float(features.mean()),
            }
        )
    )


def main() -> None:
    """Measure all contenders and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/features.json")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", type=int, default=1350)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contender")
    args = parser.parse_args()
    if args.contender:
        compete(args.contender, args.weights, args.photos)
        return
    more = ["--weights", args.weights, "--photos", str(args.photos)]
    results = contest.contest(__file__, CONTENDERS, args.repeats, *more)
    contest.write(
        args.out,
        {
            "command": "python benchmarks/bench_features.py --weights mobilenetv2_100.safetensors "
            "--out benchmarks/results/features.json",
            "task": f"MobileNetV2 features of Grocery photos at {SIDE}x{SIDE}, decoding included",
            "machine": contest.machine(),
            "repeats": args.repeats,
            "median": results,
            "times_as_long_as_fewlabel": contest.ratios(results, "fewlabel"),
        },
    )


if __name__ == "__main__":
    main()
