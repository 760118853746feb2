"""The database of the label store: which image is which in it, and the rounds of the model."""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, MultipleResultsFound, NoResultFound

from fewlabel.data import ImageSet
from fewlabel.errors import StorageError, UsageError
from fewlabel.evaluate import AccuracyEstimate
from fewlabel.extras import require
from fewlabel.labelling.schema import HEAD, project, rounds

Point = tuple[int, float, float, float]
"""Labels, accuracy and the ends of its interval."""

# Seconds to wait for another process that writes.
_PATIENCE = 30


class _Database:
    """A database of answers, made or brought up to date when it is opened."""

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)
        with self._reported():
            _upgrade(self._engine, self)

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """Begin a transaction that changes something, one at a time; commit it in the end."""
        options = {"begin": "BEGIN IMMEDIATE", "durable": durable}
        with self._reported(), self._engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                # SQLite has locked the whole file already, and leaves FOR UPDATE out.
                connection.execute(sa.select(project.c.id).with_for_update()).one()
                yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that only reads."""
        with self._reported(), self._engine.begin() as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Return the time in seconds, the same for everybody at this database."""
        if self.is_sqlite:
            return time.time()
        return float(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Say in one line what the database refuses."""
        try:
            yield
        except DBAPIError as error:
            # The first line is the reason; behind it stand the statement and its values.
            reason = str(error.orig).strip().partition("\n")[0].rstrip(".")
            raise StorageError(
                f"The answers in {self} cannot be read or written ({reason}): nothing of this step "
                "was kept there. See that the database runs and has room, then try again."
            ) from error
        except (NoResultFound, MultipleResultsFound, UnicodeDecodeError) as error:
            raise self.damaged(error) from error

    def damaged(self, why: Exception | str) -> StorageError:
        """Return the error for what no fewlabel wrote: damage, or somebody's edit."""
        text = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        return StorageError(
            f"The answers in {self} are damaged ({text}): put a copy in its place, or move it away "
            "and begin anew with the label table."
        )

    def __str__(self) -> str:
        """Return where the database is, without its password."""
        if self.is_sqlite:
            return str(self.url.database)
        return self.url.render_as_string(hide_password=True)


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(
            "The database must be given as postgresql://USER@HOST/NAME, or left out for a SQLite "
            f"file beside the label table. Got {text.partition(':')[0] + ':…'!r} instead."
        )
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite+pysqlite")
    require("psycopg", "A PostgreSQL database")
    return url.set(drivername="postgresql+psycopg")


def _sqlite_engine(url: URL) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        # The driver begins a transaction late and as one that reads, so two writers would meet
        # in its middle: it is begun below.
        connection.isolation_level = None
        _keep_trying(connection, "PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        # Without FULL, a commit in WAL survives the process but not a power cut.
        level = "FULL" if options.get("durable", True) else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.exec_driver_sql(options.get("begin", "BEGIN"))

    return engine


def _keep_trying(connection: Any, statement: str) -> None:
    """Run a statement that does not wait for others as others do."""
    import sqlite3

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _postgres_engine(url: URL) -> Engine:
    # Connections that a restart of the server has cut are made anew.
    return sa.create_engine(url, pool_pre_ping=True)


def _upgrade(engine: Engine, name: _Database) -> None:
    """Bring the tables of a database up to date, or make them."""
    with engine.connect() as connection:
        connection = connection.execution_options(begin="BEGIN IMMEDIATE")
        with connection.begin():
            if not name.is_sqlite:
                # Two processes may open a new database at once; there is no table to lock yet.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(17)"))
            found = _version(connection)
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise UsageError(
                    f"{name} was written by a newer fewlabel (its version is {found}, this one "
                    f"reads up to {HEAD}): update with `pip install -U fewlabel`."
                )
            if found is not None and found not in {f"{n:04}" for n in range(1, int(HEAD))}:
                raise name.damaged(f"a version {found!r:.20}")
            # Imported late: seldom needed, and a third of a second.
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    # A file that somebody has edited may hold anything there.
    return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))


class _ImageRows:
    """Which image of a set is which in the database: by name and content, else by content."""

    def __init__(self, images: ImageSet) -> None:
        self.last = 0
        self.row_of: dict[int, int] = {}
        self.id_of: dict[int, int] = {}
        # Under names that are not among the images.
        self.before: dict[str, int | None] = {}
        self._images = images
        self._index_of = {name: row for row, name in enumerate(images.names)}
        self._by_digest: dict[str, list[int]] | None = None

    def digests(self, rows: Sequence[int]) -> list[str]:
        """Return the fingerprints of some images; of arrays they take time."""
        return self._images.subset(np.asarray(rows, dtype=np.int64)).content_digests()

    def extend(self, records: Sequence[Any]) -> None:
        """Add images of the database that are new there."""
        named = [(one, self._index_of[one.name]) for one in records if one.name in self._index_of]
        found = self.digests([row for _, row in named])
        for (one, row), digest in zip(named, found, strict=True):
            if digest == one.digest:
                self._set(one, row)
        for one in records:
            self.last = one.id
            if one.id not in self.row_of:
                # Renamed, moved, or gone.
                found_row = self._by_content(one)
                if found_row is not None:
                    self._set(one, found_row)
                if one.name not in self._index_of and self.before.get(one.name) is None:
                    self.before[one.name] = found_row

    def _set(self, record: Any, row: int) -> None:
        self.row_of[record.id] = row
        self.id_of.setdefault(row, record.id)

    def _by_content(self, record: Any) -> int | None:
        if self._by_digest is None:
            self._by_digest = {}
            for row, digest in enumerate(self._images.content_digests()):
                self._by_digest.setdefault(digest, []).append(row)
        # Of copies, one that has no answers of its own; first of all of the same file name.
        free = [row for row in self._by_digest.get(record.digest, ()) if row not in self.id_of]
        last = record.name.rpartition("/")[2]
        same = [row for row in free if self._images.names[row].rpartition("/")[2] == last]
        return next(iter(same or free), None)


@dataclass(frozen=True)
class PastRound:
    """A round of the model.

    Attributes
    ----------
    number : int
        Its number; where several machines learn from one database, two may have the same.
    at : datetime
        When it was there.
    n_labels : int
        Labels that it learned from.
    value, low, high : float or None
        Estimated accuracy and its interval; None where nothing was known of it.
    """

    number: int
    at: datetime
    n_labels: int
    value: float | None
    low: float | None
    high: float | None

    @property
    def point(self) -> Point:
        """The same for the learning curve, NaN where nothing was known."""
        known = [math.nan if v is None else v for v in (self.value, self.low, self.high)]
        return self.n_labels, *known  # type: ignore[return-value]


def _keep(connection: Connection, number: int, n_labels: int, found: AccuracyEstimate) -> None:
    """Add a round."""
    values = {"value": found.value, "low": found.low, "high": found.high}
    known = {name: float(v) if math.isfinite(v) else None for name, v in values.items()}
    row = {"number": number, "at": datetime.now(UTC), "n_labels": n_labels}
    connection.execute(rounds.insert(), row | known)


def _kept(connection: Connection) -> list[PastRound]:
    """Return all rounds, the first one first."""
    rows = connection.execute(rounds.select().order_by(rounds.c.id)).all()
    return [PastRound(r.number, _in_utc(r.at), r.n_labels, r.value, r.low, r.high) for r in rows]


def _in_utc(at: datetime) -> datetime:
    """Return a time with its zone, which SQLite does not keep."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
