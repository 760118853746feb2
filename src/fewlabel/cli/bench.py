"""``fewlabel bench``: accuracy, seconds and memory on a benchmark."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fewlabel.cli import options
from fewlabel.cli.console import (
    ProgressBars,
    note,
    one_line,
    say,
    show_json,
    show_table,
    warnings_as_lines,
)
from fewlabel.cli.inputs import check_new_file
from fewlabel.errors import FewLabelError
from fewlabel.texts import _percent_text

HELP = """Measure accuracy, seconds and memory on a benchmark.

Makes one run for each number of labels and each seed: labels are chosen among the training
images and looked up, the rest stays unlabeled, and the test images are never seen before the
end. Each run has a process of its own, so that its peak of memory is its own. With --json, one
JSON object a run is printed as it ends; otherwise a table of means and standard deviations
over the seeds. The confidence is the mean on the test images, to be compared with the accuracy,
and ECE is its expected calibration error. The photos of grocery and eurosat are pooled, and a
stratified quarter of them is the test.

\b
Examples:
  fewlabel bench digits --labels 20,50,100 --seeds 0,1,2
  fewlabel bench fashion-mnist --labels 500 --selection random --json
  fewlabel bench mnist --labels 100 --images 10000 --out results.jsonl
"""

_FIGURES = ("accuracy", "supervised_accuracy", "mean_confidence", "expected_calibration_error")


def bench(
    dataset: Annotated[str, options.argument("DATASET", "Name from `fewlabel data list`.")],
    labels: Annotated[str, options.option("--labels", "N[,N...]", "Numbers of labeled images.")],
    seeds: Annotated[str, options.option("--seeds", "N[,N...]", "Seeds.")] = "0,1,2",
    selection: options.Selection = None,
    method: options.Method = "auto",
    images: Annotated[
        int | None, options.number("--images", "Use only so many training images.", least=2)
    ] = None,
    features: options.Features = "auto",
    weights: options.Weights = None,
    device: options.Device = "auto",
    time: options.Time = None,
    out: Annotated[
        str | None,
        options.option("--out", "FILE", "Append each run to this file, one JSON object a line."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run the benchmark and print the records."""
    settings = {
        "selection": selection,
        "method": method,
        "n_images": images,
        "features": features,
        "weights": weights,
        "device": device,
        "time_budget": time,
    }
    runs = [
        settings | {"n_labeled": n_labeled, "seed": seed}
        for n_labeled in options.whole_numbers(labels, least=1, option="--labels")
        for seed in options.seeds_of(seeds)
    ]
    if out is not None:
        # Runs are appended: what the file holds already stays.
        check_new_file(out, "lines of JSON", ".jsonl", ".ndjson", ".json", force=True, holds="runs")
        if Path(out).exists():
            # A file that cannot be appended to is refused before the first run, not after it.
            Path(out).open("ab").close()
    records = []
    try:
        with ProgressBars(enabled=not as_json) as progress:
            for record in _records(dataset, runs, progress):
                records.append(record)
                if out is not None:
                    _append(out, record)
                if as_json:
                    show_json(record, indent=None)
    except KeyboardInterrupt as stop:
        if out is not None and records:
            stop.add_note(f"{len(records)} of {len(runs)} runs ended and are in {out}.")
        raise
    if not as_json:
        _print(records, out)


def _records(
    dataset: str, runs: list[dict[str, Any]], progress: ProgressBars
) -> Iterator[dict[str, Any]]:
    """Run one after the other, each in a fresh process."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # A fork would inherit the threads' locks and the peak of memory.
    context = multiprocessing.get_context("spawn")
    for number, settings in enumerate(runs):
        progress(f"{dataset}: runs", number, len(runs))
        with ProcessPoolExecutor(1, mp_context=context, initializer=_leave_signals) as pool:
            try:
                record = pool.submit(_one_run, dataset, settings).result()
            except BrokenProcessPool as error:
                raise FewLabelError(
                    f"The run with {settings['n_labeled']} labels and seed {settings['seed']} was "
                    "killed, most likely since memory ran out: try --images with fewer images."
                ) from error
            except KeyboardInterrupt:
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
        yield record


def _leave_signals() -> None:
    import signal

    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _one_run(dataset: str, settings: dict[str, Any]) -> dict[str, Any]:
    from fewlabel.runs.bench import _run_bench

    with warnings_as_lines():
        return _run_bench(dataset, **settings)


def _append(out: str, record: dict[str, Any]) -> None:
    """Append one line in one write, so that two benchmarks may share a file."""
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(record, allow_nan=False) + "\n").encode()
    with path.open("ab", buffering=0) as file:
        file.write(line)
        # A run may have taken an hour: it must outlast a crash of the machine.
        os.fsync(file.fileno())


def _print(records: list[dict[str, Any]], out: str | None) -> None:
    import statistics

    rows = []
    for n_labeled in dict.fromkeys(record["n_labeled"] for record in records):
        group = [record for record in records if record["n_labeled"] == n_labeled]
        cells = [_spread([record[name] for record in group]) for name in _FIGURES]
        total = statistics.mean(record["seconds"]["total"] for record in group)
        memory = max(record["peak_rss_mb"] for record in group)
        rows.append((f"{n_labeled:,}", *cells, f"{total:.1f}", f"{memory:,.0f}"))
    first, how = records[0], " or ".join(dict.fromkeys(record["selection"] for record in records))
    say(
        f"{first['dataset']}, labels chosen by {how}, method {first['method']}, "
        f"{len({record['seed'] for record in records})} seeds (mean ± sd):"
    )
    # Short ones: with spreads, the table is as wide as a terminal.
    figures = ("accuracy %", "baseline %", "confidence %", "ECE %")
    headings = ("labels", *figures, "seconds", "peak MB")
    show_table(headings, rows, right=range(len(headings)))
    if out is not None:
        note(f"{len(records)} records were appended to {one_line(out)}.")


def _spread(values: list[float]) -> str:
    import statistics

    mean = _percent_text(statistics.mean(values)).removesuffix(" %")
    return f"{mean} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else mean
