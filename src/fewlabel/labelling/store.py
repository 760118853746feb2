"""The store of answers: every answer is kept before it is acknowledged, and the table follows."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewlabel.data import ImageSet, Labels, MultiLabel, SingleLabel
from fewlabel.data.label_rows import PURPOSES
from fewlabel.errors import LabelError, StorageError, UsageError
from fewlabel.extras import check_installed
from fewlabel.labelling.answers import (
    Answer,
    _cell_of,
    _check_annotator,
    _check_answer,
    _check_class_name,
    _Event,
    _Log,
)
from fewlabel.labelling.table import _digest_of, _LabelTable, _Stamp, _TableContent

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fewlabel.labelling.database import _Database

__all__ = ["Answer", "Store", "open_store"]

# Programs write a file in pieces: one that has just changed may not be whole.
_QUIET = 0.3


def open_store(
    images: ImageSet,
    table: str | Path,
    url: str | None = None,
    several: bool = False,
    repeats: int = 1,
) -> Store:
    """Open the answers to a set of images, or begin them.

    Parameters
    ----------
    images : ImageSet
        What is labeled.
    table : str or Path
        The label table (CSV), there or not. Its labels are taken in, and it is written after
        every answer.
    url : str, optional
        A PostgreSQL database, ``postgresql://USER@HOST/NAME``, for several machines. By default
        a SQLite file beside the table, such as ``labels.answers.db``.
    several : bool
        Whether an image may have several labels. It may, too, if the table says so, or if the
        store was begun with it.
    repeats : int
        How many annotators are to answer each image.

    Returns
    -------
    Store
        The answers.

    Raises
    ------
    LabelError
        If the table cannot be read, or contradicts the answers.
    UsageError
        If the database is of a newer version, or the URL is none.
    StorageError
        If the database cannot be reached or written to.
    MissingExtraError
        If SQLAlchemy, or the driver of PostgreSQL, is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from fewlabel.data import load_images
    >>> folder = Path(tempfile.mkdtemp())
    >>> with open_store(load_images("digits"), folder / "labels.csv") as store:
    ...     _ = store.add([Answer(7, ("two",)), Answer(3, ("one",))])
    ...     store.current()
    {7: ('two',), 3: ('one',)}
    >>> (folder / "labels.csv").read_text().split()
    ['index,label', '7,two', '3,one']
    """
    for package in ("sqlalchemy", "alembic"):
        check_installed(package, "Labeling")
    if repeats < 1:
        raise UsageError(f"The 'repeats' parameter must be 1 or more. Got {repeats} instead.")
    from fewlabel.labelling.database import _Database

    label_table = _LabelTable(table, images)
    if url is None:
        file = label_table.path.with_suffix(".answers.db").absolute()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{file} cannot be written ({error.strerror}): give another label table."
            ) from error
        url = f"sqlite:///{file}"
    store = Store(images, label_table, _Database(url), repeats)
    try:
        store._open(several)
    except BaseException:
        store.close()
        raise
    return store


class Store:
    """Answers to a set of images; made by `open_store`.

    It may be used from several threads, and several processes may share its database.

    Attributes
    ----------
    several : bool
        Whether an image may have several labels.
    repeats : int
        How many annotators are to answer each image.
    table_error : str or None
        Why the label table was not read or written the last time. The answers are kept all the
        same, and the table is left as it is until that is mended.
    """

    def __init__(
        self, images: ImageSet, table: _LabelTable, database: _Database, repeats: int
    ) -> None:
        self.several = False
        self.repeats = repeats
        self.table_error: str | None = None
        self._images, self._table, self._database = images, table, database
        self._mutex = threading.RLock()
        self._rows = _ImageRows(images)
        self._log = _Log(repeats=repeats)
        self._stamp: _Stamp | None = None
        self._is_blocked = False
        self._place = "" if database.is_sqlite else f"{socket.gethostname()}:{table.path.resolve()}"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # Answers

    def add(self, answers: Sequence[Answer]) -> list[Answer]:
        """Keep answers, in one transaction; they are on the disk when this returns.

        The label table is written then. Whether that worked, `table_error` says.

        Parameters
        ----------
        answers : sequence of Answer
            What somebody said.

        Returns
        -------
        list of Answer
            The same with number and time.

        Raises
        ------
        UsageError
            If one of them is no answer to these images. None is kept then.
        StorageError
            If they cannot be kept.
        """
        with self._mutex:
            n, known = len(self._images), frozenset(self._log.classes())
            checked = [
                _check_answer(a, n_images=n, several=self.several, classes=known) for a in answers
            ]
            if not checked:
                return []
            with self._writing() as connection:
                self._take(connection)
                kept = self._insert(connection, checked)
            self._write_table()
            return kept

    def undo(self, annotator: str) -> Answer | None:
        """Revoke the last answer of an annotator that stands; what stood before stands again.

        Parameters
        ----------
        annotator : str
            Who takes it back.

        Returns
        -------
        Answer or None
            What was revoked; None if there is nothing.

        Raises
        ------
        StorageError
            If that cannot be kept.
        """
        with self._mutex:
            with self._writing() as connection:
                self._take(connection)
                last = self._log.last_of(_check_annotator(annotator))
                if last is None:
                    return None
                self._event(connection, "undo", annotator, target=last.id)
                self._refresh(connection)
            self._write_table()
            return self._log.answers[last.id or 0]

    def current(self) -> dict[int, tuple[str, ...]]:
        """Return the labels that stand.

        Returns
        -------
        dict of int to tuple of str
            Of each labeled image: the last answer; where several annotators are asked, what most
            of them say.
        """
        with self._fresh() as log:
            return dict(log.current)

    def labels(self) -> Labels:
        """Return the labels that stand, as `fewlabel.data.read_labels` reads them from the table.

        Returns
        -------
        Labels
            Of all images, -1 where unlabeled.
        """
        with self._fresh() as log:
            everywhere = range(len(self._images))
            texts = [_cell_of(log.current.get(i), several=self.several) for i in everywhere]
            purpose = tuple(log.purposes.get(i, "") for i in everywhere) if log.purposes else ()
        task = MultiLabel() if self.several else SingleLabel()
        y, classes = task.parse(texts, list(self._images.names), None)
        return Labels(y, classes, purpose, str(self._table.path))

    def skipped(self) -> set[int]:
        """Return the images that somebody skipped and nobody has labeled.

        Returns
        -------
        set of int
            Rows of the image set.
        """
        with self._fresh() as log:
            return {i for i in log.by_image if i not in log.current and log.standing(i)}

    def history(self, image: int) -> list[Answer]:
        """Return everything that was ever said of an image.

        Parameters
        ----------
        image : int
            Row of the image set.

        Returns
        -------
        list of Answer
            Oldest first, with the names that the classes had then.
        """
        with self._fresh() as log:
            return [log.answers[i] for i in log.by_image.get(image, ())]

    def version(self) -> int:
        """Return a number that grows with everything that is kept, whoever kept it.

        Returns
        -------
        int
            Number of the last event.
        """
        with self._fresh() as log:
            return log.last

    # What to ask

    def purposes(self) -> dict[int, str]:
        """Return why images were chosen.

        Returns
        -------
        dict of int to str
            ``"train"``, ``"random"`` or ``"audit"``, as in the column `purpose` of the table.
        """
        with self._fresh() as log:
            return dict(log.purposes)

    def ask(self, images: Iterable[int], purposes: Iterable[str]) -> None:
        """Note which images were chosen, and why: they get rows in the label table.

        Parameters
        ----------
        images : iterable of int
            Rows of the image set.
        purposes : iterable of str
            ``"train"``, ``"random"`` or ``"audit"`` of each.

        Raises
        ------
        UsageError
            If a purpose or an image is none.
        StorageError
            If that cannot be kept.
        """
        chosen = dict(zip(map(int, images), map(str, purposes), strict=True))
        for image, purpose in chosen.items():
            if purpose not in PURPOSES or not 0 <= image < len(self._images):
                raise UsageError(f"Image {image} cannot be asked for as {purpose!r}.")
        with self._mutex:
            with self._writing() as connection:
                self._take(connection)
                self._ask(connection, chosen)
            self._write_table()

    def lease(
        self, annotator: str, wanted: Iterable[int], n: int, seconds: float = 120
    ) -> list[int]:
        """Give an annotator images to answer that nobody else is at.

        Parameters
        ----------
        annotator : str
            Who is to answer.
        wanted : iterable of int
            Rows of the image set, the most useful first; no more of it is read than needed.
        n : int
            How many to give.
        seconds : float
            After which others may have them.

        Returns
        -------
        list of int
            The first of them that nobody else holds and that lack an answer of this annotator.

        Raises
        ------
        StorageError
            If the database cannot be written to.
        """
        from fewlabel.labelling import schema

        annotator = _check_annotator(annotator)
        leases = schema.leases.c
        with self._writing(durable=False) as connection:
            now = self._database.now(connection)
            others = schema.leases.select().where(leases.annotator != annotator, leases.until > now)
            held = {self._rows.row_of.get(one.image_id) for one in connection.execute(others)}
            found: list[int] = []
            for image in wanted:
                if len(found) >= n:
                    break
                if image not in held and self._log.is_open(image, annotator):
                    found.append(int(image))
            ids = self._ids(connection, found)
            connection.execute(schema.leases.delete().where(leases.image_id.in_(ids)))
            until = now + seconds
            rows = [{"image_id": i, "annotator": annotator, "until": until} for i in ids]
            if rows:
                connection.execute(schema.leases.insert(), rows)
            return found

    def release(self, annotator: str) -> None:
        """Let others have the images that an annotator was given and has not answered.

        Parameters
        ----------
        annotator : str
            Who leaves.
        """
        from fewlabel.labelling.schema import leases

        with self._mutex, self._database.write(durable=False) as connection:
            connection.execute(leases.delete().where(leases.c.annotator == annotator))

    # Classes

    def classes(self) -> list[str]:
        """Return the names of the classes.

        Returns
        -------
        list of str
            In the order in which they first appeared.
        """
        with self._fresh() as log:
            return log.classes()

    def add_class(self, name: str, annotator: str = "") -> None:
        """Add a class that no image has yet.

        Parameters
        ----------
        name : str
            Its name.
        annotator : str
            Who adds it.

        Raises
        ------
        UsageError
            If no table could hold such a name.
        """
        name = _check_class_name(name)
        self._change_classes("class", lambda log: name in log.classes(), annotator, [name])

    def rename_class(self, old: str, new: str, annotator: str = "") -> None:
        """Rename a class everywhere; to the name of another one, they become one.

        Parameters
        ----------
        old : str
            Its name.
        new : str
            Its new name.
        annotator : str
            Who renames it.

        Raises
        ------
        UsageError
            If there is no such class, or no table could hold the new name.
        """
        new = _check_class_name(new)

        def needless(log: _Log) -> bool:
            if old not in log.classes():
                known = ", ".join(map(repr, log.classes()[:10]))
                raise UsageError(f"There is no class {old!r}; the classes are {known}.")
            return old == new

        self._change_classes("rename", needless, annotator, [old, new])

    def undo_class_change(self, annotator: str = "") -> tuple[str, ...] | None:
        """Take back the last new or renamed class.

        Parameters
        ----------
        annotator : str
            Who takes it back.

        Returns
        -------
        tuple of str or None
            The name of the class, or its old and new name; None if there is nothing.
        """
        with self._mutex:
            with self._writing() as connection:
                self._take(connection)
                if not self._log.class_changes:
                    return None
                last = self._log.class_changes[-1]
                self._event(connection, "undo", annotator, target=last.id)
                self._refresh(connection)
            self._write_table()
            return last.names

    # The label table

    def take_table(self) -> int:
        """Take in what a person has changed in the label table, and write it if it lacks answers.

        Returns
        -------
        int
            How many labels were taken. A table that is wrong is left alone: `table_error` says
            what is wrong.

        Raises
        ------
        StorageError
            If the database cannot be written to.
        """
        with self._mutex:
            with self._fresh() as log:
                # Nearly always nothing has changed: a poll should write nothing.
                if self._table.stamp() == self._stamp and self._is_written(log):
                    return 0
            return self._write_table()

    def _open(self, several: bool) -> None:
        """Read what is there, and take the table in; raise what is wrong with it."""
        from fewlabel.labelling.schema import project

        while True:
            with self._writing() as connection:
                query = project.select().with_only_columns(project.c.several)
                self.several = bool(connection.scalar(query))
                self._log = _Log(self.several, self.repeats)
                self._refresh(connection)
                if several and not self.several:
                    self._become_several(connection)
                self._take(connection)
            if self.table_error is not None:
                raise LabelError(self.table_error)
            if not self._is_blocked:
                break
            time.sleep(_QUIET / 10)
        if self._log.current or self._log.purposes:
            self._write_table()

    def _become_several(self, connection: Connection) -> None:
        from fewlabel.labelling.schema import project

        connection.execute(project.update().values(several=True))
        self.several = True
        self._reload(connection)

    @contextlib.contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Begin a transaction, with all that others have kept; forget all where it fails."""
        with self._mutex:
            try:
                with self._database.write(durable=durable) as connection:
                    self._refresh(connection)
                    yield connection
            except BaseException:
                # What was read within the transaction is not there any more.
                self._rows = _ImageRows(self._images)
                self._log = _Log(self.several, self.repeats)
                raise

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[_Log]:
        """Give what follows from all that anybody has kept."""
        with self._mutex:
            with self._database.read() as connection:
                self._refresh(connection)
            yield self._log

    def _refresh(self, connection: Connection) -> None:
        """Read what was kept since the last time."""
        from fewlabel.labelling import schema

        new = schema.images.select().where(schema.images.c.id > self._rows.last)
        self._rows.extend(connection.execute(new.order_by(schema.images.c.id)).all())
        if not self._log.extend(self._events(connection, self._log.last)):
            self._reload(connection)

    def _reload(self, connection: Connection) -> None:
        self._log = _Log(self.several, self.repeats)
        self._log.extend(self._events(connection, 0))

    def _events(self, connection: Connection, after: int, until: int | None = None) -> list[_Event]:
        from fewlabel.labelling.schema import events

        query = events.select().where(events.c.id > after).order_by(events.c.id)
        if until is not None:
            query = query.where(events.c.id <= until)
        return [self._event_of(row) for row in connection.execute(query)]

    def _event_of(self, row: Any) -> _Event:
        image = self._rows.row_of.get(row.image_id)
        labels = None if row.labels is None else tuple(row.labels)
        if row.kind != "answer" or image is None:
            values = (image, labels or (), row.purpose or "", row.target)
            return _Event(row.id, row.kind, None, *values)
        answer = Answer(
            image,
            labels,
            row.annotator,
            row.seconds,
            row.origin,
            None if row.suggested is None else tuple(row.suggested),
            row.confidence,
            row.round,
            # SQLite keeps no time zone.
            row.at.replace(tzinfo=UTC) if row.at.tzinfo is None else row.at.astimezone(UTC),
            row.id,
        )
        return _Event(row.id, "answer", answer, image)

    # What is written, within a transaction

    def _insert(self, connection: Connection, answers: Sequence[Answer]) -> list[Answer]:
        """Keep answers and end the leases on their images."""
        from fewlabel.labelling.schema import events, leases

        ids = self._ids(connection, [answer.image for answer in answers])
        at = datetime.now(UTC)
        rows = [
            {
                "at": at,
                "kind": "answer",
                "annotator": answer.annotator,
                "image_id": number,
                "labels": None if answer.labels is None else list(answer.labels),
                "seconds": answer.seconds,
                "origin": answer.origin,
                "suggested": None if answer.suggested is None else list(answer.suggested),
                "confidence": answer.confidence,
                "round": answer.round,
            }
            for number, answer in zip(ids, answers, strict=True)
        ]
        connection.execute(events.insert(), rows)
        for answer, number in zip(answers, ids, strict=True):
            mine = (leases.c.image_id == number, leases.c.annotator == answer.annotator)
            connection.execute(leases.delete().where(*mine))
        self._refresh(connection)
        newest = islice(reversed(self._log.answers.values()), len(answers))
        return list(newest)[::-1]

    def _event(self, connection: Connection, kind: str, annotator: str = "", **values: Any) -> None:
        from fewlabel.labelling.schema import events

        row = {"at": datetime.now(UTC), "kind": kind, "annotator": annotator, **values}
        connection.execute(events.insert().values(row))

    def _ask(self, connection: Connection, chosen: Mapping[int, str]) -> int:
        """Note purposes that are new; return how many."""
        new = {i: why for i, why in chosen.items() if self._log.purposes.get(i) != why}
        for number, why in zip(self._ids(connection, list(new)), new.values(), strict=True):
            self._event(connection, "purpose", image_id=number, purpose=why)
        self._refresh(connection)
        return len(new)

    def _ids(self, connection: Connection, rows: Sequence[int]) -> list[int]:
        """Return the numbers of images in the database; new ones are added."""
        from fewlabel.labelling.schema import images

        new = list(dict.fromkeys(row for row in rows if row not in self._rows.id_of))
        if new:
            pairs = zip(new, self._rows.digests(new), strict=True)
            values = [{"digest": d, "name": self._images.names[row]} for row, d in pairs]
            connection.execute(images.insert(), values)
            self._refresh(connection)
        return [self._rows.id_of[row] for row in rows]

    def _change_classes(
        self, kind: str, is_needless: Callable[[_Log], bool], annotator: str, names: list[str]
    ) -> None:
        with self._mutex:
            with self._writing() as connection:
                self._take(connection)
                if is_needless(self._log):
                    return
                self._event(connection, kind, _check_annotator(annotator), labels=names)
                self._refresh(connection)
            self._write_table()

    # The label table, within a transaction

    def _write_table(self) -> int:
        """Write the table if it lacks something, after what a person has changed was taken."""
        with self._writing(durable=False) as connection:
            taken = self._take(connection)
            log = self._log
            if self._is_blocked or self._is_written(log):
                return taken
            try:
                self._table.write(log.current, log.purposes, several=self.several)
            except StorageError as error:
                # The answers are kept, and the next one tries again.
                self.table_error = str(error)
                return taken
            self._stamp, self.table_error = self._table.stamp(), None
            self._record(connection)
        return taken

    def _is_written(self, log: _Log) -> bool:
        return self._stamp is not None and self._table.shows(log.current, log.purposes)

    def _record(self, connection: Connection) -> None:
        """Note what the table holds now, to know later whether a person has changed it."""
        from fewlabel.labelling.schema import tables

        connection.execute(tables.delete().where(tables.c.place == self._place))
        state = {"place": self._place, "digest": self._table.digest, "version": self._log.last}
        connection.execute(tables.insert().values(state))

    def _take(self, connection: Connection) -> int:
        """Take in what a person has changed in the table; note what is wrong with it."""
        try:
            stamp = self._table.stamp()
            if stamp == self._stamp:
                return 0
            # Until it is taken, the table must not be written over.
            self._is_blocked = True
            taken = self._take_changed(connection, stamp)
        except LabelError as error:
            self._stamp, self.table_error = stamp, str(error)
            return 0
        if taken is None:
            return 0
        self._stamp, self.table_error, self._is_blocked = stamp, None, False
        return taken

    def _take_changed(self, connection: Connection, stamp: _Stamp | None) -> int | None:
        """Take in a table that is not as it was; None if it may not be whole yet."""
        from fewlabel.labelling.schema import tables

        data = None if stamp is None else self._table.data()
        if data is None or _digest_of(data) == self._table.digest:
            return 0
        mine = tables.c.place == self._place
        record = connection.execute(tables.select().where(mine)).one_or_none()
        if record is not None and record.digest == _digest_of(data):
            self._table.read(data, self._rows.before)
            return 0
        if stamp is not None and 0 <= time.time() - stamp[0] / 1e9 < _QUIET:
            return None
        content = self._table.read(data, self._rows.before)
        base: dict[int, tuple[str, ...]] = {}
        if record is not None:
            log = _Log(self.several, self.repeats)
            log.extend(self._events(connection, 0, record.version))
            base = log.current
        elif self._log.answers:
            self._check_agrees(content)
        if content.several and not self.several:
            if self._log.answers:
                raise LabelError(
                    f"{self._table.path} gives images several labels, but the answers are one "
                    "label an image: take the bars out of it."
                )
            self._become_several(connection)
        taken = self._take_edits(connection, content, base)
        self._record(connection)
        return taken

    def _check_agrees(self, content: _TableContent) -> None:
        """Raise if a table that was never written contradicts answers: neither is to be lost."""
        stands = self._log.current
        for image, labels in content.labels.items():
            if labels is not None and stands.get(image, labels) != labels:
                texts = (_cell_of(found, several=self.several) for found in (labels, stands[image]))
                said, kept = texts
                raise LabelError(
                    f"{self._table.path} labels {self._images.names[image]} {said!r}, but the "
                    f"answers in {self._database} say {kept!r}: give another label table, which "
                    "will be written anew."
                )

    def _take_edits(
        self, connection: Connection, content: _TableContent, base: Mapping[int, tuple[str, ...]]
    ) -> int:
        current = self._log.current
        edits = {
            image: labels
            for image, labels in content.labels.items()
            if labels not in (base.get(image), current.get(image))
        }
        given = [
            Answer(i, labels, origin="table") for i, labels in edits.items() if labels is not None
        ]
        for image in edits.keys() - {answer.image for answer in given}:
            # A label that was blanked: nobody has labeled the image.
            for answer in self._log.standing(image):
                self._event(connection, "undo", target=answer.id)
        if given:
            self._insert(connection, given)
        return len(edits) + self._ask(connection, content.purposes)


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
