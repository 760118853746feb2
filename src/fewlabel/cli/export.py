"""``fewlabel export``: a model as a file that runs without fewlabel."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, one_line, percent, say, show
from fewlabel.cli.inputs import (
    check_labels_exist,
    check_new_file,
    check_place,
    open_images,
    open_truth,
)
from fewlabel.errors import UsageError
from fewlabel.extras import check_installed
from fewlabel.files import _check_new_folder

HELP = """Write a model as a file that runs without fewlabel.

`--onnx` writes one file for ONNX Runtime, which runs on servers, telephones and in browsers: it
takes images as they are decoded, of any size, and gives calibrated probabilities. It is compared
with the model on images of the run, in several sizes, before it is written. Needs the extra `onnx`.

A model that spreads labels over a graph of all images keeps it in the file, up to 10,000 images.
With more, or with `--no-graph`, the file predicts by the best candidate that needs none; what that
costs in accuracy is printed.

`--web` writes a folder with a page that classifies the photos one drops on it, in the browser: put
it on any web server. What runs the model there is fetched once from the npm registry.

\b
Examples:
  fewlabel export run --onnx model.onnx
  fewlabel export run --onnx model.onnx --int8
  fewlabel export run --web page
"""


def export(
    run: options.Run,
    onnx: Annotated[str | None, options.option("--onnx", "FILE", "ONNX file to write.")] = None,
    web: Annotated[
        str | None, options.option("--web", "DIR", "Folder to make, with a page for the browser.")
    ] = None,
    runtime: Annotated[
        str | None,
        options.option(
            "--runtime",
            "FILE",
            "Archive of onnxruntime-web for --web, where the npm registry cannot be reached.",
        ),
    ] = None,
    images: Annotated[
        str | None,
        options.option(
            "--images",
            "IMAGES",
            "Images to check the file on; by default those that the run was fitted on.",
        ),
    ] = None,
    graph: Annotated[
        bool | None,
        options.flag(
            "--graph/--no-graph",
            "Keep the graph in the file, or predict without it; by default up to 10,000 images.",
        ),
    ] = None,
    int8: Annotated[
        bool,
        options.flag("--int8", "Write FILE.int8.onnx, too: smaller and faster, and less exact."),
    ] = False,
    labels: Annotated[
        str | None,
        options.option(
            "--labels",
            "FILE",
            "Labels that --int8 is measured on; by default those that the run was fitted on.",
        ),
    ] = None,
    force: Annotated[bool, options.flag("--force", "Replace an existing file or page.")] = False,
    as_json: options.Json = False,
) -> None:
    """Export, check and write."""
    if onnx is None and web is None:
        raise UsageError("Nothing is asked for: add --onnx FILE or --web DIR.")
    if onnx is not None:
        rule: dict[str, Any] = {"force": force, "holds": "another model", "option": "--onnx"}
        for path in [Path(onnx), *([Path(onnx).with_suffix(".int8.onnx")] if int8 else [])]:
            check_new_file(str(path), "an ONNX file", ".onnx", **rule)
    if int8 and onnx is None:
        raise UsageError("--int8 is for a file: add --onnx FILE.")
    if labels is not None:
        check_labels_exist(labels)
    if web is not None:
        _check_new_folder(web, force=force, option="--web")
        check_place(Path(web), "--web")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        check_installed(package, "`fewlabel export`")
    with ProgressBars(enabled=not as_json) as progress:
        from fewlabel.runs.model import load_run

        model = load_run(run)
        if images is None or (int8 and labels is None):
            of_images, of_labels = _recorded(Path(run))
            images, labels = images or of_images, labels or of_labels
        if int8 and not labels:
            raise UsageError("The run was given its labels in Python: give --labels FILE.")
        image_set = open_images(images, progress, scale=model.scale)
        truth = open_truth(labels, image_set, model) if int8 and labels else None
        from fewlabel.export import export_onnx, export_page

        given: dict[str, Any] = {"graph": graph, "progress": progress}
        file = None
        if onnx is not None:
            file = export_onnx(model, onnx, image_set, labels=truth, **given)
        if web is not None:
            given |= {"name": Path(run).resolve().name, "runtime": runtime, "force": force}
            page = export_page(model, web, image_set, exported=file, **given)
    found = vars(file or page) | ({} if web is None else {"page": web})
    show(found, _print, as_json=as_json)


def _recorded(run: Path) -> tuple[str, str]:
    """Return the images and labels that a run was fitted on."""
    from fewlabel.runs.project import RECORD, _resolve
    from fewlabel.runs.rerun import _read_record

    if not (run / RECORD).is_file():
        raise UsageError(
            f"{run} does not say which images it was fitted on (it holds no {RECORD}): give some "
            "with --images, and their labels with --labels for --int8."
        )
    record = _read_record(run)
    images = _resolve(run, record, record["data"]["images"]["source"])
    return images, _resolve(run, record, record["labels"])


def _of_graph(method: str, metric: str, graph: dict[str, Any]) -> str:
    """Return whether the graph that a method needs is in the file, and why, and what else gives."""
    text, n = f"The method {method} needs the graph of all images", f"{graph['n_images']:,}"
    kept, other = graph["kept"], _without_graph(metric, graph)
    if kept:
        text += f": that of its {n} images is in the file, which predicts as the model does. "
        return text + (f"With --no-graph it is replaced by {other}" if other else "")
    text += f", and is replaced by {other} "
    if graph["n_images"] > graph["max_images"]:
        return f"{text}The graph has {n} images; a file holds at most {graph['max_images']:,}."
    return f"{text}--no-graph asks for that: without it, the graph goes into the file."


def _without_graph(metric: str, graph: dict[str, Any]) -> str:
    """Return the name of what predicts without the graph, and what that costs, as a sentence."""
    if "method" not in graph:
        return ""
    name = {"network": "the last network by itself"}.get(graph["method"], graph["method"])
    if graph["difference"] is None:
        return f"{name}: no label could be tested, so what that costs is not known."
    return (
        f"{name}: {metric} {100 * graph['difference']:+.1f} points (± {100 * graph['se']:.1f}) on "
        f"{graph['n']:,} labels that neither saw."
    )


def _print(found: dict[str, Any]) -> None:
    about, graph = found["about"], found["graph"]
    if graph is not None:
        method = about["method"] if graph["kept"] else about["instead_of"]["method"]
        say(_of_graph(method, about["metric"], graph))
    say(
        f"Largest difference from the model on {found['n_images']:,} images: "
        f"{found['difference']:.1g} in probability."
    )
    if found["difference_here"] > 10 * max(found["difference"], 1e-6):
        say(
            "On this machine `predict` computes with shorter numbers (bfloat16) and differs from "
            f"the file by up to {found['difference_here']:.1g} on them; with "
            "FEWLABEL_MATMUL=float32 it does not."
        )
    say(f"Written to {one_line(found['file'])}: {_cost(found)}.")
    if (int8 := found["int8"]) is not None:
        say(
            f"In eight bits: {one_line(int8['file'])}: {_cost(int8)}. Of {int8['n']:,} labeled "
            f"images {int8['n_changed']:,} are predicted otherwise; {about['metric']} "
            f"{percent(int8['accuracy'])} instead of {percent(int8['accuracy_before'])}."
        )
    if page := found.get("page"):
        say(f"The page is in {one_line(page)}; to look at it:")
        say(f"  {shlex.join(['python', '-m', 'http.server', '-b', '127.0.0.1', '-d', page])}")
        say("and open http://127.0.0.1:8000 in the browser.")


def _cost(file: dict[str, Any]) -> str:
    return f"{file['n_bytes'] / 1e6:.1f} MB, {file['milliseconds']:.2f} ms an image on one thread"
