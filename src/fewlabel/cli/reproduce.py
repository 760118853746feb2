"""``fewlabel reproduce``: a published study again, what was published beside what is measured."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, note, one_line, say, show_json, show_table
from fewlabel.cli.inputs import check_place
from fewlabel.errors import UsageError
from fewlabel.files import _check_suffix

if TYPE_CHECKING:
    from fewlabel_experiments.runner import StudyResult

HELP = """Run a published study again and print published beside ours.

STUDY is clusters-a (k-means with 50 to 300 clusters as the pre-step of logistic regression),
clusters-b (up to 2,000 clusters, and a seven-layer network), both on Fashion-MNIST, experts
(binary experts beside one network a class), combo (a digit and a letter in one noisy image:
preprocessing, bagging, teacher and student; the competition's folder by --data), or photos (a
pretrained network, self-training and selection on the Grocery photos; a folder of Food-11 by
--data). The folder gets a record a row, the tables as tables.md and ours.csv, and the figures. A
run that was stopped goes on where it was when the command is given again. --quick takes few
images and one seed: less than two minutes, and less accurate.

\b
Examples:
  fewlabel reproduce clusters-a
  fewlabel reproduce clusters-b --quick
  fewlabel reproduce clusters-b --seeds 0,1,2 --out study-b --save-models study-b-models
  fewlabel reproduce clusters-b --from-models study-b-models
  fewlabel reproduce photos --data food11/
  fewlabel reproduce combo --labeled 30000 --unlabeled 30000 --test 10000
  fewlabel reproduce combo --letters chars74k --noise strong
  fewlabel reproduce combo --rows cnn,best-alone --seeds 0
  fewlabel reproduce combo --show-preprocessing --out steps.png
"""


def reproduce(
    study: Annotated[str, options.argument("STUDY", "Name of the study.")],
    out: Annotated[
        str | None,
        options.option(
            "--out",
            "FOLDER",
            "Folder for records, tables and figures; fewlabel-STUDY by default. With "
            "--show-preprocessing the PNG file to write.",
        ),
    ] = None,
    quick: Annotated[bool, options.flag("--quick", "A short run: few images, one seed.")] = False,
    seeds: Annotated[
        str | None,
        options.option(
            "--seeds",
            "N[,N...]",
            "Seeds; by default those of the study, 0,1,2, and 0 with --quick.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        options.option(
            "--data",
            "NAME",
            "Other data than the study's own: a benchmark for the clustering studies, whose "
            "published figures are not shown then; a folder of Food-11 for photos; the folder of "
            "the competition's files for combo.",
        ),
    ] = None,
    labeled: Annotated[
        int | None, options.number("--labeled", "Labeled images, for the study combo.", least=400)
    ] = None,
    unlabeled: Annotated[
        int | None, options.number("--unlabeled", "Unlabeled images, for the study combo.", least=1)
    ] = None,
    test: Annotated[
        int | None, options.number("--test", "Test images, for the study combo.", least=1)
    ] = None,
    letters: options.Letters = None,
    case: options.Case = None,
    noise: options.Noise = None,
    device: options.Device = "auto",
    rows: Annotated[
        str | None,
        options.option(
            "--rows", "ROW[,ROW...]", "Rows of the study combo; the others may follow later."
        ),
    ] = None,
    show_preprocessing: Annotated[
        bool,
        options.flag(
            "--show-preprocessing",
            "Run nothing: draw every step of the preprocessing of combo into a PNG file.",
        ),
    ] = False,
    save_models: Annotated[
        str | None,
        options.option("--save-models", "FOLDER", "Save every model, one folder a model."),
    ] = None,
    from_models: Annotated[
        str | None,
        options.option("--from-models", "FOLDER", "Load saved models in place of training."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run the study and print its tables."""
    check_studies()
    from fewlabel_experiments.protocol import Settings
    from fewlabel_experiments.registry import find_study
    from fewlabel_experiments.runner import run_study

    chosen = find_study(study)
    asked = {
        "n_labeled": labeled,
        "n_unlabeled": unlabeled,
        "n_test": test,
        "letters": letters,
        "case": case,
        "noise": noise,
        "device": None if device == options.AUTO else device,
        "rows": rows and [row.strip() for row in rows.split(",")],
    }
    settings = Settings(
        quick=quick,
        seeds=tuple(options.seeds_of(seeds)) if seeds else (),
        data=data,
        save_models=None if save_models is None else Path(save_models),
        from_models=None if from_models is None else Path(from_models),
        own={name: value for name, value in asked.items() if value is not None},
    )
    if show_preprocessing:
        picture = Path(out or f"fewlabel-{study}-preprocessing.png")
        _check_suffix(picture, "a PNG picture", ".png")
        check_place(picture)
        chosen.show_preprocessing(chosen.config(settings), picture)
        note(f"wrote {one_line(str(picture))}")
        return
    # A short run must not go on from the records of a whole one.
    suffix = ("-quick" if quick else "") + ("-from-models" if from_models else "")
    folder = Path(out or f"fewlabel-{study}{suffix}")
    # The folder may be there: the study goes on in it.
    _check_suffix(folder, "a folder")
    check_place(folder / "x")
    try:
        with ProgressBars(enabled=not as_json) as progress:
            result = run_study(chosen, settings, folder, progress=progress, log=note)
    except KeyboardInterrupt as stop:
        stop.add_note(f"the rows that ended are in {folder}; the same command goes on from there.")
        raise
    if as_json:
        show_json(result.to_dict())
    else:
        _print(result, quick)


def check_studies() -> None:
    """Raise if the published studies are not installed."""
    if find_spec("fewlabel_experiments") is None:
        raise UsageError(
            "The published studies are not installed: install fewlabel from its repository or "
            "its wheel, both of which have them."
        )


def _print(result: StudyResult, quick: bool) -> None:
    from fewlabel_experiments import tables

    say(f"{result.study.title} ({result.study.name})")
    if quick:
        say("A quick run: fewer images and one seed. The published figures are of whole runs.")
    say()
    headings, lines = tables.filled(tables.HEADINGS, tables.comparison(result.summaries))
    show_table(headings, lines, right=range(2, len(headings)))
    default = tables.beyond(result.summaries)
    if default:
        say()
        show_table(tables.BEYOND, default, right=range(4))
    if result.goals:
        say()
        goals = tables.goals(result.goals, result.study.measures)
        show_table(tables.GOALS, goals, right=(4, 5))
    say()
    say(f"Computing took {result.seconds / 60:.1f} minutes.")
    for file in result.files:
        note(f"wrote {one_line(str(file))}")
