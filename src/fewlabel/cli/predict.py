"""``fewlabel predict``: labels for new images."""

from typing import Annotated, Any

import typer

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, one_line, percent, say, show, show_table
from fewlabel.cli.failures import seconds_of
from fewlabel.cli.inputs import check_new_file, engine_of, open_run, warn_of_skipped
from fewlabel.texts import _counted

HELP = """Label new images with a model that `fewlabel fit` made.

Writes a table `path,label,confidence,source,unlike` with one row an image. The confidence is a
calibrated probability: of the images with confidence 0.9, about nine in ten should be right. Where
a model was trained with several labels an image, the label is such as `cat|dog`, or `|` for none,
and the confidence that all of them are right. `unlike` is `yes` for images that are unlike anything
labeled; about one in twenty of those that are like it is marked, too.

With `--max-error 2%`, the labels of unsure images are left blank for a person, so many that at most
2 % of the others are wrong; so are those that are unlike anything labeled. That is promised with
95 % certainty for images such as the run was fitted on, and rests on its labels that were drawn at
random.

\b
Examples:
  fewlabel predict run new-photos --out predictions.csv
  fewlabel predict run new-photos --out predictions.csv --probabilities
  fewlabel predict run new-photos --out predictions.csv --max-error 2%
  fewlabel predict run s3://bucket/photos --out predictions.parquet --engine ray
"""


def predict(
    ctx: typer.Context,
    run: options.Run,
    images: options.Images,
    out: options.Table,
    max_error: Annotated[
        float | None,
        options.fraction(
            "--max-error",
            "Leave labels blank, so that at most this part of the others is wrong.",
            is_open=True,
        ),
    ] = None,
    probabilities: options.Probabilities = False,
    engine: options.EngineName = "local",
    ray_address: options.RayAddress = None,
    force: Annotated[bool, options.flag("--force", "Replace an existing table.")] = False,
    as_json: options.Json = False,
) -> None:
    """Predict and write the table."""
    if engine == "ray":
        kind = ("a Parquet table, which --engine ray writes", ".parquet")
        check_new_file(out, *kind, force=force, holds="labels or predictions")
        found = _on_ray(ctx, run, images, out, max_error, probabilities, ray_address, not as_json)
        show(found, _print, as_json=as_json)
        return
    check_new_file(out, force=force, holds="labels or predictions")
    with engine_of(engine, ray_address), ProgressBars(enabled=not as_json) as progress:
        from fewlabel.runs.tables import _write_predictions

        model, image_set = open_run(run, images, progress, max_error=max_error)
        prediction = model.predict(image_set, max_error=max_error, progress=progress)
    _write_predictions(out, image_set, prediction, probabilities=probabilities)
    unlike, novelty = prediction.unlike, model.novelty
    accepted = prediction.confidence[prediction.accepted]
    found = {
        "out": out,
        "n_images": len(image_set),
        # Warned of on stderr; here so that a script can see it, too.
        "n_skipped": len(image_set.skipped),
        "max_error": max_error,
        "threshold": prediction.threshold,
        "n_accepted": int(prediction.accepted.sum()),
        "seconds": prediction.seconds,
        "seconds_in_all": round(seconds_of(ctx), 3),
        "mean_confidence": float(accepted.mean()) if len(accepted) else None,
        "unlike": None
        if unlike is None or novelty is None
        else novelty.alarms.summary(int(unlike.sum()), len(unlike), "images"),
        "classes": prediction.by_class(),
    }
    show(found, _print, as_json=as_json)


def _on_ray(
    ctx: typer.Context,
    run: str,
    images: str,
    out: str,
    max_error: float | None,
    probabilities: bool,
    address: str | None,
    shows_progress: bool,
) -> dict[str, Any]:
    from fewlabel.runs.model import load_run
    from fewlabel.scale.predict import predict_on_ray
    from fewlabel.scale.ray import ray_cluster

    model = load_run(run)
    with ray_cluster(address), ProgressBars(enabled=shows_progress) as progress:
        found = predict_on_ray(
            model,
            images,
            out,
            max_error=max_error,
            probabilities=probabilities,
            progress=progress,
        )
    warn_of_skipped(found.pop("failed"), found["n_skipped"])
    return found | {"seconds_in_all": round(seconds_of(ctx), 3)}


def _print(found: dict[str, Any]) -> None:
    n, seconds = found["n_accepted"], found["seconds_in_all"]
    mean, left = found["mean_confidence"], found["n_images"] - n
    sure = "" if mean is None else f"; mean confidence {percent(mean, 0)}"
    say(f"Labeled {_counted(n)} in {seconds:.1f} s{sure}.")
    if found["max_error"] is not None:
        say(
            f"Left {left:,} blank, with less than {percent(found['threshold'])} confidence"
            f"{' or unlike anything labeled' if found['unlike'] else ''}: of the others at most "
            f"{100 * found['max_error']:g}% are wrong (with 95 % certainty, for images such as the "
            "run was fitted on)."
        )
    if found["unlike"]:
        say(found["unlike"]["in_words"])
    say()
    rows = [
        (name, f"{row['n_images']:,}", percent(row["mean_confidence"], 0))
        for name, row in found["classes"].items()
    ]
    show_table(("label", "images", "mean confidence"), rows, right=(1, 2))
    say()
    say(f"Written to {one_line(found['out'])}.")
