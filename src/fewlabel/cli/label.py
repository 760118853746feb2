"""``fewlabel label``: the labelling page."""

import contextlib
import gc
import shlex
from pathlib import Path
from typing import Annotated

import typer

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, note, one_line, open_page, say
from fewlabel.cli.inputs import FOLDERS, check_place, warn_of_skipped
from fewlabel.cli.project import Options, is_typed, with_project
from fewlabel.errors import UsageError
from fewlabel.extras import check_installed
from fewlabel.files import _check_suffix
from fewlabel.runs.project import PROJECT, _write_project
from fewlabel.texts import _counted

_TABLE = "labels.csv"

HELP = """Label images in the browser, while the model learns.

Opens a page that shows the most useful images first, takes each answer with one key, and writes
it at once to a table for `fewlabel fit`. After every few answers a model learns in the background
and suggests labels; the page shows how accurate it is, and confirms whole groups of look-alikes
with one key. Answers are kept beside the table, in a file such as labels.answers.db, with who
gave them and when. Only this machine can open the page unless --host says otherwise; then the
printed address holds a token. Ctrl-C ends; the same command goes on.

\b
Examples:
  fewlabel label photos --labels labels.csv
  fewlabel label photos --labels labels.csv --classes cat,dog,neither --target 90%
  fewlabel label photos --labels labels.csv --host 0.0.0.0 --repeats 2
"""


def label(
    ctx: typer.Context,
    images: options.ImagesOrProject = None,
    labels: Annotated[
        str,
        options.option(
            "--labels",
            "FILE",
            "Label table to write, and to go on from if it exists; by default the one that "
            f"{PROJECT} names, else {_TABLE}.",
        ),
    ] = _TABLE,
    classes: Annotated[
        str | None,
        options.option("--classes", "A,B,…", "Classes to begin with, in the order of their keys."),
    ] = None,
    several: Annotated[
        bool, options.flag("--several", "An image may have several labels, or none.")
    ] = False,
    target: Annotated[
        float | None,
        options.fraction("--target", "Accuracy at which to say that it is enough.", is_open=True),
    ] = None,
    suggestions: Annotated[
        bool,
        options.flag(
            "--suggestions/--no-suggestions",
            "Begin with the model's suggestions shown; the page can switch them.",
        ),
    ] = True,
    annotator: Annotated[
        str | None,
        options.option("--annotator", "NAME", "Who labels, where the page gives no name."),
    ] = None,
    repeats: Annotated[
        int | None,
        options.number(
            "--repeats",
            "How many people are to label each image; by default as before, at first one.",
            least=1,
        ),
    ] = None,
    url: Annotated[
        str | None,
        options.option(
            "--url",
            "URL",
            "Keep the answers in PostgreSQL, postgresql://USER@HOST/NAME, for several machines.",
        ),
    ] = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 8765,
    token: options.Token = None,
    browser: Annotated[
        bool, options.flag("--browser/--no-browser", "Open the page in the browser.")
    ] = True,
    features: options.Features = "auto",
    weights: options.Weights = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    cache: options.Cache = True,
) -> None:
    """Serve the page until Ctrl-C."""
    for package in ("fastapi", "uvicorn", "sqlalchemy", "alembic"):
        check_installed(package, "`fewlabel label`")
    near = labels if is_typed(ctx, "labels") else None
    given = with_project(ctx, near, names=Options._fields)
    if given.labels == FOLDERS:
        raise UsageError("`fewlabel label` writes a table: give --labels the name of a file.")
    _check_suffix(given.labels, "a CSV table", ".csv")
    check_place(Path(given.labels))
    from fewlabel.data import load_images
    from fewlabel.web.security import _token_for
    from fewlabel.web.server import _listen, _serve, _url_of, _Waiting

    token = _token_for(host, token)
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(_listen(host, port, or_any=not is_typed(ctx, "port")))
        address = _url_of(listening, host, token)

        def announce() -> None:
            note(f"The page at {address} shows how far that is.")
            if browser:
                open_page(address)

        # Of 100,000 photos the objects are walked through time and again, and none is garbage.
        gc.disable()
        opened.callback(gc.enable)
        with _Waiting(listening, host, token, announce) as waiting, ProgressBars() as progress:

            def read(done: int, total: int) -> None:
                progress("reading images", done, total)
                waiting(done, total)

            image_set = load_images(given.images, progress=read)
        warn_of_skipped(image_set.skipped)
        # Imported late: a mistake in the images is named before anything else is loaded.
        from fewlabel.labelling.messages import LearnerSettings
        from fewlabel.labelling.queue import _Queue
        from fewlabel.labelling.refit import _Refitter
        from fewlabel.labelling.session import _Session
        from fewlabel.labelling.store import open_store
        from fewlabel.web.app import _create_app

        made = open_store(image_set, given.labels, url, several, repeats)
        store = opened.enter_context(made)
        for name in classes.split(",") if classes else ():
            store.add_class(name)
        settings = given.fit_settings(device, cache=cache)
        queue = _Queue(store, given.seed)
        refitter = _Refitter(given.images, store, queue, LearnerSettings(fit=settings))
        _write_project(Path(given.labels).parent, given._asdict())
        words = [given.images, "--labels", given.labels, "--out", "run"]
        command = f"fewlabel fit {shlex.join(words)}{given.flags}"
        session = _Session(
            store,
            queue,
            refitter,
            target=target,
            annotator=annotator or "",
            suggests=suggestions,
            table=given.labels,
            command=command,
        )
        say(f"{_counted(len(image_set))}, {len(store.current()):,} of them labeled.")
        say(f"The page is at {address} (Ctrl-C ends)")
        refitter.start()
        gc.freeze()
        gc.enable()
        try:
            app = _create_app(session, host=host, token=token)
            show = None if waiting.has_begun or not browser else lambda: open_page(address)
            _serve(app, listening, ready=show)
        finally:
            refitter.close()
        n = f"{len(store.current()):,} of {_counted(len(image_set))}"
        say(f"Labeled in {one_line(given.labels)}: {n}.")
    say("Next:")
    say(f"  {command}")
