"""What each stage of the main job costs: seconds, instructions and flame graphs, commit by commit.

    FEWLABEL_DATA=... python benchmarks/stages.py time             # 60,000 images, 500 labels
    FEWLABEL_DATA=... python benchmarks/stages.py count            # instructions; needs valgrind
    FEWLABEL_DATA=... python benchmarks/stages.py flame            # needs py-spy
    python benchmarks/stages.py plot                               # docs/performance.md

``time`` and ``count`` add a line to benchmarks/results/stages.jsonl, of a commit and a machine.
``count`` looks at the pixels of 200 images with 40 labels on one thread, under valgrind's emulated
processor without AVX-512: two runs differ by about half a percent, however busy the machine.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent
RECORDS = HOME / "benchmarks/results/stages.jsonl"
PAGE = HOME / "docs/performance.md"
# A flame graph begins at this function of fewlabel.
ROOTS = {
    "features": "extract_features",
    "select": "select_images",
    "fit": "fit_images",
    "predict": "Model.predict",
}
MARK = "<!-- `python benchmarks/stages.py plot` writes what follows -->"


def stages(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give each stage that is asked for, with what runs it on what the earlier ones made."""
    for name, run in all_stages(args.images, args.labels, args.seed):
        if name not in args.skip:
            yield name, run


def all_stages(n: int, n_labeled: int, seed: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give all stages in turn."""
    from fewlabel.cluster.neighbors import nearest_neighbors
    from fewlabel.data import labels_from_truth, load_images
    from fewlabel.features.patches import PatchDictionary
    from fewlabel.graph.neighbor_graph import _affinity_graph, _normalize_graph, spread
    from fewlabel.pipeline import FitSettings, extract_features, fit_images, select_images
    from fewlabel.selection import _looked_up

    # After fewlabel, which bids the threads of numpy sleep while they wait.
    import numpy as np  # isort: skip

    images, made = load_images("fashion-mnist:train").subset(range(n)), dict[str, Any]()

    def keep(name: str, work: Callable[[], Any]) -> tuple[str, Callable[[], Any]]:
        return name, lambda: made.__setitem__(name, work())

    dictionary = PatchDictionary(n_components=None, n_patches=2_000, random_state=seed)
    pixels = images.read(slice(0, min(n, 2_000)))
    dictionary.fit(pixels[:200])
    yield keep("patches", lambda: dictionary.transform(pixels))
    # To learn a whole dictionary takes minutes under valgrind.
    kind = "auto" if n >= 1_000 else "pixels"
    yield keep("features", lambda: extract_features(images, features=kind, seed=seed))
    prepared = made["features"]
    yield keep("select", lambda: select_images(images, n_labeled, seed=seed, prepared=prepared))
    labels = _looked_up(labels_from_truth(images), made["select"])
    yield keep("neighbors", lambda: nearest_neighbors(prepared.rows, 20, random_state=seed))
    graph = _normalize_graph(_affinity_graph(*made["neighbors"]))
    seeds = np.eye(len(labels.classes), dtype=np.float32)[labels.y] * (labels.y >= 0)[:, None]
    yield keep("propagation", lambda: spread(graph, seeds, 0.97))
    settings = FitSettings(seed=seed)
    yield keep("fit", lambda: fit_images(images, labels, settings, prepared=prepared))
    yield keep("predict", lambda: made["fit"].model.predict(images))


def timed(args: argparse.Namespace) -> dict[str, Any]:
    """Return wall and processor seconds of each stage."""
    seconds, processor = {}, {}
    for name, run in stages(args):
        wall, used = time.perf_counter(), time.process_time()
        run()
        seconds[name] = round(time.perf_counter() - wall, 3)
        processor[name] = round(time.process_time() - used, 3)
        print(f"{name}: {seconds[name]:.2f} s, {processor[name]:.2f} s of processor", flush=True)
    return {"seconds": seconds, "processor_seconds": processor}


def counted_stages(args: argparse.Namespace) -> None:
    """Run each stage under valgrind, which counts instructions in it and dumps them by name."""

    def control(*options: str) -> None:
        command = ["callgrind_control", *options, str(os.getpid())]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    for name, run in stages(args):
        control("--instr=on")
        control("--zero")
        run()
        control(f"--dump={name}")
        control("--instr=off")


def counted(args: argparse.Namespace) -> dict[str, Any]:
    """Return the millions of instructions of each stage, by a process under valgrind."""
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("count.*"):
        old.unlink()
    inner = ["counted-stages", "--images", args.images, "--labels", args.labels]
    inner += ["--seed", args.seed, "--skip", *args.skip]
    command = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={out}/count",
    ]
    # One hash of strings for all runs: it decides how often dictionaries collide.
    fixed = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    subprocess.run(
        [*command, sys.executable, __file__, *map(str, inner)],
        check=True,
        env=os.environ | fixed,
    )
    found = {}
    for file in out.glob("count.*"):
        lines = file.read_text().splitlines()
        named = [
            line.split("dump ")[1] for line in lines if line.startswith("desc: Trigger: dump ")
        ]
        if named:
            totals = next(line for line in lines if line.startswith("totals: "))
            found[named[0]] = round(int(totals.split()[1]) / 1e6, 1)
    return {"million_instructions": found}


def flame(args: argparse.Namespace) -> None:
    """Sample a run by py-spy, and draw a flame graph of each stage."""
    raw = Path(args.out) / "samples.txt"
    raw.parent.mkdir(parents=True, exist_ok=True)
    inner = ["time", "--no-record", "--images", str(args.images), "--labels", str(args.labels)]
    sample = ["py-spy", "record", "-r", "100", "-f", "raw", "-o", str(raw), "--"]
    program = [sys.executable, __file__, *inner, "--seed", str(args.seed)]
    subprocess.run([*sample, *program], check=True)
    stacks: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in ROOTS}
    for line in raw.read_text().splitlines():
        text, n = line.rsplit(" ", 1)
        # Without the lines: a function is one box.
        frames = [frame.rsplit(":", 1)[0].rstrip(")") + ")" for frame in text.split(";")]
        for name, root in ROOTS.items():
            at = next((i for i, frame in enumerate(frames) if frame.startswith(f"{root} ")), None)
            if at is not None:
                stacks[name][tuple(frames[at:])] += int(n)
    for name, of_stage in stacks.items():
        (HOME / f"docs/images/flame-{name}.svg").write_text(flame_graph(name, of_stage))


def flame_graph(title: str, stacks: Counter[tuple[str, ...]]) -> str:
    """Return an SVG of nested boxes as wide as the samples in them; narrow ones are left out."""
    total, width, height, least = sum(stacks.values()), 1200, 18, 0.004
    boxes: Counter[tuple[str, ...]] = Counter()
    for stack, n in stacks.items():
        for depth in range(1, len(stack) + 1):
            boxes[stack[:depth]] += n
    left: dict[tuple[str, ...], float] = {(): 0.0}
    parts, deepest = [], 0
    # Parents before children, and those side by side by their names.
    for path in sorted(boxes):
        x = left[path[:-1]]
        share = boxes[path] / total
        left[path[:-1]], left[path] = x + share, x
        if share < least:
            continue
        deepest = max(deepest, len(path))
        label = html.escape(path[-1].split(" (")[0][: int(share * width / 7)])
        tip = html.escape(f"{path[-1]}: {share:.1%} of {title}")
        hue = 20 + sum(map(ord, path[-1])) % 40
        at = f'x="{x * width:.1f}" y="{(len(path) - 1) * height}"'
        parts.append(
            f'<g><title>{tip}</title><rect {at} width="{share * width:.1f}" height="{height - 1}" '
            f'fill="hsl({hue} 75% 70%)"/><text x="{x * width + 3:.1f}" '
            f'y="{len(path) * height - 5}">{label}</text></g>'
        )
    size = f'width="{width}" height="{deepest * height}"'
    view = f'viewBox="0 0 {width} {deepest * height}" font-family="monospace" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view}>'
    return "\n".join([head, *parts, "</svg>\n"])


def record(args: argparse.Namespace, found: dict[str, Any]) -> None:
    """Add a line to the records."""
    import contest

    def git(*command: str) -> str:
        return subprocess.check_output(["git", "-C", HOME, *command], text=True).strip()

    changed = bool(git("status", "--porcelain", "--", "src"))
    about = {
        "commit": git("rev-parse", "--short=10", "HEAD") + "+" * changed,
        "committed": git("show", "-s", "--format=%cI", "HEAD"),
        "n_images": args.images,
        "n_labeled": args.labels,
        "seed": args.seed,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
    }
    with RECORDS.open("a") as file:
        file.write(json.dumps(about | found | {"machine": contest.machine()}) + "\n")


def plot() -> None:
    """Draw the records over the commits, and write the newest into the page."""
    rows = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    parts = []
    for key, what in (("million_instructions", "Instructions, millions"), ("seconds", "Seconds")):
        kind = [row for row in rows if key in row]
        if not kind:
            continue
        name = f"images/stages-{key.split('_')[-1]}.svg"
        draw(kind, key, what, HOME / "docs" / name)
        columns = list(kind[-1][key])
        parts += [f"### {what}", "", f"![{what} of each stage over the commits]({name})", ""]
        parts.append("| commit | images | labels | threads | load | " + " | ".join(columns) + " |")
        parts.append("|---" * (len(columns) + 5) + "|")
        for row in kind[-8:]:
            about = [row["commit"], f"{row['n_images']:,}", row["n_labeled"], row["threads"]]
            values = [f"{row[key].get(column, float('nan')):,.1f}" for column in columns]
            cells = [*about, row["machine"]["load_average_15_min"], *values]
            parts.append("| " + " | ".join(map(str, cells)) + " |")
        parts.append("")
    PAGE.write_text(PAGE.read_text().split(MARK)[0] + MARK + "\n\n" + "\n".join(parts))


def draw(rows: list[dict[str, Any]], key: str, what: str, out: Path) -> None:
    """Draw a line a stage, one point a record."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "stages"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for stage in rows[-1][key]:
        axes.plot([row[key].get(stage) for row in rows], marker="o", label=stage)
    axes.set(ylabel=what, yscale="log", xticks=range(len(rows)))
    axes.set_xticklabels([row["commit"] for row in rows], rotation=45, ha="right")
    figure.legend(loc="outside right upper")
    figure.savefig(out, metadata={"Date": None})


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("time", "count", "counted-stages", "flame", "plot"))
    parser.add_argument("--images", type=int)
    parser.add_argument("--labels", type=int)
    parser.add_argument("--seed", type=int, default=51)
    # Valgrind takes longer for ``fit`` than for all others together.
    parser.add_argument("--skip", nargs="*", default=[], help="such as: fit predict")
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--out", default="build/stages", help="folder for what is looked at once")
    args = parser.parse_args()
    is_count = args.command.startswith("count")
    args.images = args.images or (200 if is_count else 60_000)
    args.labels = args.labels or (40 if is_count else 500)
    work = {"time": timed, "count": counted, "counted-stages": counted_stages, "flame": flame}
    if args.command == "plot":
        plot()
        return
    found = work[args.command](args)
    if found is not None and not args.no_record:
        record(args, found)


if __name__ == "__main__":
    main()
