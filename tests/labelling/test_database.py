import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from fewlabel.data import image_set_from_array, load_images, read_labels
from fewlabel.errors import MissingExtraError, StorageError, UsageError
from fewlabel.labelling import database
from fewlabel.labelling.database import _Database
from fewlabel.labelling.schema import HEAD, metadata
from fewlabel.labelling.store import Answer, open_store

# What version 1 made, as SQLite keeps it, with an answer in it.
VERSION_1 = (Path(__file__).parent / "version-1.sql").read_text()


@pytest.fixture
def file(table: Path) -> Path:
    return table.with_suffix(".answers.db")


def test_migrations_make_what_the_models_say(database_url):
    connected = _Database(database_url)
    with connected.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    connected.close()
    folder = Path(database.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_a_database_of_version_1_is_brought_up_to_date(images, table, file):
    with sqlite3.connect(file) as connection:
        connection.executescript(VERSION_1)
        digest = images.content_digests()[1]
        connection.execute("UPDATE images SET digest = ?", [digest])
    connection.close()
    with open_store(images, table) as opened:
        assert opened.current() == {1: ("cat",)}
        (answer,) = opened.history(1)
        assert (answer.annotator, answer.seconds, answer.origin) == ("Ann", 2.5, "typed")
    connected = _Database(f"sqlite:///{file}")
    with connected.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    connected.close()


def test_how_many_are_asked_is_kept(database_url, images, table):
    for asked, expected in ((None, 1), (3, 3), (None, 3)):
        with open_store(images, table, database_url, repeats=asked) as store:
            assert store.repeats == expected
    with open_store(images, table, database_url) as store:
        store.add([Answer(0, (name,), by) for by, name in [("A", "x"), ("B", "x"), ("C", "y")]])
        assert store.current() == {0: ("x",)}
        # Another process is told otherwise.
        open_store(images, table, database_url, repeats=1).close()
        assert (store.current(), store.repeats) == ({0: ("y",)}, 1)


def test_a_newer_or_damaged_database_is_refused(images, table, file):
    open_store(images, table).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(UsageError, match="newer fewlabel"):
        open_store(images, table)
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="file is not a database"):
        open_store(images, table)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = '0'",
        "DELETE FROM project",
        "UPDATE events SET labels = '[]'",
    ],
)
def test_rows_that_no_fewlabel_wrote_are_refused(statement, images, table, file):
    with open_store(images, table) as store:
        store.add([Answer(0, ("x",))])
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StorageError, match=r"answers\.db are damaged .*: put a copy in its place"):
        open_store(images, table)


@pytest.mark.parametrize("url", ["mysql://me:secret@host/name", "labels", "postgresql:secret"])
def test_another_database_is_refused_without_its_password(url, images, table):
    with pytest.raises((UsageError, StorageError)) as caught:
        open_store(images, table, url)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there(images, table):
    with pytest.raises(StorageError) as caught:
        open_store(images, table, "postgresql://me:secret@localhost:1/name")
    assert "secret" not in str(caught.value)
    assert "postgresql" in str(caught.value)


def test_without_sqlalchemy(images, table, monkeypatch):
    monkeypatch.setattr("fewlabel.extras.is_installed", lambda name: name != "sqlalchemy")
    with pytest.raises(MissingExtraError, match=r"fewlabel\[web\]"):
        open_store(images, table)
    code = (
        "import sys, fewlabel.labelling.store; "
        "assert not {'sqlalchemy', 'alembic'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_commits_are_on_the_disk(images, table):
    with open_store(images, table) as opened, opened._journal.database.write() as connection:
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA busy_timeout")) >= 10_000


def test_renamed_and_moved_images_keep_their_answers(images, table, tmp_path):
    with open_store(images, table) as store:
        store.add([Answer(i, (name,)) for i, name in enumerate(("ant", "bee", "cat", "dog"))])
    photos = tmp_path / "photos"
    (photos / "new").mkdir()
    (photos / "a.png").rename(photos / "new" / "a.png")
    (photos / "b.png").rename(photos / "z.png")
    # Two that changed places, and a copy of one with answers.
    (photos / "c.png").rename(photos / "x.png")
    (photos / "d.png").rename(photos / "c.png")
    (photos / "x.png").rename(photos / "d.png")
    shutil.copy(photos / "c.png", photos / "copy.png")
    photos.rename(tmp_path / "elsewhere")
    moved = load_images(tmp_path / "elsewhere")
    expected = {"new/a.png": "ant", "z.png": "bee", "d.png": "cat", "c.png": "dog"}
    with open_store(moved, table) as store:
        assert {moved.names[i]: names[0] for i, names in store.current().items()} == expected
        store.add([Answer(moved.names.index("e.png"), ("elk",))])
    labels = dict(zip(moved.names, read_labels(table, moved).names(), strict=True))
    assert {name: label for name, label in labels.items() if label} == {**expected, "e.png": "elk"}


def test_answers_of_an_image_that_is_gone_come_back_with_it(images, table, tmp_path):
    with open_store(images, table) as store:
        store.add([Answer(0, ("ant",)), Answer(1, ("bee",))])
    photo = tmp_path / "photos" / "a.png"
    photo.rename(tmp_path / "a.png")
    fewer = load_images(tmp_path / "photos")
    with open_store(fewer, table) as store:
        assert store.current() == {0: ("bee",)}
        assert store.classes() == ["bee"]
        store.add([Answer(1, ("cat",))])
        assert "a.png,ant" in table.read_text()
    (tmp_path / "a.png").rename(photo)
    with open_store(images, table) as store:
        assert store.current() == {0: ("ant",), 1: ("bee",), 2: ("cat",)}


def test_images_in_memory(table):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8), np.uint8)
    with open_store(image_set_from_array(pixels), table) as store:
        store.add([Answer(1, ("cat",)), Answer(2, ("dog",))])
    images = image_set_from_array(pixels[::-1].copy())
    with open_store(images, table) as store:
        assert store.current() == {2: ("cat",), 1: ("dog",)}
        assert read_labels(table, images).names() == ["", "dog", "cat", ""]
