"""Small but complete inputs, from which each test changes what it is about."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewlabel.evaluate import CandidateScore, estimate_accuracy
from fewlabel.report import EvaluationInputs, Gallery, GalleryItem, ReportInputs


def scored(n=60, n_classes=3, sharpness=2.0, seed=0):
    """Classes and probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)]
    logits = rng.normal(size=(n, n_classes)) + sharpness * np.eye(n_classes)[y]
    proba = np.exp(logits)
    return y, proba / proba.sum(axis=1, keepdims=True)


def candidates(graph=0.8, supervised=0.7, chosen="graph", se=0.05):
    best = max(graph, supervised)
    return tuple(
        CandidateScore(name, value, 0.0 if value == best else se, 0.6, 1.1, name == chosen, "why")
        for name, value in (("graph", graph), ("supervised", supervised))
    )


def gallery(n=3, side=28, channels=1, seed=0, **item: Any):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, side, side, channels), dtype=np.uint8)
    fields = {"name": "a/b.jpg", "label": "coat", "confidence": 0.5} | item
    return Gallery("Least confident", "Look here.", [GalleryItem(i, **fields) for i in images])


def report_inputs(n_images=200, n_classes=3, seed=0, **changes: Any) -> ReportInputs:
    rng = np.random.default_rng(seed)
    y, proba = scored(n_classes=n_classes)
    origin = np.where(rng.random(n_images) < 0.5, "propagated", "model")
    given = min(60, n_images)
    origin[:given] = "label"
    predictions = rng.integers(0, n_classes, n_images)
    predictions[:given] = y[:given]
    fields: dict[str, Any] = {
        "title": "Clothes",
        "source": "photos/clothes",
        "created": "2025-01-31T12:00",
        "version": "0.1.0",
        "n_images": n_images,
        "n_labeled": 60,
        "classes": [f"class {k}" for k in range(n_classes)],
        "estimate": estimate_accuracy(proba.argmax(axis=1) == y),
        "labeled_y": y,
        "labeled_proba": proba,
        "predictions": predictions,
        "confidence": np.where(origin == "label", 1.0, rng.random(n_images)),
        "origin": origin,
        "candidates": candidates(),
        "supervised_name": "supervised",
        "map_xy": rng.normal(size=(100, 2)),
        "map_index": np.arange(20, 120),
        "galleries": [gallery()],
        "warnings": ["Class 2 has one label; see `fewlabel select`."],
        "skipped": [("bad.jpg", "truncated JPEG")],
        "n_duplicates": 4,
        "ledger_summary": [{"method": "graph", "count": 70, "mean_confidence": 0.9}],
        "next_steps": ["Label `next.csv`."],
        "settings": {"alpha": 0.9},
        "seconds": {"features": 61.0, "total": 70.0},
        "feature_reason": "Pixels: the images are tiny.",
        "peak_rss_mb": 512.0,
        "command": "fewlabel fit photos --labels labels.csv --out run",
    }
    return ReportInputs(**(fields | changes))


def evaluation_inputs(n_classes=3, **changes: Any) -> EvaluationInputs:
    y, proba = scored(n=90, n_classes=n_classes)
    fields: dict[str, Any] = {
        "title": "Clothes",
        "source": "photos/test",
        "created": "2025-01-31T12:00",
        "version": "0.1.0",
        "classes": [f"class {k}" for k in range(n_classes)],
        "y": y,
        "proba": proba,
        "names": [f"{k}.jpg" for k in range(90)],
        "galleries": [gallery()],
    }
    return EvaluationInputs(**(fields | changes))
