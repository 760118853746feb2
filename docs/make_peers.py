"""Write into ``docs/peers.md`` what `benchmarks/peers/run.py` measured: ``make docs``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from matplotlib.axes import Axes
from records import Rows, groups, records, spread, table

from fewlabel_experiments import figures

DOCS = Path(__file__).parent
OURS = "fewlabel"
LEARNER = (OURS, "FewLabelClassifier")
# How far a peer may be behind to be compared in speed, as a share.
CLOSE = 0.02
NAMES = {
    "sklearn": "scikit-learn",
    "graphlearning": "GraphLearning",
    "modssc": "ModSSC",
    "skactiveml": "scikit-activeml",
    "faiss": "faiss-cpu",
    "pynndescent": "PyNNDescent",
}
STYLES = {
    OURS: (figures.GREEN, "o"),
    "sklearn": (figures.BLUE, "s"),
    "graphlearning": (figures.RED, "^"),
    "modssc": (figures.PURPLE, "D"),
    "skactiveml": (figures.YELLOW, "v"),
}
CHOSEN = {"logistic regression": "accuracy_logistic", "fewlabel": "accuracy_fewlabel"}


def _rows(kind: str) -> Rows:
    """Read what was measured, peer by peer: a run that goes on writes in another order."""
    rows = [row for row in records("peers.jsonl") if row["kind"] == kind]
    return sorted(rows, key=lambda row: [OURS, *NAMES].index(row["peer"]))


def _name(peer: str, method: str) -> str:
    return f"{NAMES.get(peer, peer)} `{method}`"


def _label(peer: str, method: str) -> str:
    return f"{NAMES.get(peer, peer)}: {method}"


def _measured(rows: Rows) -> Rows:
    return [row for row in rows if "failure" not in row]


def _failure(rows: Rows) -> str:
    return str(next(row["failure"] for row in rows if "failure" in row))


def _took(rows: Rows) -> str:
    seconds = median(row["seconds"] for row in rows)
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _cell(rows: Rows, key: str, best: float) -> str:
    """Write accuracy, bold where none is better, and seconds; or the failure."""
    done = _measured(rows)
    if not done:
        return _failure(rows) if rows else "–"
    share = mean(row[key] for row in done)
    text = spread([row[key] for row in done])
    missing = f" ({len(done)} of {len(rows)})" if len(done) < len(rows) else ""
    return f"{f'**{text}**' if share >= best else text}{missing}; {_took(done)}"


def _best(rows: Rows, key: str) -> float:
    by_method = groups(_measured(rows), "peer", "method").values()
    return max((mean(row[key] for row in each) for each in by_method), default=0.0)


def _contest(rows: Rows, key: str, n_pool: int) -> str:
    rows = [row for row in rows if row["n_pool"] == n_pool]
    budgets = sorted({row["n_labels"] for row in rows})
    best = {n: _best([row for row in rows if row["n_labels"] == n], key) for n in budgets}
    lines = []
    for (peer, method), own in groups(rows, "peer", "method").items():
        cells = [_cell([r for r in own if r["n_labels"] == n], key, best[n]) for n in budgets]
        memory = max((row["peak_rss_mb"] for row in _measured(own)), default=None)
        lines.append([_name(peer, method), *cells, f"{memory:,.0f}" if memory else "–"])
    heads = ["", *(f"{n:,} labels" for n in budgets), "peak MB"]
    return table(heads, lines)


def _by_pool(rows: Rows, data: str, write: Callable[[Rows, int], str]) -> str:
    rows = [row for row in rows if row["data"] == data]
    parts = []
    if not rows:
        return "Not measured yet."
    for n_pool in sorted({row["n_pool"] for row in rows}):
        seconds = median(
            row["feature_seconds"] for row in _measured(rows) if row["n_pool"] == n_pool
        )
        seeds = sorted({row["seed"] for row in rows if row["n_pool"] == n_pool})
        names = ", ".join(map(str, seeds))
        text = f"{n_pool:,} images to learn from, seeds {names}; features of all: {seconds:.0f} s."
        parts.append(f"{text}\n\n{write(rows, n_pool)}")
    return "\n\n".join(parts)


def peers_learn(data: str) -> str:
    """Write accuracy and seconds of all learners on a set."""
    return _by_pool(_rows("learn"), data, lambda rows, n: _contest(rows, "accuracy", n))


def peers_select(data: str) -> str:
    """Write what two classifiers make of the labels that each strategy chose, on a set."""

    def write(rows: Rows, n_pool: int) -> str:
        return "\n\n".join(
            f"Then {name} learns:\n\n{_contest(rows, key, n_pool)}" for name, key in CHOSEN.items()
        )

    return _by_pool(_rows("select"), data, write)


def _transductive(by_method: dict[tuple[Any, ...], Rows]) -> str:
    rows = by_method.get((OURS, f"{LEARNER[1]}, transductive"), [])
    return spread([row["accuracy"] for row in rows]) if rows else "–"


def peers_verdict() -> str:
    """Write per set and budget: fewlabel, the best peer, and the fastest that comes close."""
    lines = []
    for (data, n_pool, n), rows in groups(_rows("learn"), "data", "n_pool", "n_labels").items():
        by_method = groups(_measured(rows), "peer", "method")
        means = {who: mean(row["accuracy"] for row in own) for who, own in by_method.items()}
        took = {who: median(row["seconds"] for row in own) for who, own in by_method.items()}
        ours, peers = LEARNER, {who: share for who, share in means.items() if who[0] != OURS}
        if not peers or ours not in means:
            continue
        best = max(peers, key=peers.__getitem__)
        close = [who for who, share in peers.items() if share > means[ours] - CLOSE]
        fastest = min(close, key=took.__getitem__, default=None)
        faster = "none comes close"
        if fastest is not None:
            first = median(row["feature_seconds"] for row in _measured(rows))
            alone, whole = ((took[ours] + more) / (took[fastest] + more) for more in (0.0, first))
            faster = f"{_name(*fastest)}: {alone:.1f} times as fast, {whole:.2f} with features"
        lines.append(
            [
                f"{data}, {n_pool:,}",
                f"{n:,}",
                spread([row["accuracy"] for row in by_method[ours]]),
                _transductive(by_method),
                f"{_name(*best)} {spread([row['accuracy'] for row in by_method[best]])}",
                f"{100 * (means[ours] - peers[best]):+.1f}",
                faster,
            ]
        )
    heads = ["data, images", "labels", "fewlabel %", "transductive %", "best peer %"]
    heads.append("points ahead")
    return table([*heads, "fastest peer within 2 points"], lines)


def _speed(kind: str) -> list[tuple[str, float, str]]:
    """Return who takes how many seconds for what result; of each number of threads."""
    lines = []
    for threads, rows in groups(_rows(kind), "threads").items():
        inertia = [row["inertia"] for row in rows if row["peer"] == OURS and "inertia" in row]
        for (peer, method), own in groups(rows, "peer", "method").items():
            name = f"{_label(peer, method)} ({threads[0]} thread{'s' if threads[0] > 1 else ''})"
            done = _measured(own)
            if not done:
                lines.append((name, 0.0, _failure(own)))
                continue
            if kind == "kmeans":
                of_ours = median(row["inertia"] for row in done) / median(inertia)
                result = f"inertia {of_ours:.4f} of ours"
            else:
                result = f"recall {median(row['recall'] for row in done):.3f}"
            lines.append((name, median(row["seconds"] for row in done), result))
    return lines


def peers_speed(kind: str) -> str:
    """Write how long k-means or the graph of nearest neighbors takes."""
    lines = [
        [name, f"{seconds:.1f}" if seconds else "–", result]
        for name, seconds, result in _speed(kind)
    ]
    return table(["library", "s, median", "result"], lines)


def _paint_set(axes: Axes, rows: Rows, key: str, title: str) -> None:
    """Draw accuracy against labels, a line a method."""
    seen: dict[str, int] = {}
    for (peer, method), own in groups(_measured(rows), "peer", "method").items():
        color, marker = STYLES[peer]
        nth = seen[peer] = seen.get(peer, -1) + 1
        points = sorted(groups(own, "n_labels").items())
        x = [n for (n,), _ in points]
        y = [100 * mean(row[key] for row in each) for _, each in points]
        style = ("-", "--", ":", "-.", (0, (1, 4)))[nth]
        axes.plot(x, y, color=color, marker=marker, linestyle=style, label=_label(peer, method))
    axes.set(title=title, xscale="log", xlabel="labels")
    ticks = sorted({row["n_labels"] for row in rows})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks], minor=False)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    # Below the middle of the field a method has failed; the table has its figure.
    axes.set_ylim(max(low, high - 60), high)


def _draw_lines(path: Path, kind: str, key: str) -> Path:
    # What the whole fit predicts is what its classifier does.
    shown = [row for row in _rows(kind) if row["method"] != "fit"]
    sets = groups(shown, "data", "n_pool")

    def paint(panels: Sequence[Axes]) -> None:
        for axes, ((data, n_pool), rows) in zip(panels, sets.items(), strict=True):
            _paint_set(axes, rows, key, f"{data}, {n_pool:,}")
        panels[0].set_ylabel("accuracy on the test images, %")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    return figures.save(path, paint, n_panels=len(sets), size=(3.2 * len(sets) + 3.2, 4.2))


def _draw_speed(path: Path) -> Path:
    def paint(panels: Sequence[Axes]) -> None:
        for axes, (kind, title) in zip(
            panels, (("kmeans", "k-means"), ("neighbors", "15 nearest neighbors")), strict=True
        ):
            shown = [row for row in _speed(kind) if row[1]][::-1]
            colors = [figures.GREEN if OURS in name else figures.BLUE for name, _, _ in shown]
            names = [f"{name}\n{result}" for name, _, result in shown]
            axes.barh(names, [seconds for _, seconds, _ in shown], color=colors, height=0.62)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", labelsize=8)
            axes.set(title=title, xlabel="seconds")

    return figures.save(path, paint, n_panels=2, size=(11, 4.6))


def draw(folder: Path) -> list[Path]:
    """Draw the figures of the page."""
    return [
        _draw_lines(folder / "peers-learn.svg", "learn", "accuracy"),
        _draw_lines(folder / "peers-select.svg", "select", "accuracy_fewlabel"),
        _draw_speed(folder / "peers-speed.svg"),
    ]


WRITERS: dict[str, Callable[..., str]] = {
    writer.__name__: writer for writer in (peers_learn, peers_select, peers_verdict, peers_speed)
}


if __name__ == "__main__":
    for file in draw(DOCS / "images"):
        sys.stdout.write(f"wrote {file}\n")
