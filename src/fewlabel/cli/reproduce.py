"""``fewlabel reproduce``: a published study again, what was published beside what is measured."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewlabel.cli.console import ProgressBars, note, one_line, say, show_json, show_table
from fewlabel.cli.inputs import check_place
from fewlabel.cli.options import MAX_SEED, JsonOption, at_least, whole_numbers
from fewlabel.errors import UsageError

if TYPE_CHECKING:
    from fewlabel_experiments.runner import StudyResult

SIZES = ("n_labeled", "n_unlabeled", "n_test")
"""What a study calls the numbers of images that options change."""

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
  fewlabel reproduce combo --show-preprocessing --out steps.png
"""


def reproduce(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="Name of the study.", show_default=False)
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder for records, tables and figures; fewlabel-STUDY by default. With "
            "--show-preprocessing the PNG file to write.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A short run: few images, one seed.")
    ] = False,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="N[,N...]",
            help="Seeds; by default those of the study, 0,1,2, and 0 with --quick.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME",
            help="Other data than the study's own: a benchmark for the clustering studies, whose "
            "published figures are not shown then; a folder of Food-11 for photos; the folder of "
            "the competition's files for combo.",
            show_default=False,
        ),
    ] = None,
    labeled: Annotated[
        int | None,
        typer.Option(
            "--labeled",
            metavar="N",
            parser=at_least(400),
            help="Labeled images, for the study combo.",
            show_default=False,
        ),
    ] = None,
    unlabeled: Annotated[
        int | None,
        typer.Option(
            "--unlabeled",
            metavar="N",
            parser=at_least(1),
            help="Unlabeled images, for the study combo.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        int | None,
        typer.Option(
            "--test",
            metavar="N",
            parser=at_least(1),
            help="Test images, for the study combo.",
            show_default=False,
        ),
    ] = None,
    show_preprocessing: Annotated[
        bool,
        typer.Option(
            "--show-preprocessing",
            help="Run nothing: draw every step of the preprocessing of combo into a PNG file.",
        ),
    ] = False,
    save_models: Annotated[
        str | None,
        typer.Option(
            "--save-models",
            metavar="FOLDER",
            help="Save every model, one folder a model.",
            show_default=False,
        ),
    ] = None,
    from_models: Annotated[
        str | None,
        typer.Option(
            "--from-models",
            metavar="FOLDER",
            help="Load saved models in place of training.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the study and print its tables."""
    check_studies()
    from fewlabel_experiments.protocol import Settings
    from fewlabel_experiments.registry import find_study
    from fewlabel_experiments.runner import run_study

    chosen = find_study(study)
    settings = Settings(
        quick=quick,
        seeds=() if seeds is None else tuple(whole_numbers(seeds, most=MAX_SEED, option="--seeds")),
        data=data,
        save_models=None if save_models is None else Path(save_models),
        from_models=None if from_models is None else Path(from_models),
        sizes={
            name: size
            for name, size in zip(SIZES, (labeled, unlabeled, test), strict=True)
            if size is not None
        },
    )
    if show_preprocessing:
        picture = Path(out or f"fewlabel-{study}-preprocessing.png")
        check_place(picture)
        chosen.show_preprocessing(chosen.config(settings), picture)
        note(f"wrote {one_line(str(picture))}")
        return
    folder = Path(out or _default_folder(study, quick, from_models is not None))
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
        _tell(result, quick)


def check_studies() -> None:
    """Raise if the published studies are not installed."""
    if find_spec("fewlabel_experiments") is None:
        raise UsageError(
            "The published studies are not installed: install fewlabel from its repository or "
            "its wheel, both of which have them."
        )


def _default_folder(study: str, quick: bool, loaded: bool) -> str:
    return f"fewlabel-{study}" + ("-quick" if quick else "") + ("-from-models" if loaded else "")


def _tell(result: StudyResult, quick: bool) -> None:
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
