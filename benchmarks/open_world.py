r"""Are classes that nobody labeled found, and labels that are wrong? Left-out classes and flips.

    FEWLABEL_DATA=... python benchmarks/open_world.py mnist fashion-mnist eurosat grocery \
        --labels 50 100 --seeds 51 52 53

Unlike: one class of ten (or four of Grocery's 43) has no label; of 2,600 images, 2,000 are fitted
on and the others are new. Printed are the area under the ROC curve of the score, the recall of
the left-out classes at the threshold, and the false alarms among the others, of the pool and of
new images; then the interval of the rate that is told, averaged. Last, how many of the more
confident half of the new images of known classes are wrong, of marked and of unmarked ones.

Suspicious: labels are flipped to another class at random. Printed are how many are flagged, their
recall and precision, and how many are flagged where none is flipped: by fewlabel, then by
cleanlab's filters on the same probabilities, where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util

import numpy as np
from sklearn.metrics import roc_auc_score

from fewlabel.compute import _as_generator
from fewlabel.data import ImageSet, Labels, labels_from_truth, list_benchmarks, load_benchmark
from fewlabel.pipeline import Features, FitResult, extract_features, fit_images, select_images
from honesty import subset

N_IMAGES, N_POOL = 2_600, 2_000
FILTERS = ("prune_by_noise_rate", "prune_by_class", "confident_learning", "both")
FILTERS += ("predicted_neq_given", "low_normalized_margin", "low_self_confidence")


def main() -> None:
    """Print a row a data set and number of labels, means over the seeds with their spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[51, 52, 53])
    parser.add_argument("--parts", nargs="+", default=["unlike", "suspicious"])
    parser.add_argument("--flips", type=float, default=0.08)
    parser.add_argument("--select", action="store_true", help="labels as `select` chooses them")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    given = parser.parse_args()
    print("unlike: AUROC recall alarms, pool | new | told | wrong: marked, unmarked")
    print("suspicious: flagged recall precision | flagged of none flipped")
    whole = {info.name for info in list_benchmarks() if not info.n_test}
    for dataset in given.datasets:
        images = load_benchmark(dataset, None if dataset in whole else "train")
        images = subset(images, N_IMAGES, 0)
        name = "patches" if images.is_gray else given.backbone
        prepared, truth = extract_features(images, features=name), labels_from_truth(images)
        for n in given.labels:
            if "unlike" in given.parts:
                cells = [
                    unlike(images, truth, prepared, n, seed, select=given.select)
                    for seed in given.seeds
                ]
                show(f"{dataset} {n} unlike", cells)
            if "suspicious" in given.parts:
                found = [
                    suspicious(images, truth, prepared, n, seed, given.flips)
                    for seed in given.seeds
                ]
                for way in found[0]:
                    show(f"{dataset} {n} suspicious, {way}", [each[way] for each in found])


def show(head: str, cells: list[list[float]]) -> None:
    """Print means and spreads."""
    means, spread = np.nanmean(cells, axis=0), np.nanstd(cells, axis=0)
    text = " ".join(f"{m:.1f}±{s:.1f}" for m, s in zip(means, spread, strict=True))
    print(f"{head} | {text}", flush=True)


def unlike(
    images: ImageSet, truth: Labels, features: Features, n: int, seed: int, *, select: bool
) -> list[float]:
    """Leave classes out of the labels; return how well they are found, in percent."""
    rng, n_classes = _as_generator(seed), len(truth.classes)
    order = rng.permutation(len(images))
    pool, new = np.sort(order[:N_POOL]), np.sort(order[N_POOL:])
    out = rng.choice(n_classes, size=max(1, n_classes // 10), replace=False)
    y = truth.y[pool]
    part = Features(features.extractor, features.rows[pool], features.reason)
    if select:
        # As a person who is shown n images, and labels those of known classes.
        chosen = select_images(images.subset(pool), n, prepared=part, seed=seed).indices
        chosen = chosen[~np.isin(y[chosen], out)]
    else:
        chosen = rng.choice(np.flatnonzero(~np.isin(y, out)), size=n, replace=False)
    result = fit(images.subset(pool), y, np.sort(chosen), part)
    novelty, fitted = result.model.novelty, result.model.fitted
    assert novelty is not None
    proba = fitted.predict_proba(features.rows[new])
    entropy, alarms = truth.task.entropy(proba), novelty.alarms
    scores = [result.unlike_scores, novelty.scores(features.rows[new], entropy)]
    cells: list[float] = []
    for at, score in zip((pool, new), scores, strict=True):
        of, free = truth.y[at], np.ones(len(at), bool)
        if at is pool:
            free[chosen] = False
        unknown, known = free & np.isin(of, out), free & np.isin(of, y[chosen])
        both, found = unknown | known, score > alarms.threshold
        cells += [roc_auc_score(unknown[both], score[both])]
        cells += [found[unknown].mean(), found[known].mean()]
    sure = known & (proba.max(axis=1) >= np.median(proba.max(axis=1)[known]))
    wrong = np.unique(y[chosen])[proba.argmax(axis=1)] != truth.y[new]
    errors = [
        wrong[sure & mark].mean() if (sure & mark).any() else np.nan for mark in (found, ~found)
    ]
    return [100 * cell for cell in (*cells, alarms.low, alarms.high, *errors)]


def suspicious(
    images: ImageSet, truth: Labels, features: Features, n: int, seed: int, flips: float
) -> dict[str, list[float]]:
    """Flip labels; return the number flagged, recall, precision and false flags of each rule."""
    rng = _as_generator(seed)
    chosen = np.sort(rng.choice(len(images), size=n, replace=False))
    clean = flagged(fit(images, truth.y, chosen, features), truth.y)
    y, wrong = truth.y.copy(), rng.choice(chosen, size=round(flips * n), replace=False)
    present = np.unique(y[chosen])
    for row in wrong:
        y[row] = rng.choice(present[present != y[row]])
    found = {}
    for way, rows in flagged(fit(images, y, chosen, features), y).items():
        hits = np.isin(rows, wrong)
        precision = 100 * hits.mean() if len(hits) else np.nan
        recall = 100 * hits.sum() / len(wrong)
        found[way] = [len(rows), recall, precision, len(clean[way])]
    return found


def flagged(result: FitResult, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the images whose labels are flagged, by each rule."""
    found = {"fewlabel": result.suspicious}
    if importlib.util.find_spec("cleanlab") is not None:
        from cleanlab.filter import find_label_issues

        _, codes = np.unique(y[result.tested], return_inverse=True)
        proba = result.tested_proba[:, np.unique(result.labels.y[result.tested])]
        proba = proba / proba.sum(axis=1, keepdims=True)
        for way in FILTERS:
            issues = find_label_issues(codes, proba, filter_by=way, min_examples_per_class=0)
            found[way] = result.tested[issues]
    return found


def fit(images: ImageSet, y: np.ndarray, chosen: np.ndarray, features: Features) -> FitResult:
    """Fit on the labels of the chosen images."""
    names, codes = np.unique(y[chosen], return_inverse=True)
    given = np.full(len(images), -1)
    given[chosen] = codes
    labels = Labels(given, tuple(map(str, names)))
    return fit_images(images, labels, prepared=features)


if __name__ == "__main__":
    main()
