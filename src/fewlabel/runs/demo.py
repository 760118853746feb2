"""The whole pipeline once, on the digits: from images without labels to a tested model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from fewlabel.data import ImageSet, Labels, labels_from_truth, load_images, read_labels
from fewlabel.data.tables import _write_table
from fewlabel.pipeline import (
    Features,
    FitSettings,
    Progress,
    extract_features,
    fit_images,
    select_images,
    write_picks,
)
from fewlabel.runs.folder import evaluate_run, save_run
from fewlabel.runs.model import load_run


def _run_demo(
    folder: Path,
    budget: int,
    *,
    seed: int,
    command: str,
    out: str,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Select images, look up their labels, fit, save, load and test; return what came of it."""
    train, test = (load_images("digits", split=split) for split in ("train", "test"))
    # Computed once: selection and fit would each do it.
    features = extract_features(train, seed=seed, progress=progress)
    labels = _label(train, budget, seed, folder, features)
    labels = replace(labels, source=f"{out}/labels.csv")
    result = fit_images(train, labels, FitSettings(seed=seed), prepared=features, progress=progress)
    run = save_run(
        result,
        train,
        folder / "run",
        command=command,
        name=f"{out}/run",
        n_explained=None,
        progress=progress,
    )
    # From the disk, as a user would: what was saved is what is tested.
    model = load_run(run)
    truth = labels_from_truth(test, model.classes)
    tested = evaluate_run(model, test, truth, progress=progress).metrics
    baseline = result.baseline.predict_proba(result.main.extractor.transform(test))
    right = model.task.correct(truth.y, model.widen(baseline))
    return {
        "n_labeled": labels.n_labeled,
        "n_train": len(train),
        "n_test": len(test),
        "fit": result.summary(),
        "test": tested,
        "supervised_accuracy": float(right.mean()),
    }


def _label(train: ImageSet, budget: int, seed: int, folder: Path, features: Features) -> Labels:
    """Choose images, and look up what a person would type."""
    selection = select_images(train, budget, seed=seed, prepared=features)
    write_picks(selection, train, folder / "picks.csv")
    chosen = train.subset(selection.indices)
    if chosen.truth is None:
        raise RuntimeError("the digits come with labels")
    rows = zip(chosen.names, chosen.truth.tolist(), selection.purpose.tolist(), strict=True)
    _write_table(folder / "labels.csv", ("index", "label", "purpose"), list(rows))
    return read_labels(folder / "labels.csv", train)
