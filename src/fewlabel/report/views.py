"""The sections of the report of a fit: what was compared, predicted and assumed."""

from collections.abc import Sequence

import numpy as np
from sklearn.manifold import TSNE

from fewlabel.compute import _threads_for
from fewlabel.data import ImageSet
from fewlabel.evaluate import BASELINE
from fewlabel.fit_result import FitResult
from fewlabel.report.html import View
from fewlabel.report.pictures import _words
from fewlabel.report.plots import _candidates_figure, _confidence_figure, _learning_figure
from fewlabel.report.scatter import PALETTE, _class_color, _map_figure, _places
from fewlabel.report.tiles import _marks, _path_lists, _tiles_view
from fewlabel.semisupervised.search import _network_methods
from fewlabel.texts import _percent_text, _printable

# t-SNE of so many takes a few seconds, and more points would hide each other.
_MAP_IMAGES = 1_200
_MAX_TILES = 1_500
_LEAST_SECONDS = 5.0  # to read pictures of all images; a tenth of the fit where that is more


def _duel(result: FitResult) -> View | None:
    """Compare what learned from the unlabeled images with the supervised baseline."""
    gain = result.gain
    if gain is None:
        return None
    kept = result.choice.name
    name, sentence = "With unlabeled images", gain.in_words()
    if kept == gain.method and not _used_unlabeled(result):
        name = "Kept, without unlabeled images"
        sentence = (
            "No: what was kept learned from the labels without them, as the baseline did. It is "
            f"another model, {gain.points:+.1f} points from it."
        )
    elif kept == BASELINE:
        sentence += " The baseline was kept."
    elif gain.points < -0.05:
        sentence += " See below why the other method was kept all the same."
    return {
        "sentence": sentence,
        "n_audit": gain.n_audit,
        "rows": [
            {"name": name, "value": gain.accuracy, "kept": kept == gain.method},
            {"name": "Supervised baseline", "value": gain.baseline, "kept": kept == BASELINE},
        ],
    }


def _used_unlabeled(result: FitResult) -> bool:
    """Return whether networks, if any were kept, were trained on unlabeled images."""
    if not result.n_networks or result.training is None:
        return True
    records = [row for row in result.training.rounds if row.get("kept", True)]
    records += result.training.epochs
    keys = ("n_accepted", "accepted", "unlabeled_loss")
    return any(record.get(key) for record in records for key in keys)


def _candidates_view(result: FitResult, measure: str) -> View:
    """Draw and list the candidates, and say by which rule one was kept."""
    choice = result.choice
    errors = {1.0: "one standard error", 2.0: "two standard errors"}.get(choice.n_se)
    if result.settings.method != "auto":
        rule = f"The method {choice.name} was asked for."
    elif any(row.name in _network_methods() for row in choice.table):
        rule = "Among those, a network is kept."
    elif result.task.has_preferences:
        # What was measured on many data sets beforehand, of the graph and its relatives alone.
        rule = "Among those, the one that does best as a rule with so many labels is kept."
    else:
        rule = "Among those, the one with the least log loss is kept."
    caption = (
        f"{measure.capitalize()}. Blue: kept. ◆: the supervised baseline. Where the bar to the "
        f"right ({errors or f'{choice.n_se:g} standard errors'} of the difference) reaches the "
        f"dashed line, being behind may be bad luck. {rule}"
    )
    svg = _candidates_figure(choice.table, BASELINE, choice.n_se, measure)
    return {"svg": svg, "caption": caption, "table": choice.table}


def _map_view(result: FitResult) -> View | None:
    """Lay a sample of the images out on a plane by t-SNE, and say where each is drawn."""
    codes, rows = result.task.codes(result.predicted), result.features.rows
    if codes is None or len(rows) < 5:
        return None
    seed, index = result.settings.seed, _map_rows(result)
    xy = _plane(rows[index], np.random.default_rng(seed), seed)
    svg = _map_figure(
        xy, codes[index], result.confidence[index], result.origin[index] == "label", result.classes
    )
    return {
        "svg": svg,
        "points": list(zip(index.tolist(), (100 * _places(xy)).tolist(), strict=True)),
        "shown": len(index),
        "n_images": len(rows),
        "repeats": len(result.classes) > len(PALETTE),
        "legend": [(name, _class_color(k)) for k, name in enumerate(result.classes)],
    }


def _map_rows(result: FitResult) -> np.ndarray:
    """Draw images for the map, the labeled ones among them."""
    rng, n = np.random.default_rng(result.settings.seed), len(result.proba)
    labeled = result.task.labeled(result.labels.training_y)
    if len(labeled) > _MAP_IMAGES // 3:
        # A map of labeled images alone would not show where labels lack.
        labeled = rng.choice(labeled, size=_MAP_IMAGES // 3, replace=False)
    others = np.setdiff1d(rng.permutation(n)[:_MAP_IMAGES], labeled)
    return np.sort(np.concatenate([labeled, others[: _MAP_IMAGES - len(labeled)]]))


def _plane(rows: np.ndarray, rng: np.random.Generator, seed: int) -> np.ndarray:
    """Return places (m, 2) at which images with similar features are neighbors."""
    rows = rows.astype(np.float64)
    # By direction, as the graph compares rows: bright images are not far from dark ones.
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    # Identical rows would have no spread to scale by.
    rows += rng.normal(scale=1e-6, size=rows.shape)
    tsne = TSNE(
        # It must be below the number of rows.
        perplexity=min(30.0, (len(rows) - 1) / 3),
        init="pca" if min(rows.shape) >= 2 else "random",
        max_iter=500,
        random_state=seed,
    )
    # Its many small steps are faster on one thread, far faster on a busy machine.
    with _threads_for(0):
        return np.asarray(tsne.fit_transform(rows))


def _all_images(result: FitResult, images: ImageSet) -> View:
    """Show all images as tiles, or those of the map where there are many, least confident first."""
    n, task = len(result.proba), result.task
    rows = np.arange(n) if n <= _MAX_TILES else _map_rows(result)
    rows = rows[np.argsort(result.confidence[rows], kind="stable")]
    sure, decided = result.confidence[rows], task.decided(result.proba[rows])
    marks = np.where(result.unlabeled[rows], _marks(decided, sure), _marks(decided)).tolist()
    seconds = max(_LEAST_SECONDS, sum(result.seconds.values()) / 10)
    texts = _words(task, result.predicted[rows], result.classes)
    return _tiles_view(images, rows, texts, sure, marks, seconds)


def _weak(result: FitResult) -> str:
    """Name the classes that are surely less well recognized than the rest."""
    names = [_printable(result.classes[k], limit=40) for k in result.surely_weak]
    if not names:
        return ""
    least = _percent_text(result.headline.low)
    return f"Surely weak, with precision or recall below {least}: {', '.join(names)}."


def _prediction_rows(result: FitResult, names: Sequence[str] = ()) -> list[View]:
    """Count where each class was given and where it is predicted, and how well; list paths."""
    present, known = result.task.evidence(result.labels.training_y, len(result.classes))
    # What was typed in is no prediction.
    found = result.task.decided(result.proba) & ~known
    counts = found.sum(axis=0)
    sums = (result.proba * found).sum(axis=0)
    colored = result.task.codes(result.predicted) is not None
    paths = _path_lists(names, found) if names else [""] * len(counts)
    return [
        row
        | {
            "class": result.classes[k],
            "color": _class_color(k) if colored else None,
            "given": int(present[:, k].sum()),
            "found": int(counts[k]),
            "paths": paths[k],
            "confidence": float(sums[k] / counts[k]) if counts[k] else None,
        }
        for k, row in enumerate(result.by_class)
    ]


def _confidence_view(result: FitResult) -> View:
    """Draw how confident the predictions of unlabeled images are."""
    names = (("propagated", "label propagated"), ("model", "by the model alone"))
    groups = [(text, result.confidence[result.origin == key]) for key, text in names]
    rest = result.confidence[result.origin != "label"]
    caption = (
        f"{len(rest):,} images without a label: {int((rest >= 0.9).sum()):,} are predicted with "
        f"at least 90 % confidence, {int((rest < 0.5).sum()):,} with less than 50 %."
    )
    shown = [group for group in groups if len(group[1])]
    return {"svg": _confidence_figure(shown or [("none", rest)]), "caption": caption}


def _learning_view(result: FitResult) -> View | None:
    """Say and draw what more labels would bring, or why that is not known."""
    curve = result.curve
    if curve is None:
        return {"sentence": result.no_curve, "svg": None} if result.no_curve else None
    caption = (
        "Points: models trained on a part of the labels and tested on the others, with a standard "
        f"error. The curve is laid through the accuracy above. Band: {100 * curve.level:.0f} % "
        "interval."
    )
    if abs(curve.shift) >= 0.0005:
        side = "below" if curve.shift > 0 else "above"
        caption += (
            " Chosen images are not like the others: the points are drawn "
            f"{100 * abs(curve.shift):.1f} points {side} the accuracy on them."
        )
    return {
        "sentence": curve.in_words(),
        "caption": caption,
        "rows": [("now", curve.n_now, curve.now), ("twice the labels", curve.next_n, curve)],
        "level": curve.level,
        "svg": _learning_figure(curve),
    }


def _ledger_rows(result: FitResult) -> list[View]:
    """Count the labels that were assumed, by method, with each one's own mean confidence."""
    present, known = result.task.evidence(result.labels.training_y, len(result.classes))
    counts = {"given": int(present.sum())}
    # Where the baseline was asked for, nothing was propagated.
    if "alpha" in result.chosen_settings:
        counts["spread over the graph"] = int(
            (result.task.decided(result.propagated) & ~known).sum()
        )
    if result.ledger is not None:
        counts[result.method] = len(result.ledger.columns()["confidence"])
    return [{"method": method, "count": n} for method, n in counts.items() if n]
