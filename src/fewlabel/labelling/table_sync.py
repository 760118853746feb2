"""The label table and the answers brought together, whoever changed which of them."""

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping

from sqlalchemy.engine import Connection

from fewlabel.errors import LabelError, StorageError
from fewlabel.labelling.answers import Answer, _Log
from fewlabel.labelling.journal import _Journal
from fewlabel.labelling.schema import tables
from fewlabel.labelling.table import _digest_of, _LabelTable, _Stamp, _TableContent

# Programs write a file in pieces: one that has just changed may not be whole.
_QUIET = 0.3
# No file has this time and size.
_UNKNOWN: _Stamp = (-1, -1, -1)


class _TableSync:
    """Takes in what a person has changed in the table, and writes what it lacks."""

    def __init__(self, journal: _Journal, table: _LabelTable) -> None:
        self.error: str | None = None
        self.table = table
        self._journal = journal
        self._stamp: _Stamp | None = None
        # Whether the file holds something that was not taken: it is not written over then.
        self._is_blocked = False
        # The folder of a SQLite file may be moved, and with it the table.
        is_sqlite = journal.database.is_sqlite
        self._place = "" if is_sqlite else f"{socket.gethostname()}:{table.path.resolve()}"

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Begin a transaction in which the table may be taken in."""
        with self._journal.mutex:
            try:
                with self._journal.writing(durable=durable) as connection:
                    yield connection
            except BaseException:
                # What was taken is not kept: it is to be taken again.
                self._stamp, self.table.digest = _UNKNOWN, ""
                raise

    def open(self) -> None:
        """Take the table in as it is found, or raise what is wrong with it."""
        while True:
            with self.writing() as connection:
                self.take(connection)
            if self.error is not None:
                raise LabelError(self.error)
            if not self._is_blocked:
                break
            time.sleep(_QUIET / 10)
        self.write()

    def is_current(self, log: _Log) -> bool:
        """Return whether there is nothing to take, and nothing to write."""
        return self.table.stamp() == self._stamp and self._is_written(log)

    def write(self) -> int:
        """Write the table if it lacks something; return how many changes were taken before."""
        # Of what the table holds, everything is in the answers: there is nothing to wait for.
        with self.writing(durable=False) as connection:
            taken = self.take(connection)
            log = self._journal.log
            if self._is_blocked or self._is_written(log):
                return taken
            try:
                self._stamp = self.table.write(log.current, log.purposes, log.task)
                self.error = None
            except (StorageError, LabelError) as error:
                # The answers are kept, and the next one tries again.
                self.error = str(error)
                return taken
            self._record(connection)
        return taken

    def take(self, connection: Connection) -> int:
        """Take in what a person has changed; note what is wrong with it."""
        stamp = None
        try:
            stamp = self.table.stamp()
            if stamp == self._stamp:
                return 0
            self._is_blocked = True
            taken = self._take_changed(connection, stamp)
        except LabelError as error:
            self._stamp, self.error = stamp, str(error)
            return 0
        if taken is None:
            return 0
        self._stamp, self.error, self._is_blocked = stamp, None, False
        return taken

    def _is_written(self, log: _Log) -> bool:
        if self._stamp is None and not (log.current or log.purposes):
            return True
        return self._stamp is not None and self.table.shows(log.current, log.purposes)

    def _take_changed(self, connection: Connection, stamp: _Stamp | None) -> int | None:
        """Take in a table that is not as it was; None if it may not be whole yet."""
        data = None if stamp is None else self.table.data()
        if data is None or _digest_of(data) == self.table.digest:
            return 0
        mine = tables.select().where(tables.c.place == self._place)
        record = connection.execute(mine).one_or_none()
        before = self._journal.rows.before
        if record is not None and record.digest == _digest_of(data):
            # Another process wrote it, or this one when it ran before.
            self.table.read(data, before)
            return 0
        if record is not None and not data.strip():
            # A power cut has taken it; it is written again.
            return 0
        if stamp is not None and 0 <= time.time() - stamp[0] / 1e9 < _QUIET:
            return None
        content = self.table.read(data, before)
        base: dict[int, tuple[str, ...]] = {}
        if record is not None:
            base = self._journal.log_until(connection, record.version).current
        elif self._journal.log.answers:
            self._check_agrees(content)
        if content.several and self._journal.task.exclusive:
            if self._journal.log.answers:
                raise LabelError(
                    f"{self.table.path} gives images several labels, but the answers are one "
                    "label an image: take the bars out of it."
                )
            self._journal.change(connection, several=True)
        taken = self._take_edits(connection, content, base)
        self._record(connection)
        return taken

    def _check_agrees(self, content: _TableContent) -> None:
        """Raise if a table that was never written contradicts answers: neither is to be lost."""
        log = self._journal.log
        for image, labels in content.labels.items():
            if labels is not None and log.current.get(image, labels) != labels:
                said = log.task.cell(labels)
                kept = log.task.cell(log.current[image])
                raise LabelError(
                    f"{self.table.path} labels {self._journal.images.names[image]} {said!r}, but "
                    f"the answers in {self._journal.database} say {kept!r}: give another label "
                    "table, which will be written anew."
                )

    def _take_edits(
        self, connection: Connection, content: _TableContent, base: Mapping[int, tuple[str, ...]]
    ) -> int:
        log = self._journal.log
        edits = {
            image: labels
            for image, labels in content.labels.items()
            # What differs from what was written was edited; what is said already is no edit.
            if labels not in (base.get(image), log.current.get(image))
        }
        given = [
            Answer(i, found, origin="table") for i, found in edits.items() if found is not None
        ]
        # A row that is gone is written again; only a label that was blanked is taken back.
        blanked = [image for image, labels in edits.items() if labels is None]
        targets = [answer.id or 0 for image in blanked for answer in log.standing(image)]
        self._journal.undo(connection, "", targets)
        if given:
            self._journal.add(connection, given)
        return len(edits) + self._journal.ask(connection, content.purposes)

    def _record(self, connection: Connection) -> None:
        """Note what the table holds now, to know later whether a person has changed it."""
        connection.execute(tables.delete().where(tables.c.place == self._place))
        version = self._journal.log.last
        state = {"place": self._place, "digest": self.table.digest, "version": version}
        connection.execute(tables.insert().values(state))
