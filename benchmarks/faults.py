"""What becomes of a ``fit`` that is killed, starved of disk, robbed of an image, or run twice.

    python benchmarks/faults.py kill --n 50 --again 5    a small folder of images, cache cold
    python benchmarks/faults.py kill --n 15 --warm       the same with features in the cache
    python benchmarks/faults.py kill --n 10 --networks   digits with ``--time``
    python benchmarks/faults.py disk                     a small tmpfs as --out and as cache (root)
    python benchmarks/faults.py readonly                 folders that cannot be written (root)
    python benchmarks/faults.py images --n 12            an image vanishes or changes in the middle
    python benchmarks/faults.py flip --n 300             a flipped bit in every kind of cache file
    python benchmarks/faults.py twice --n 8              two fits into one folder

Each adds its findings to results/faults.json: the seed, what was tried, and every finding that is
not as it must be. After a kill the run folder must be whole or absent; the same command again must
give the predictions of the uninterrupted run, byte by byte, and leave no temporary file behind.
Everything else must end with a line and no traceback. The moments of the kills are uniform over
the time that an uninterrupted run takes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

RESULT = Path(__file__).parent / "results" / "faults.json"
WHOLE = {"predictions.csv", "ledger.parquet", "metrics.json", "report.html", "skipped.csv", "model"}
WHOLE |= {"run.json", "model_card.md", "suspicious.csv"}
N_IMAGES, N_LABELED, N_DIGITS = 240, 30, 120


class Place:
    """A folder with images, labels and a cache, and the command that fits them."""

    def __init__(self, root: Path, *, networks: bool = False) -> None:
        self.root, self.cache = root, root / "cache"
        self.outs = root / "outs"
        self.outs.mkdir(parents=True)
        self.out = self.outs / "run"
        self.labels = root / "labels.csv"
        self.images = root / ("digits.npz" if networks else "images")
        self.more = ["--time", "30m", "--method", "graph-distillation"] if networks else []
        (self._digits if networks else self._pictures)()

    def _pictures(self) -> None:
        self.images.mkdir()
        y, x = np.mgrid[:32, :32]
        waves = np.sin(y * 1.1), np.sin(x * 1.1), np.sin((x + y) * 0.8)
        for i in range(N_IMAGES):
            noise = np.random.default_rng(i).normal(0, 110, (32, 32))
            pixels = np.clip(127 + 60 * waves[i % 3] + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(self.images / f"i{i:03d}.png")
        rows = [f"i{i:03d}.png,{'abc'[i % 3]}" for i in range(N_LABELED)]
        self.labels.write_text("\n".join(["path,label", *rows, ""]))

    def _digits(self) -> None:
        digits = load_digits()
        np.savez(self.images, X=(digits.images[:N_DIGITS] * 15.9).astype(np.uint8))
        rows = [f"{i},{digits.target[i]}" for i in range(N_DIGITS // 2)]
        self.labels.write_text("\n".join(["index,label", *rows, ""]))

    def start(self, *more: str, out: Path | None = None, **env: str) -> subprocess.Popen[str]:
        """Start a fit, with the cache of this place or of the environment variables given."""
        command = [sys.executable, "-m", "fewlabel", "fit", str(self.images), "--explain", "0"]
        command += ["--labels", str(self.labels), "--out", str(out or self.out)]
        return subprocess.Popen(
            [*env.pop("before", "").split(), *command, *self.more, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FEWLABEL_CACHE": str(self.cache), **env},
        )

    def fit(self, *more: str, out: Path | None = None, **env: str) -> tuple[int, str]:
        """Fit, and return the exit code and what was written to stderr."""
        process = self.start(*more, out=out, **env)
        said = process.communicate()[1]
        return process.returncode, said

    def predictions(self) -> bytes:
        """Return the predictions of the run."""
        return (self.out / "predictions.csv").read_bytes()

    def clear(self, *, cache: bool) -> None:
        """Remove the run, and the cache where it shall be cold."""
        shutil.rmtree(self.outs)
        self.outs.mkdir()
        if cache:
            shutil.rmtree(self.cache, ignore_errors=True)

    def leftovers(self) -> list[str]:
        """Name what lies beside the run, and temporary files in the cache."""
        beside = [entry.name for entry in self.outs.iterdir() if entry != self.out]
        return beside + [entry.name for entry in self.cache.rglob(".*")]


def is_line(code: int, said: str) -> bool:
    """Return whether a failure is a line and no traceback."""
    return code in (1, 2) and "Traceback" not in said and "error: " in said


def kill(
    place: Place, n: int, dice: random.Random, *, warm: bool, again: int = 1
) -> Iterator[str | None]:
    """Kill fits at random moments, and run every so manieth again."""
    code, said = place.fit()
    assert code == 0, said
    expected, whole = place.predictions(), place.root / "whole"
    shutil.copytree(place.out, whole)
    place.clear(cache=not warm)
    start = time.perf_counter()
    place.fit()
    seconds = time.perf_counter() - start
    assert place.predictions() == expected
    for number in range(n):
        place.clear(cache=not warm)
        # Every third replaces a run that stands there.
        force = number % 3 == 2
        if force:
            shutil.copytree(whole, place.out)
        moment = dice.uniform(0, seconds)
        process = place.start(*(["--force"] if force else []))
        time.sleep(moment)
        process.kill()
        process.communicate()
        where = f"killed after {moment:.2f} of {seconds:.2f} s"
        if place.out.exists() and not {entry.name for entry in place.out.iterdir()} >= WHOLE:
            yield f"{where}: half a run"
            continue
        if place.out.exists() and place.predictions() != expected:
            yield f"{where}: other predictions before the second run"
            continue
        if number % again:
            yield None
            continue
        code, said = place.fit(*(["--force"] if place.out.exists() else []))
        if code:
            yield f"{where}: the second run failed: {said[-300:]}"
        elif place.predictions() != expected:
            yield f"{where}: other predictions"
        elif place.leftovers():
            yield f"{where}: left {place.leftovers()}"
        else:
            yield None


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    """Mount a file system in memory."""
    place.mkdir(exist_ok=True)
    options = f"size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def disk(place: Place, n: int, dice: random.Random) -> Iterator[str | None]:
    """Fit onto disks that are too small, and with caches on such disks."""
    place.fit()
    expected = place.predictions()
    size = sum(file.stat().st_size for file in place.out.rglob("*") if file.is_file()) // 1024
    target = place.root / "small"
    for part in (0.01, 0.3, 0.6, 0.9, 0.99):
        with small_disk(target, max(4, int(part * size))):
            code, said = place.fit(out=target / "run")
            left = [entry.name for entry in target.iterdir()]
            right = is_line(code, said) and "disk" in said and not left
            yield None if right else f"--out on {part:.0%} of the room: {code} {left} {said[-300:]}"
    for kilobytes in (4, 400, 1_200, 2_000):
        place.clear(cache=False)
        with small_disk(target, kilobytes):
            code, said = place.fit(FEWLABEL_CACHE=str(target))
            left = [str(file) for file in target.rglob("*") if file.name.startswith(".")]
            right = code == 0 and place.predictions() == expected and not left
            yield None if right else f"a cache of {kilobytes} kB: {code} {left} {said[-300:]}"


def readonly(place: Place, n: int, dice: random.Random) -> Iterator[str | None]:
    """Fit without the permission to write beside the run, into the cache, or to the images."""
    before = "setpriv --bounding-set=-dac_override,-dac_read_search,-fowner"
    place.fit()
    expected = place.predictions()
    for name, mode in (("cache", 0o555), ("cache", 0), ("images", 0o555), ("outs", 0o555)):
        place.clear(cache=False)
        folder = place.root / name
        folder.chmod(mode)
        code, said = place.fit(before=before)
        folder.chmod(0o755)
        right = code == 2 and is_line(code, said) and "permission" in said
        if name != "outs":
            right = code == 0 and place.predictions() == expected
        yield None if right else f"{name} {mode:o}: {code} {said[-300:]}"


def images(place: Place, n: int, dice: random.Random) -> Iterator[str | None]:
    """Remove or change an image, of a label or not, at a random moment."""
    start = time.perf_counter()
    place.fit()
    seconds, expected = time.perf_counter() - start, place.predictions()
    victims = [place.images / "i007.png", place.images / "i200.png"]
    for number in range(n):
        place.clear(cache=True)
        victim, vanishes = victims[number % 2], number % 4 < 2
        whole, moment = victim.read_bytes(), dice.uniform(0.2, 0.9) * seconds
        process = place.start()
        time.sleep(moment)
        if vanishes:
            victim.unlink()
        else:
            # Of the same size, and with an older time, as a copy keeps it.
            status = victim.stat()
            shutil.copy2(place.images / "i100.png", victim)
            os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
        said = process.communicate()[1]
        victim.unlink(missing_ok=True)
        victim.write_bytes(whole)
        what = "vanished" if vanishes else "changed"
        where = f"{victim.name} {what} after {moment:.2f} of {seconds:.2f} s"
        right = is_line(process.returncode, said) and victim.name in said
        if process.returncode == 0:
            # Before the first look it is another set; after the last one it does not matter.
            same = place.predictions() == expected
            counted = len(place.predictions().splitlines()) == N_IMAGES
            right = same or (moment < 0.6 * seconds and (counted or not vanishes))
        yield None if right else f"{where}: {process.returncode} {said[-300:]}"


def flip(place: Place, n: int, dice: random.Random) -> Iterator[str | None]:
    """Flip bits of features, checkpoints and states of trainings, and read them again."""
    import torch

    from fewlabel.data import load_images
    from fewlabel.features import cache
    from fewlabel.features.patch_features import PatchFeatures
    from fewlabel.nets.checkpoint import _load_checkpoint, _save_checkpoint
    from fewlabel.semisupervised.checkpoints import _Checkpoints

    cache.LEAST_SECONDS = 0.0
    pictures, features = load_images(place.images), place.cache / "features"
    expected = cache._cached_transform(PatchFeatures(), pictures, folder=features)[1]
    [file] = features.iterdir()
    key, extractor = file.stem, PatchFeatures()
    state = {"w": torch.arange(60.0).reshape(3, 20)}
    training = place.root / "state.safetensors"
    _save_checkpoint(training, state, {"epoch": 3, "history": [{"loss": 0.5}]})
    kept = _Checkpoints(place.root / "kept", "run")
    meta = {"n_steps": 800, "network": {"rate": 0.25}}
    kept.put("steps", {"proba": expected[:20]}, meta)

    def read_features() -> bool:
        found = cache._read(file, key, extractor, pictures)
        return found is None or np.array_equal(found[1], expected)

    def read_training() -> bool:
        from fewlabel.errors import ModelFormatError

        try:
            found, said = _load_checkpoint(training)
        except ModelFormatError:
            return True
        return torch.equal(found["w"], state["w"]) and said["history"] == [{"loss": 0.5}]

    def read_kept() -> bool:
        found = kept.get("steps")
        return found is None or found.meta == meta

    manifest, arrays = (
        place.root / "kept" / "steps" / name for name in ("manifest.json", "arrays.safetensors")
    )
    readers: list[tuple[Path, Callable[[], bool]]] = [
        (file, read_features),
        (training, read_training),
        (manifest, read_kept),
        (arrays, read_kept),
    ]
    for target, read in readers:
        whole = target.read_bytes()
        for number in range(n):
            # Half of them in the header, which is short beside the numbers.
            end = min(len(whole), 2_000) if number % 2 else len(whole)
            position, bit = dice.randrange(end), dice.randrange(8)
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            target.write_bytes(damaged)
            try:
                right = read()
            except Exception as error:
                yield f"{target.name}, bit {bit} of byte {position}: {error!r}"
                continue
            yield None if right else f"{target.name}, bit {bit} of byte {position}: not found"
        target.write_bytes(whole)
    yield from _flipped_whole_run(place, dice)


def _flipped_whole_run(place: Place, dice: random.Random) -> Iterator[str | None]:
    """Fit with a damaged cache, and look that it has been mended."""
    place.fit()
    expected = place.predictions()
    [file] = (place.cache / "features").iterdir()
    whole = file.read_bytes()
    for part in (0.0001, 0.5, 0.9999):
        damaged = bytearray(whole)
        damaged[int(part * len(whole))] ^= 1 << dice.randrange(8)
        file.write_bytes(damaged)
        code, said = place.fit("--force")
        # Features that take less than a second are not kept again.
        mended = not file.exists() or file.read_bytes() == whole
        right = code == 0 and place.predictions() == expected and mended
        yield None if right else f"a fit with byte {part:.2%} flipped: {code} {said[-300:]}"


def twice(place: Place, n: int, dice: random.Random) -> Iterator[str | None]:
    """Fit twice into one folder, the second some moments after the first."""
    start = time.perf_counter()
    place.fit()
    seconds, expected = time.perf_counter() - start, place.predictions()
    for number in range(n):
        place.clear(cache=False)
        delay = 0.0 if number % 2 else dice.uniform(0, 0.5) * seconds
        both = [place.start()]
        time.sleep(delay)
        both.append(place.start())
        ends = [(process.communicate()[1], process.returncode) for process in both]
        refused = [said for said, code in ends if code == 2]
        # Where the first is done before the second looks, its run is in the way.
        right = sorted(code for _, code in ends) == [0, 2] and is_line(2, refused[0])
        right = right and ("being written" in refused[0] or "exists already" in refused[0])
        right = right and place.predictions() == expected and not place.leftovers()
        yield None if right else f"the second {delay:.2f} s later: {ends} {place.leftovers()}"


TRIALS = {
    "disk": disk,
    "readonly": readonly,
    "images": images,
    "flip": flip,
    "twice": twice,
}


def main() -> None:
    """Run one kind of fault, and record what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=["kill", *TRIALS])
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=int, default=1, help="run every N-th killed one again")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--networks", action="store_true")
    options = parser.parse_args()
    dice, start = random.Random(options.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "place", networks=options.networks)
        if options.kind == "kill":
            trials = kill(place, options.n, dice, warm=options.warm, again=options.again)
        else:
            trials = TRIALS[options.kind](place, options.n, dice)
        found = []
        # Stopped by Ctrl-C, which jobs in the background ignore, it records what it has tried.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            for finding in trials:
                found.append(finding)
                if finding is not None:
                    print(finding, flush=True)
    name = "-".join([options.kind, *(k for k in ("warm", "networks") if getattr(options, k))])
    record = {
        "seed": options.seed,
        "trials": len(found),
        "seconds": round(time.perf_counter() - start, 1),
        "wrong": [finding for finding in found if finding is not None],
    }
    print(json.dumps({name: record}))
    records = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps(records | {name: record}, indent=1) + "\n")


if __name__ == "__main__":
    main()
