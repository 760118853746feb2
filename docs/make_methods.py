"""Write into ``docs/methods`` and ``docs/comparison.md`` what was measured: ``make docs``.

Names and summaries come from the registries, figures from ``benchmarks/results`` and the studies'
``ours.csv``, and from nowhere else.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import make_peers
from records import RESULTS, Rows, figure, groups, records, spread, table

from fewlabel import __all__ as public
from fewlabel.cluster.strategies import find_strategy, strategy_names
from fewlabel.evaluate import candidate_names
from fewlabel.evaluate.registry import REGISTRY
from fewlabel.graph.predictor import METHODS
from fewlabel.semisupervised import __all__ as more_public

DOCS = Path(__file__).parent
STUDIES = DOCS.parent / "experiments" / "fewlabel_experiments"
BLOCK = re.compile(r"<!-- `make docs` writes (.*?) -->\n.*?<!-- to here -->", re.DOTALL)
SHOWN = ("representatives", "random")
ESTIMATORS = {
    "graph": "GraphPropagation",
    "self-training": "SelfTraining",
    "consistency": "ConsistencyTraining",
    "experts": "BinaryExperts",
    "teacher-student": "TeacherStudent",
    "clusters": "ClusterPropagation",
}
# Test accuracy of Fashion-MNIST by the number of labels; sources in docs/comparison.md.
PUBLISHED = {
    50: "66.3 (k-means, 50 clusters, representatives labeled)",
    100: "75.2 (Poisson learning); 70.5 (100 clusters)",
    500: "78.5 (logistic regression, random labels)",
    2_000: "81.5 (k-means, 2,000 clusters)",
}


def _of_graph() -> dict[tuple[Any, ...], Rows]:
    rows = [row for row in records("methods.jsonl") if "selection" in row]
    return groups(rows, "dataset", "n_labels", "selection")


def candidates(name: str = "") -> str:
    """Write how a candidate does beside the baseline and the best, or how all of them do."""
    shown = [name, *(m for m in ("supervised",) if m != name)] if name else list(METHODS)
    heads = ["data", "labels", "chosen by", *(f"`{m}`" for m in shown)]
    lines = []
    for (data, n, how), rows in _of_graph().items():
        if how not in SHOWN:
            continue
        means = {m: mean(row[m] for row in rows) for m in METHODS}
        best = max(means, key=means.__getitem__)
        cells = [spread([row[m] for row in rows]) for m in shown]
        cells = [f"**{c}**" if m == best else c for m, c in zip(shown, cells, strict=True)]
        lines.append([data, str(n), how, *cells])
        if name:
            lines[-1].append(f"{100 * means[best]:.1f} (`{best}`)")
    return table([*heads, *(["best of five"] if name else [])], lines)


def strategies() -> str:
    """Write what the method that is kept makes of the labels of each strategy."""
    names = strategy_names()
    lines = []
    every = [row for rows in _of_graph().values() for row in rows]
    for (data, n), rows in groups(every, "dataset", "n_labels").items():
        kept = {
            name: [row[row["kept"]] for row in rows if row["selection"] == name] for name in names
        }
        best = max(names, key=lambda name: mean(kept[name]))
        cells = [f"**{spread(kept[m])}**" if m == best else spread(kept[m]) for m in names]
        lines.append([data, str(n), *cells])
    return table(["data", "labels", *(f"`{name}`" for name in names)], lines)


def networks() -> str:
    """Write what each method that trains a network reaches in the same time."""
    rows = [row for row in records("methods.jsonl") if "method" in row]
    lines = []
    for (data, n, name), runs in groups(rows, "dataset", "n_labels", "method").items():
        figures = [spread([run[m] for run in runs]) for m in ("accuracy", "main", "supervised")]
        count = f"{mean(run['n_networks'] for run in runs):.0f}"
        seconds = f"{mean(run['seconds'] for run in runs):.0f}"
        lines.append([data, str(n), f"`{name}`", *figures, count, seconds])
    heads = ["data", "labels", "method", "accuracy %", "without networks %", "baseline %"]
    return table([*heads, "networks", "s"], lines)


def longer() -> str:
    """Write what half an hour of networks brought."""
    figures = ("accuracy", "main_accuracy", "supervised_accuracy")
    lines = [
        [data, f"{int(n):,}", *(spread([run[key] for run in runs]) for key in figures)]
        for (data, n), runs in groups(records("half_hour.jsonl"), "dataset", "n_labeled").items()
    ]
    return table(["data", "labels", "with networks %", "without %", "baseline %"], lines)


def rare() -> str:
    """Write what selection does to classes of very different sizes."""
    rows = [row for row in records("methods.jsonl") if "rare" in row]
    keys = ("accuracy", "balanced_accuracy", "recall_of_three_rarest")
    lines = [
        [str(n), f"`{how}`", f"{mean(run['n_classes'] for run in runs):.1f} of 10"]
        + [spread([run[key] for run in runs]) for key in keys]
        for (n, how), runs in groups(rows, "n_labels", "rare").items()
    ]
    heads = ["labels", "chosen by", "classes found", "accuracy %", "mean recall %"]
    return table([*heads, "of the three rarest %"], lines)


def study(name: str, *rows: str) -> str:
    """Write rows of a study, by the beginning of their names."""
    with (STUDIES / name / "ours.csv").open(encoding="utf-8", newline="") as file:
        found = [r for r in csv.DictReader(file) if re.match("|".join(rows), r["row"])]
    lines = [
        [
            row["setting"],
            row["model"],
            f"{int(row['n_labeled']):,}",
            figure(row["accuracy_mean"], row["accuracy_sd"]),
            row["published"] or "–",
        ]
        for row in found
    ]
    return table(["setting", "model", "labels", "accuracy %", "published %"], lines)


def speed() -> str:
    """Write how long nearest neighbors and k-means take beside other libraries."""
    lines = []
    for file in ("neighbors.json", "kmeans.json"):
        found = json.loads((RESULTS / file).read_text("utf-8"))
        for name, row in found["median"].items():
            right = f"recall {row['recall']:.3f}" if "recall" in row else "same inertia"
            lines.append([found["task"], name, f"{row['seconds']:.1f}", right])
    return table(["task", "library", "s, median of three", "result"], lines)


def published() -> str:
    """Write the accuracies of the README, with the seeds on which nothing was tuned."""
    lines = []
    for (data, n, how), rows in sorted(
        groups(records("accuracy.jsonl"), "dataset", "n_labeled", "selection").items()
    ):
        ours, baseline = (
            spread([row[key] for row in rows]) for key in ("accuracy", "supervised_accuracy")
        )
        compares = data == "fashion-mnist" and how != "random"
        theirs = PUBLISHED.get(n, "–") if compares else "–"
        lines.append([data, f"{n:,}", how, theirs, f"**{ours}**", baseline])
    heads = ["data", "labels", "chosen by", "published", "fewlabel", "supervised baseline"]
    return table(heads, lines)


def facts(name: str) -> str:
    """Write what the registry says of a method or a strategy."""
    if name in strategy_names():
        uses = [f"`fewlabel select photos --budget 50 --method {name} --out picks.csv`"]
        summary = find_strategy(name).summary
    else:
        kinds = " or ".join(kind.name for kind in REGISTRY[name].tasks)
        uses = [f"`fewlabel fit photos --labels labels.csv --method {name} --out run`, {kinds}"]
        summary = REGISTRY[name].summary
    if name in ESTIMATORS:
        uses.append(python(name))
    return "\n".join([f"{summary}.", "", *(f"- {use}" for use in uses)])


def python(name: str) -> str:
    """Write where the estimator of a method is described."""
    estimator = ESTIMATORS[name]
    assert estimator in (*public, *more_public)
    return f"in Python [`{estimator}`](../reference/api.md#{estimator.lower()})"


def overview() -> str:
    """Write all methods and strategies with their pages."""
    methods = [[f"[`{n}`]({n}.md)", REGISTRY[n].summary] for n in candidate_names()]
    chosen = [[f"[`{n}`]({n}.md)", find_strategy(n).summary] for n in strategy_names()]
    return (
        table(["`fit --method`", "learns by"], methods)
        + "\n\n"
        + table(["`select --method`", "chooses"], chosen)
    )


WRITERS: dict[str, Callable[..., str]] = make_peers.WRITERS | {
    writer.__name__: writer
    for writer in (
        candidates,
        facts,
        longer,
        networks,
        overview,
        published,
        python,
        rare,
        speed,
        strategies,
        study,
    )
}


def pages() -> list[Path]:
    """Return the pages that hold such blocks."""
    return [path for path in sorted(DOCS.rglob("*.md")) if BLOCK.search(path.read_text("utf-8"))]


def renewed(text: str) -> str:
    """Return a page with all of its blocks written anew."""

    def block(found: re.Match[str]) -> str:
        name, *arguments = found[1].split()
        body = WRITERS[name](*arguments)
        return f"<!-- `make docs` writes {found[1]} -->\n\n{body}\n\n<!-- to here -->"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    for path in pages():
        path.write_text(renewed(path.read_text("utf-8")), encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
