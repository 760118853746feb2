"""One benchmark run: labels looked up for a few images, accuracy on images never seen."""

import time
from typing import Any

import numpy as np

from fewlabel import __version__
from fewlabel.compute import _as_generator, peak_rss_mb
from fewlabel.data import ImageSet, labels_from_truth, load_benchmark, stratified_split
from fewlabel.data.catalog import TREES
from fewlabel.errors import UsageError
from fewlabel.evaluate import expected_calibration_error
from fewlabel.pipeline import (
    FitResult,
    FitSettings,
    Progress,
    extract_features,
    fit_images,
    select_images,
)
from fewlabel.selection import _looked_up

# Share of the photos in folders that is the test: their splits lack classes, or there are none.
_HELD_OUT = 0.25


def _run_bench(
    dataset: str,
    *,
    n_labeled: int,
    selection: str | None = None,
    n_images: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Choose labels, look them up, fit, and measure on test images that are read after the fit."""
    start, wanted = time.perf_counter(), FitSettings(**settings)
    seed = wanted.seed
    train, test = _split(dataset, seed)
    if n_images is not None and n_images < len(train):
        rows = np.sort(_as_generator(seed).choice(len(train), size=n_images, replace=False))
        # By the seed, so that methods are compared on the same images.
        train = train.subset(rows)
    if n_labeled > len(train):
        raise UsageError(
            f"{n_labeled:,} labels are asked for, but there are {len(train):,} training images."
        )
    truth = labels_from_truth(train)
    begin = time.perf_counter()
    prepared = extract_features(
        train,
        features=wanted.features,
        weights=wanted.weights,
        seed=seed,
        device=wanted.device,
        progress=progress,
    )
    seconds = {"features": time.perf_counter() - begin}
    chosen = select_images(
        train, n_labeled, method=selection, seed=seed, prepared=prepared, progress=progress
    )
    seconds["select"] = chosen.seconds["select"]
    # From here on the labels of all others are out of reach.
    labels = _looked_up(truth, chosen)
    result = fit_images(train, labels, wanted, prepared=prepared, progress=progress)
    seconds |= {stage: result.seconds[stage] for stage in ("fit", "networks")}
    begin = time.perf_counter()
    scores = _score(result, test, truth.classes, progress)
    seconds["predict"] = time.perf_counter() - begin
    seconds["total"] = time.perf_counter() - start
    rounds = []
    if result.training is not None:
        # The training counted the classes that are labeled; the truth knows them all.
        codes = np.full(len(truth.classes), -1)
        codes[result.model.columns] = np.arange(len(result.model.columns))
        result.training.measure_precision(codes[truth.y])
        rounds = result.training.to_dict()["rounds"]
    return {
        "dataset": dataset,
        "n_labeled": n_labeled,
        "selection": chosen.method,
        "method": wanted.method,
        "seed": seed,
        **scores,
        "seconds": {stage: round(value, 2) for stage, value in seconds.items()},
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "version": __version__,
        "n_images": len(train),
        "n_test": len(test),
        "n_classes_labeled": len(np.unique(labels.y[labels.labeled])),
        "chosen": result.method,
        "n_networks": result.n_networks,
        "rounds": rounds,
        "time_budget": wanted.time_budget,
        "chosen_settings": result.chosen_settings,
        "estimate": result.estimate.to_dict(),
        "features": result.main.extractor.name,
    }


def _split(dataset: str, seed: int) -> tuple[ImageSet, ImageSet]:
    if dataset not in TREES:
        return load_benchmark(dataset, "train"), load_benchmark(dataset, "test")
    images = load_benchmark(dataset, None)
    y = labels_from_truth(images).y
    train, test = stratified_split(y, images.content_groups(), _HELD_OUT, _as_generator(seed))
    return images.subset(train), images.subset(test)


def _score(
    result: FitResult, test: ImageSet, classes: tuple[str, ...], progress: Progress | None
) -> dict[str, float]:
    """Accuracy on the test images of what was kept, main job and baseline; confidence there."""
    y = labels_from_truth(test, classes).y
    model, task = result.model, result.model.task
    # All on the same rows, which are computed once; networks make their own.
    rows = result.main.extractor.transform(test, progress=progress)
    of_main, of_baseline = (each.predict_proba(rows) for each in (result.main, result.baseline))
    if result.n_networks:
        kept = model.predict(test, progress=progress).proba
    elif model.fitted is result.main:
        kept = model.calibrated(of_main)
    else:
        kept = model.calibrated(model.fitted.predict_proba(rows))
    correct, confidence = task.correct(y, kept), task.confidence(kept)

    def accuracy(proba: np.ndarray) -> float:
        return float(task.correct(y, model.widen(proba)).mean())

    return {
        "accuracy": float(correct.mean()),
        "supervised_accuracy": accuracy(of_baseline),
        "main_accuracy": accuracy(of_main),
        "mean_confidence": float(confidence.mean()),
        "expected_calibration_error": expected_calibration_error(correct, confidence),
    }
