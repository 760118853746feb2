"""fewlabel beside its peers: one command, one machine, the same splits and features.

    FEWLABEL_DATA=... python benchmarks/peers/run.py --environments DIR --work DIR

Every peer has an environment of its own, made from `requirements/` where it is not there yet; the
features and labels that all are given are written once, by fewlabel, and the test labels stay out
of reach. Each fit is a process of its own, so that its peak of memory is, too; methods take turns,
seed by seed. A row that stands in the record is not measured again, so a run can be stopped and
goes on. What takes longer than `--limit` or needs more memory than `--gigabytes` is a row that
says so, and is not tried with other seeds. On seeds 81 to 83 nothing was tuned.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import splits  # noqa: E402

import bench_kmeans  # noqa: E402
import bench_neighbors  # noqa: E402
import contest  # noqa: E402

OURS, CLUSTERS = "fewlabel", 2_000
LEARN = {
    OURS: ("FewLabelClassifier", "FewLabelClassifier, transductive"),
    "sklearn": (
        "logistic regression",
        "SelfTrainingClassifier",
        "LabelSpreading",
        "LabelSpreading, knn",
    ),
    "graphlearning": ("Laplace", "Poisson", "Poisson, class priors"),
    "modssc": ("label_spreading", "laplace_learning", "poisson_learning", "self_training"),
}
FIT = {OURS: ("fit",)}
# For hours, and on images of one size: only where --kinds names them.
IMAGES = {"modssc": ("softmatch on images",)}
LEARNERS = {"learn": LEARN, "fit": FIT, "images": IMAGES}
SELECT = {
    OURS: ("select", "select, typiclust"),
    "sklearn": ("random",),
    "skactiveml": (
        "TypiClust",
        "ProbCover",
        "CoreSet",
        "MaxHerding",
        "margin sampling, 10 rounds",
    ),
}
KMEANS = {OURS: ("k-means",), "sklearn": ("k-means",), "faiss": ("k-means",)}
NEIGHBORS = {
    OURS: ("neighbors", "neighbors, exact"),
    "sklearn": ("neighbors",),
    "faiss": ("flat index", "HNSW index"),
    "pynndescent": ("neighbors",),
}
# What is measured of labels that a strategy chose: a peer's classifier, and ours.
SCORED_WITH = {"logistic": ("sklearn", "logistic regression"), OURS: (OURS, "FewLabelClassifier")}
KEY = ("kind", "data", "n_pool", "n_labels", "seed", "peer", "method", "threads")
Row = dict[str, Any]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default="kmeans,neighbors,learn,fit,select")
    parser.add_argument("--data", default="fashion-mnist,mnist,eurosat,grocery")
    parser.add_argument("--labels", default="100,500,2000")
    parser.add_argument("--seeds", default="81,82,83")
    parser.add_argument("--pool", type=int, default=10_000, help="images to learn from, at most")
    parser.add_argument("--peers", help="only these, such as fewlabel,sklearn")
    parser.add_argument("--limit", type=float, default=600, help="seconds a fit")
    parser.add_argument("--gigabytes", type=float, default=10, help="memory a fit")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="for splits and features")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/peers.jsonl"))
    return parser.parse_args()


def python_of(peer: str, folder: Path) -> str:
    """Return the interpreter of a peer; makes its environment where there is none."""
    if peer == OURS:
        return sys.executable
    home, requirements = folder / peer, HERE / "requirements" / f"{peer}.txt"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        venv.create(home, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", "--requirement", requirements]
        subprocess.run(command, check=True)
        (home / "complete").touch()
    return str(python)


class Record:
    """Rows of the record, kept on the disk one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self.rows: list[Row] = [json.loads(line) for line in lines]

    def find(self, row: Row, *but: str) -> Row | None:
        """Return the row with the same key, apart from parts of it that are named."""
        keys = [key for key in KEY if key not in but]
        return next((r for r in self.rows if all(r[key] == row[key] for key in keys)), None)

    def add(self, row: Row) -> None:
        """Keep a row, and print it."""
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def measured(
    peer: str, method: str, folder: Path, n_labels: int, seed: int, args: argparse.Namespace
) -> tuple[np.ndarray | None, Row]:
    """Run a method in a process of its own; its result, and what it took or why it failed."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    threads = {f"{name}_NUM_THREADS": str(args.threads) for name in names}
    with TemporaryDirectory(dir=args.work) as scratch:
        out = Path(scratch) / "out.npz"
        command = [python_of(peer, args.environments), str(HERE / "work.py")]
        command += [str(HERE / f"with_{peer}.py"), method, str(folder), "--out", str(out)]
        command += ["--labels", str(n_labels), "--seed", str(seed)]
        command += ["--gigabytes", str(args.gigabytes)]
        try:
            done = subprocess.run(
                command,
                env=os.environ | threads,
                # Reading and imports are not what is limited.
                timeout=args.limit + 60,
                capture_output=True,
                text=True,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return None, {"failure": f"over {args.limit:.0f} s"}
        except subprocess.CalledProcessError as error:
            return None, {"failure": reason(error, args.gigabytes)}
        figures = json.loads(done.stdout.splitlines()[-1])
        if figures["seconds"] > args.limit:
            return None, {"failure": f"over {args.limit:.0f} s"}
        return np.load(out)["result"], figures


def reason(error: subprocess.CalledProcessError, gigabytes: float) -> str:
    """Return in words why a process failed: its last line, or that it had no memory."""
    last = (error.stderr.strip().splitlines() or [f"exit {error.returncode}"])[-1]
    if "MemoryError" in error.stderr or "bad_alloc" in error.stderr:
        return f"over {gigabytes:g} GB"
    return last[:160]


def tasks(args: argparse.Namespace) -> Iterator[tuple[Path, Row]]:
    """Yield what is to be measured, seed by seed, with the folder of its data."""
    seeds, budgets = ([int(n) for n in text.split(",")] for text in (args.seeds, args.labels))
    kinds = args.kinds.split(",")
    wanted = args.peers.split(",") if args.peers else None
    for turn, seed in enumerate(seeds):
        for kind, peers in (("kmeans", KMEANS), ("neighbors", NEIGHBORS)):
            if kind in kinds:
                folder = write_contest(kind, args.work)
                # The same rows thrice: what turns is the machine.
                key = {"kind": kind, "data": "fashion-mnist", "n_pool": 0, "n_labels": 0}
                yield from methods(folder, {**key, "seed": turn}, peers, wanted)
        for data in args.data.split(","):
            if not {*LEARNERS, "select"} & set(kinds):
                break
            folder = args.work / f"{data}-{args.pool}-{seed}"
            splits.write_split(folder, data, seed, args.pool, budgets)
            n_pool = len(np.load(folder / "X.npy", mmap_mode="r"))
            if "images" in kinds:
                splits.write_images(folder, data, seed, args.pool)
            for n in (n for n in budgets if n < n_pool):
                for kind, peers in (*LEARNERS.items(), ("select", SELECT)):
                    shown = "select" if kind == "select" else "learn"
                    key = {"kind": shown, "data": data, "n_pool": n_pool, "n_labels": n}
                    if kind in kinds:
                        yield from methods(folder, {**key, "seed": seed}, peers, wanted)


def write_contest(kind: str, work: Path) -> Path:
    """Write what contenders in k-means or nearest neighbors are given; the folder of it."""
    folder = work / kind
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "kmeans" and not (folder / "start.npy").exists():
        X = contest.fashion_mnist("train")
        np.save(folder / "X.npy", X)
        rows = np.random.default_rng(0).choice(len(X), CLUSTERS, replace=False)
        np.save(folder / "start.npy", X[rows])
    if kind == "neighbors" and not (folder / "Z.npy").exists():
        np.save(folder / "Z.npy", bench_neighbors.features())
    return folder


def methods(
    folder: Path, key: Row, peers: dict[str, tuple[str, ...]], wanted: list[str] | None
) -> Iterator[tuple[Path, Row]]:
    """Yield the rows to fill of all methods of the peers that are wanted."""
    for peer, names in peers.items():
        if wanted is None or peer in wanted:
            yield from ((folder, {**key, "peer": peer, "method": name}) for name in names)


def score(folder: Path, row: Row, result: np.ndarray, args: argparse.Namespace) -> Row:
    """Return how good a result is."""
    if row["kind"] == "kmeans":
        return {"inertia": bench_kmeans.inertia(np.load(folder / "X.npy"), result)}
    if row["kind"] == "neighbors":
        return {"recall": bench_neighbors.recall(np.load(folder / "Z.npy"), result)}
    truth = np.load(folder / "truth.npz")
    if row["kind"] == "learn":
        classes = np.load(folder / f"labels_{row['n_labels']}.npz")["classes"]
        return {"accuracy": float((classes[result] == truth["test"]).mean())}
    if len(np.unique(result)) != row["n_labels"]:
        return {"failure": f"{len(np.unique(result))} images chosen, not {row['n_labels']}"}
    chosen = args.work / "chosen"
    chosen.mkdir(exist_ok=True)
    for name in ("X.npy", "X_test.npy", "truth.npz"):
        (chosen / name).unlink(missing_ok=True)
        (chosen / name).symlink_to((folder / name).absolute())
    splits.write_labels(chosen, row["n_labels"], result, truth["pool"])
    scores = {"n_classes": len(np.unique(truth["pool"][result]))}
    for name, (peer, method) in SCORED_WITH.items():
        predicted, failed = measured(peer, method, chosen, row["n_labels"], row["seed"], args)
        if predicted is None:
            return failed
        learned = {**row, "kind": "learn"}
        scores[f"accuracy_{name}"] = score(chosen, learned, predicted, args)["accuracy"]
    return scores


def main() -> None:
    """Measure what the record lacks."""
    args = parse()
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    record = Record(args.out)
    about = {"machine": contest.machine()["processor"], "cores": os.cpu_count()}
    for folder, row in tasks(args):
        row["threads"] = args.threads
        if record.find(row):
            continue
        earlier = record.find(row, "seed")
        if earlier and "failure" in earlier:
            record.add({**row, "failure": earlier["failure"], "seed_that_failed": earlier["seed"]})
            continue
        load = os.getloadavg()[0]
        result, figures = measured(
            row["peer"], row["method"], folder, row["n_labels"], row["seed"], args
        )
        if result is not None:
            figures |= score(folder, row, result, args)
        if row["kind"] in ("learn", "select"):
            figures["feature_seconds"] = round(float(np.load(folder / "feature_seconds.npy")), 1)
        record.add({**row, **figures, "load": round(load, 1), **about})


if __name__ == "__main__":
    main()
