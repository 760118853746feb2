import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from fewlabel.data import ImageSet, load_images


def draw(folder: Path, names: list[str]) -> ImageSet:
    """Write small images, each of its own, and load them."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return load_images(folder)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return draw(tmp_path / "photos", [f"{letter}.png" for letter in "abcdef"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def edit(table: Path, text: str) -> None:
    """Save a table as a person would, some time ago: a store waits while a file is written."""
    table.write_text(text)
    before = time.time() - 60
    os.utime(table, (before, before))


def _postgres_programs() -> Path | None:
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else []
    # Debian keeps them out of the path.
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a PostgreSQL of the tests' own on a socket in a folder of its own; its URL."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    # It does not run as root, and nobody else may enter pytest's folders.
    user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    # The path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fewlabel-pg-") as folder:
        if user:
            shutil.chown(folder, **user)
        data = f"{folder}/data"
        run = partial(subprocess.run, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)
        run([programs / "initdb", "-D", data, "-A", "trust", "-U", "fewlabel", "-N", "-E", "UTF8"])
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        run([programs / "pg_ctl", "-D", data, "-l", f"{folder}/log", "-o", options, "-w", "start"])
        try:
            yield f"postgresql://fewlabel@/postgres?host={folder}"
        finally:
            run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, table: Path) -> Iterator[str]:
    """A database that holds nothing, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{table.with_suffix('.answers.db')}"
        return
    server = request.getfixturevalue("postgres")
    name = f"answers_{uuid.uuid4().hex}"
    admin = sa.create_engine(
        server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield server.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def noise(n: int) -> np.ndarray:
    """Draw n small images, each of its own, (n, 8, 8) uint8."""
    return np.random.default_rng(0).integers(0, 255, (n, 8, 8), np.uint8)
