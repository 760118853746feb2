r"""LIME with 1,000 samples: fewlabel beside plain Captum, 28×28 and 128×128, in one run.

    FEWLABEL_DATA=... OMP_NUM_THREADS=1 python benchmarks/bench_explain.py \
        --weights mobilenetv2_100.safetensors

``small-cnn``: a Fashion-MNIST image of 28×28 in 49 cells, seen by a CNN of two convolutions of 32
and 64 channels. ``mobilenetv2``: a Grocery photo of 128×128 in SLIC superpixels, seen by timm's
MobileNetV2 with a linear layer of 43 classes. ``patches``: the same image of 28×28, seen by the
model that ``fewlabel fit`` makes of 2,000 images and 200 labels. The heads have random weights,
which cost the same. Plain Captum is ``captum.attr.Lime`` with the same segments and ridge
regression, in batches of 100 or, its default, 1. ``explanation`` is all that `fewlabel explain`
computes: three repeats of LIME, and occlusion. Seconds leave out imports, reading and building.
``cpu_seconds`` is the processor time of all threads: where somebody else computes on the machine,
it says more than the seconds do, and on one thread it is what a quiet machine would need.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import contest

CONTENDERS = [
    "fewlabel small-cnn",
    "captum-100 small-cnn",
    "captum-1 small-cnn",
    "explanation small-cnn",
    "fewlabel mobilenetv2",
    "captum-100 mobilenetv2",
    "captum-1 mobilenetv2",
    "explanation mobilenetv2",
    "fewlabel patches",
]
GOALS = {"fewlabel small-cnn": 1.0, "fewlabel mobilenetv2": 20.0}
N_SAMPLES = 1000


def small_cnn() -> torch.nn.Module:
    """Build a CNN for grey images of 28×28, (b, 1, 28, 28) in [0, 1] to 10 probabilities."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 10),
        torch.nn.Softmax(dim=1),
    ).eval()


def fashion_image() -> np.ndarray:
    """Give a test image of Fashion-MNIST, (28, 28, 1) uint8."""
    X = contest.fashion_mnist("t10k")[18]
    return np.rint(X.reshape(28, 28, 1) * 255).astype(np.uint8)


def grocery_photo() -> np.ndarray:
    """Give a test photo of Grocery, (128, 128, 3) uint8."""
    from fewlabel.data import load_images

    images = load_images("grocery:test")
    return images.read([100], size=(128, 128), channels=3)[0]


class Head(torch.nn.Module):
    """MobileNetV2 of timm with a linear layer, (b, 3, 128, 128) in [0, 1] to 43 probabilities."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.module = backbone.network_.module
        self.linear = torch.nn.Linear(1280, 43)
        recipe = backbone.network_.recipe
        self.mean, self.std = (torch.tensor(v).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give class probabilities."""
        features = self.module((images - self.mean) / self.std)
        return self.linear(features).softmax(dim=1)


def model_and_image(name: str, weights: str) -> tuple[Any, Any, np.ndarray]:
    """Build a model: as a function of uint8 pixels, as a torch module (or None), and its image."""
    from fewlabel.data import image_set_from_array

    if name == "small-cnn":
        module = small_cnn()

        def predict(images: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return module(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).numpy()

        return predict, module, fashion_image()
    if name == "patches":
        return patch_model(), None, fashion_image()
    from fewlabel.features.backbone import Backbone

    photo = grocery_photo()
    backbone = Backbone("mobilenetv2_100", weights, size=128, normalize=False)
    backbone.fit(image_set_from_array(photo[None]))
    head = Head(backbone)

    def predict_photos(images: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(backbone.transform(image_set_from_array(images)))
        with torch.inference_mode():
            return head.linear(rows).softmax(dim=1).numpy()

    return predict_photos, head, photo


def patch_model() -> Callable[[np.ndarray], np.ndarray]:
    """Fit the main job on 2,000 images of Fashion-MNIST with 200 labels."""
    from fewlabel.data import Labels, load_images
    from fewlabel.data.labels import labels_from_truth
    from fewlabel.explain.model import _predict_arrays
    from fewlabel.pipeline import FitSettings, fit_images

    images = load_images("fashion-mnist:train").subset(range(2000))
    truth = labels_from_truth(images)
    y = np.where(np.arange(2000) < 200, truth.y, -1)
    result = fit_images(images, Labels(y, truth.classes), FitSettings(method="graph"))
    return _predict_arrays(result.model)


def prepare(way: str, name: str, weights: str) -> Callable[[], dict[str, float]]:
    """Import what a contender needs and give its work, warmed up."""
    from fewlabel.explain.explanation import explain_image
    from fewlabel.explain.perturb import _fill_image, _superpixels

    predict, module, image = model_and_image(name, weights)
    target = int(predict(image[None])[0].argmax())
    if way in ("fewlabel", "explanation"):
        repeats = 3 if way == "explanation" else 1

        def ours(n_samples: int = N_SAMPLES) -> dict[str, float]:
            # Gray as the fill, so that no segment is left out and the work is the same.
            found = explain_image(
                predict, image, target=target, n_samples=n_samples, repeats=repeats, fill="gray"
            )
            told = {"n_segments": len(found.weights), "fidelity": found.fidelity}
            return told if repeats == 1 else told | {"stability": found.stability}

        ours(20)
        return ours
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    segments = _superpixels(image).segments
    filled, _ = _fill_image(image, segments, "gray")
    whole, baseline = (torch.from_numpy(a).permute(2, 0, 1)[None] / 255 for a in (image, filled))
    lime = Lime(module, interpretable_model=SkLearnRidge(alpha=1.0))

    def plain(n_samples: int = N_SAMPLES) -> dict[str, float]:
        torch.manual_seed(0)
        with torch.inference_mode():
            lime.attribute(
                whole,
                baselines=baseline,
                target=target,
                feature_mask=torch.from_numpy(segments)[None, None],
                n_samples=n_samples,
                perturbations_per_eval=int(way.removeprefix("captum-")),
            )
        return {"n_segments": int(segments.max()) + 1}

    plain(20)
    return plain


def main() -> None:
    """Measure all contenders and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/explain.json")
    parser.add_argument("--weights", required=True, help="mobilenetv2_100.safetensors")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contender")
    args = parser.parse_args()
    if args.contender:
        work = prepare(*args.contender.split(), args.weights)
        start = time.process_time()
        found, figures = contest.timed(work)
        print(json.dumps({**figures, "cpu_seconds": time.process_time() - start, **found}))
        return
    results = contest.contest(__file__, CONTENDERS, args.repeats, "--weights", args.weights)
    seconds = {name: row["seconds"] for name, row in results.items()}
    cpu = {name: row["cpu_seconds"] for name, row in results.items()}
    contest.write(
        args.out,
        {
            "command": "OMP_NUM_THREADS=1 python benchmarks/bench_explain.py "
            "--weights mobilenetv2_100.safetensors",
            "task": f"LIME of one image with {N_SAMPLES:,} samples",
            "machine": contest.machine(),
            "threads": torch.get_num_threads(),
            "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
            "repeats": args.repeats,
            "median": results,
            "goals_in_seconds": GOALS,
            "reached": {name: seconds[name] <= goal for name, goal in GOALS.items()},
            "reached_in_cpu_seconds": {name: cpu[name] <= goal for name, goal in GOALS.items()},
            "cpu_times_as_long_as_fewlabel": {
                name: round(value / cpu[f"fewlabel {name.split()[1]}"], 2)
                for name, value in cpu.items()
                if name.startswith("captum")
            },
        },
    )


if __name__ == "__main__":
    main()
