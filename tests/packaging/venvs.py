"""Environments that hold a wheel, what it depends on, and nothing else.

What is installed here is linked and not downloaded: an environment takes a second, and no network.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from email import message_from_bytes
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# No PYTHONPATH, and no mirrored sources: only what the environment holds.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FEWLABEL_"))}


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "-w", str(folder), str(ROOT)], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def requirements(wheel: Path, extra: str = "") -> list[Requirement]:
    """Return what a wheel needs, alone or with an extra (two are joined by a comma)."""
    with ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        lines = message_from_bytes(archive.read(name)).get_all("Requires-Dist")
    return list(_wanted(lines or [], set(extra.split(","))))


def _wanted(lines: list[str], extras: set[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in extras | {""}):
            yield requirement


def make_environment(folder: Path, wheel: Path, extra: str = "") -> Path:
    """Make an environment with a wheel and what it needs; return its folder of programs."""
    venv.create(folder, with_pip=False, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    needed, seen = requirements(wheel, extra), set()
    for requirement in needed:
        if (key := (requirement.name.lower(), frozenset(requirement.extras))) not in seen:
            seen.add(key)
            found = distribution(requirement.name)
            needed.extend(_wanted(found.requires or [], set(requirement.extras)))
            for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
                if not (site / name).exists():
                    (site / name).symlink_to(found.locate_file(name))
    # pip itself says whether anything is missing.
    command = [sys.executable, "-m", "pip", "--python", str(folder), "install", "-q"]
    what = f"fewlabel[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    subprocess.run([*command, "--no-index", "--no-compile", what], check=True, env=ENVIRONMENT)
    return folder / "bin"


def is_at_hand(wheel: Path, extra: str) -> bool:
    """Return whether what an extra needs is installed here."""
    try:
        return all(distribution(requirement.name) for requirement in requirements(wheel, extra))
    except PackageNotFoundError:
        return False
