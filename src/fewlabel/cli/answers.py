"""``fewlabel answers``: labels brought to other tools and back, and how far people agree."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fewlabel.cli import options
from fewlabel.cli.choices import group
from fewlabel.cli.console import ProgressBars, one_line, percent, say, show, show_table
from fewlabel.cli.inputs import FOLDERS, check_new_file, check_place, open_images, open_labels
from fewlabel.cli.project import Options, is_typed, with_project
from fewlabel.errors import UsageError
from fewlabel.extras import check_installed
from fewlabel.files import _check_suffix
from fewlabel.runs.project import PROJECT
from fewlabel.texts import _counted

if TYPE_CHECKING:
    from fewlabel.labelling.store import _Store

_TABLE = "labels.csv"

HELP = """Take answers to other tools and back; see how far people agree.

The answers are those of `fewlabel label`, beside the label table; the page may be open meanwhile.

\b
Examples:
  fewlabel answers export photos --labels labels.csv --out labels.json --format label-studio
  fewlabel answers import photos labels.json --labels labels.csv
  fewlabel answers agreement photos --labels labels.csv
"""

EXPORT_HELP = """Write the labels in the form of another tool.

csv is a label table of fewlabel; folders holds one folder a class, with copies of the labeled
images (--link: hard links); label-studio and coco are JSON. Images are never moved. Where people
disagree and no review has settled it, the label table holds their last answer, or with --repeats
what most of them say; --consensus takes what most of them say, or what cleanlab's CROWDLAB makes
of it, which weighs people by how often they are right and asks a model that is fitted for it.

\b
Examples:
  fewlabel answers export photos --labels labels.csv --out sorted --format folders --link
  fewlabel answers export photos --labels labels.csv --out labels.json --format coco
  fewlabel answers export photos --labels labels.csv --out agreed.csv --consensus crowd
"""

IMPORT_HELP = """Add labels from another tool.

FILE is a label table, JSON of Label Studio or COCO, or a folder with one folder a class that holds
copies of the images, which are found by their content. Labels of other images stay; those that are
imported overrule earlier answers to the same image, and the label table follows.

\b
Examples:
  fewlabel answers import photos labels.json --labels labels.csv
  fewlabel answers import photos sorted --labels labels.csv
"""

AGREEMENT_HELP = """See who has answered, and how far people agree.

Prints answers, pace and disagreement of each person, Cohen's kappa (Fleiss' for more than two
people) overall and by class, and on how many images they disagree. Several people answer the same
image with `fewlabel label --repeats 2`; the review page of `fewlabel label` settles what they
disagree on.

\b
Examples:
  fewlabel answers agreement photos --labels labels.csv
  fewlabel answers agreement photos --labels labels.csv --json
"""


_Format = Literal["csv", "folders", "label-studio", "coco"]
_Consensus = Literal["majority", "crowd"]
_Labels = Annotated[
    str,
    options.option(
        "--labels",
        "FILE",
        f"Label table beside which the answers are; by default the one that {PROJECT} names, else "
        f"{_TABLE}.",
    ),
]
_Url = Annotated[
    str | None,
    options.option("--url", "URL", "The answers are in PostgreSQL, postgresql://USER@HOST/NAME."),
]

app = group("answers", HELP)


@app.command("export", help=EXPORT_HELP)
def export(
    ctx: typer.Context,
    out: Annotated[str, options.option("--out", "FILE", "File to write; a folder for folders.")],
    images: options.ImagesOrProject = None,
    labels: _Labels = _TABLE,
    format: Annotated[
        _Format,
        options.one_of("--format", _Format, "Form to write."),
    ] = "csv",
    link: Annotated[
        bool, options.flag("--link", "In folders, make hard links where the disk allows.")
    ] = False,
    consensus: Annotated[
        _Consensus | None,
        options.one_of("--consensus", _Consensus, "What to write where people disagree."),
    ] = None,
    url: _Url = None,
    force: Annotated[bool, options.flag("--force", "Replace a file.")] = False,
    features: options.Features = "auto",
    weights: options.Weights = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    cache: options.Cache = True,
    as_json: options.Json = False,
) -> None:
    """Write the labels in the form of another tool."""
    given = _given(ctx, labels)
    _check_out(out, format, link=link, force=force)
    is_kept = _is_kept(given.labels, url, needed=consensus is not None)
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(given.images, progress)
        from fewlabel.labelling.exchange import export_labels
        from fewlabel.labelling.store import open_store

        instead: dict[int, tuple[str, ...]] = {}
        if is_kept:
            with open_store(image_set, given.labels, url) as store:
                if consensus is not None:
                    instead = _consensus(store, consensus, given, device, cache, progress)
                found = store.labels(instead)
        else:
            found = open_labels(given.labels, image_set, min_classes=0)
        export_labels(found, out, format, images=image_set, link=link)
    result = {"out": out, "format": format, "n_labeled": found.n_labeled}
    result |= {"n_consensus": len(instead)} if consensus is not None else {}
    show(result, _show_export, as_json=as_json)


@app.command("import", help=IMPORT_HELP)
def import_(
    ctx: typer.Context,
    images: options.Images,
    file: Annotated[str, options.argument("FILE", "Table, JSON, or folder with labels.")],
    labels: _Labels = _TABLE,
    several: Annotated[
        bool, options.flag("--several", "An image may have several labels, or none.")
    ] = False,
    url: _Url = None,
    as_json: options.Json = False,
) -> None:
    """Add labels from another tool."""
    given = _given(ctx, labels)
    if not Path(file).exists():
        raise UsageError(f"{file} does not exist: give a label table, JSON, or a folder.")
    _check_suffix(given.labels, "a CSV table", ".csv")
    check_place(Path(given.labels))
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(given.images, progress)
        from fewlabel.labelling.exchange import import_labels
        from fewlabel.labelling.store import open_store

        with open_store(image_set, given.labels, url, several) as store:
            n_added, n_labeled = import_labels(store, file), len(store.current())
    result = {"labels": given.labels, "n_added": n_added, "n_labeled": n_labeled}
    show(result | {"n_images": len(image_set)}, _show_import, as_json=as_json)


@app.command("agreement", help=AGREEMENT_HELP)
def agreement(
    ctx: typer.Context,
    images: options.ImagesOrProject = None,
    labels: _Labels = _TABLE,
    url: _Url = None,
    as_json: options.Json = False,
) -> None:
    """See how far people agree."""
    given = _given(ctx, labels)
    _is_kept(given.labels, url, needed=True)
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(given.images, progress)
        from fewlabel.labelling.people import _Standing
        from fewlabel.labelling.store import open_store

        with open_store(image_set, given.labels, url) as store:
            found = asdict(_Standing(store).summary())
    show(found, _show_agreement, as_json=as_json)


def _given(ctx: typer.Context, labels: str) -> Options:
    """Return what a command works with, also from the project file."""
    check_installed("sqlalchemy", "`fewlabel answers`")
    near = labels if is_typed(ctx, "labels") else None
    names = [name for name in Options._fields if name in ctx.params]
    given = with_project(ctx, near, names=names)
    if given.labels == FOLDERS:
        raise UsageError("The answers are beside a table: give --labels the name of a file.")
    return given


def _check_out(out: str, form: _Format, *, link: bool, force: bool) -> None:
    """Raise before any work if nothing can be written there."""
    if form == FOLDERS:
        _check_suffix(out, "a folder")
        if Path(out).exists():
            raise UsageError(f"{out} exists already: give the name of a new folder with --out.")
        check_place(Path(out))
        return
    what = ("a CSV table", ".csv") if form == "csv" else ("JSON", ".json")
    check_new_file(out, *what, force=force, holds="your labels")
    if link:
        raise UsageError("--link is for --format folders: no other form holds images.")


def _is_kept(table: str, url: str | None, *, needed: bool) -> bool:
    """Return whether there are answers beside a table, or raise if they are needed."""
    found = url is not None or Path(table).with_suffix(".answers.db").exists()
    if needed and not found:
        raise UsageError(
            f"There are no answers beside {table}: give the label table of `fewlabel label`, or "
            "--url."
        )
    return found


def _consensus(
    store: _Store, how: _Consensus, given: Options, device: Any, cache: bool, progress: ProgressBars
) -> dict[int, tuple[str, ...]]:
    """Return labels where people disagree; CROWDLAB asks a model that is fitted for it."""
    from fewlabel.labelling.people import _Standing

    standing = _Standing(store)
    found = standing.consensus()
    if how == "majority" or not found:
        return found
    check_installed("cleanlab", "--consensus crowd")
    from fewlabel.labelling.agreement import _OutOfFold
    from fewlabel.labelling.learner import LearnerSettings, _Learner

    fit = given.fit_settings(device, cache=cache)
    model = _Learner(store.images, LearnerSettings(fit=fit), progress).fit(store.labels())
    tested = _OutOfFold(model.tested, model.tested_proba, model.classes)
    return standing.consensus(tested)


def _show_export(found: dict[str, Any]) -> None:
    more = f", {found['n_consensus']:,} of them by consensus" if "n_consensus" in found else ""
    say(f"Wrote {_counted(found['n_labeled'], 'label')}{more}: {one_line(found['out'])}")


def _show_import(found: dict[str, Any]) -> None:
    n = f"{found['n_labeled']:,} of {_counted(found['n_images'])}"
    added = _counted(found["n_added"], "label")
    say(f"Added {added} to {one_line(found['labels'])}: {n}.")


def _show_agreement(found: dict[str, Any]) -> None:
    rows = [
        (
            one_line(a["name"]) or "(no name)",
            *(f"{a[key]:,}" for key in ("n", "n_skipped", "n_shared")),
            "" if a["a_minute"] is None else f"{a['a_minute']:.0f}",
            percent(a["differs"]),
        )
        for a in found["annotators"]
    ]
    columns = ("annotator", "answers", "skipped", "shared", "a minute", "others differ")
    show_table(columns, rows, right=(1, 2, 3, 4, 5))
    say()
    if not found["n_shared"]:
        say("No image has answers of two people: `fewlabel label --repeats 2` asks for them.")
        return
    say(f"{found['n_shared']:,} images have answers of several people: {_kappa_text(found)}")
    say()
    kappas = [(one_line(name), _kappa(k)) for name, k in found["by_class"]]
    show_table(("class", "kappa"), kappas, right=(1,))
    say()
    n = f"{found['n_disputed']:,}, and {found['n_settled']:,} more that a review has settled"
    say(f"Images on which they disagree: {n}. {found['rule']}")


def _kappa_text(found: dict[str, Any]) -> str:
    agreed = f"{percent(found['agreed'])} of the pairs of answers are the same."
    return f"{agreed} {found['method']}'s kappa is {_kappa(found['kappa'])}. {found['reading']}"


def _kappa(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
