"""``fewlabel data``: the benchmark data sets."""

from __future__ import annotations

from typing import Annotated, Literal

from fewlabel.cli import options
from fewlabel.cli.choices import group
from fewlabel.cli.console import ProgressBars, note, say, show_json, show_table
from fewlabel.cli.inputs import check_output_folder
from fewlabel.cli.reproduce import check_studies

HELP = """Find and fetch the benchmark data sets.

Files in the folder FEWLABEL_DATA come first; what is fetched goes to the user's cache folder,
or to FEWLABEL_CACHE.

\b
Examples:
  fewlabel data list
  fewlabel data get fashion-mnist
  fewlabel data make combo --out combo
"""

LIST_HELP = """List the benchmark data sets and where they are.

Prints their sizes and licenses too. Their names can be given wherever a command takes IMAGES,
also with a split as NAME:train and NAME:test.

\b
Examples:
  fewlabel data list
  fewlabel data list --json
"""

GET_HELP = """Fetch a benchmark data set, and print its folder.

Every file is checked against its published checksum. A download that breaks off is tried again,
then the next mirror is. What is on this machine already is not fetched.

\b
Examples:
  fewlabel data get mnist
  FEWLABEL_CACHE=/big/disk fewlabel data get grocery
"""

MAKE_HELP = """Make a data set from benchmarks, and print its folder.

The only one is combo: a handwritten digit and a letter in one noisy gray image of 56x56 pixels,
36 labels of which two are on. It needs the benchmark mnist, and emnist-letters or letters. The
folder gets images.npz (labeled images first) with labels.csv, and test.npz with test-labels.csv;
its README.md says more. No handwriting is in two of the parts. The same seed makes the same
images, and more of one part change neither its first ones nor the other parts.

\b
Examples:
  fewlabel data make combo --out combo
  fewlabel data make combo --labeled 1000 --unlabeled 3000 --test 1000 --out small --seed 1
  fewlabel data make combo --letters chars74k --noise strong --out hard
"""


app = group("data", HELP)


@app.command("list", help=LIST_HELP)
def list_(as_json: options.Json = False) -> None:
    """List the benchmarks."""
    from dataclasses import asdict

    from fewlabel.data import list_benchmarks

    benchmarks = list_benchmarks()
    if as_json:
        show_json([asdict(info) for info in benchmarks])
        return
    rows = []
    for info in benchmarks:
        where = str(info.where or f"not here: fewlabel data get {info.name}")
        sizes = f"{info.n_train:,}", f"{info.n_test:,}", str(info.classes)
        rows.append((info.name, *sizes, where))
    show_table(("name", "train", "test", "classes", "where"), rows, right=(1, 2, 3))
    say()
    show_table(
        ("name", "what", "license"), [(i.name, i.description, i.license) for i in benchmarks]
    )


@app.command("get", help=GET_HELP)
def get(
    name: Annotated[str, options.argument("NAME", "Name from `fewlabel data list`.")],
    as_json: options.Json = False,
) -> None:
    """Fetch one benchmark."""
    from fewlabel.data import get_benchmark

    with ProgressBars(enabled=not as_json) as progress:
        try:
            folder = get_benchmark(name, progress=progress.stage(f"{name} (bytes)"))
        except KeyboardInterrupt as stop:
            stop.add_note("files that are whole are kept; run the command again for the rest.")
            raise
    if as_json:
        show_json({"name": name, "folder": str(folder)})
        return
    # The folder stands alone on stdout, for `cd $(fewlabel data get NAME)`.
    note(f"{name} is in this folder; give its name as IMAGES to use it:")
    say(str(folder))


@app.command("make", help=MAKE_HELP)
def make(
    name: Annotated[Literal["combo"], options.argument("NAME", "What to make: combo.")],
    out: Annotated[str, options.option("--out", "FOLDER", "Folder to write.")],
    labeled: Annotated[int, options.number("--labeled", "Images with labels.", least=1)] = 30_000,
    unlabeled: Annotated[int, options.number("--unlabeled", "Images without.")] = 30_000,
    test: Annotated[int, options.number("--test", "Images to test on.")] = 10_000,
    letters: options.Letters = None,
    case: options.Case = None,
    noise: options.Noise = None,
    seed: options.Seed = 0,
    force: Annotated[
        bool, options.flag("--force", "Replace a folder that fewlabel wrote.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Make one data set."""
    check_output_folder(out, force=force)
    check_studies()
    from fewlabel_experiments.combo.files import write_combo
    from fewlabel_experiments.combo.generator import make_combo, settings_of

    settings = settings_of(letters, case, noise)
    with ProgressBars(enabled=not as_json) as progress:
        made = make_combo(
            labeled,
            unlabeled,
            test,
            seed=seed,
            settings=settings,
            progress=progress.stage("images"),
        )
        write_combo(made, out, seed=seed, settings=settings, force=force)
    if as_json:
        sizes = {"labeled": labeled, "unlabeled": unlabeled, "test": test}
        look = {"letters": settings.letters, "case": settings.case}
        show_json({"name": name, "folder": out, "seed": seed, **sizes, **look})
        return
    note(f"{name} is in this folder: images.npz with labels.csv, and test.npz:")
    say(out)
