"""Events in the database, and what follows from them, kept up to date in memory."""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from fewlabel.data import ImageSet, MultiLabel, SingleLabel, Task
from fewlabel.labelling.answers import Answer, _Event, _Log
from fewlabel.labelling.database import _Database, _ImageRows, _in_utc
from fewlabel.labelling.schema import events, images, leases, project

# One key takes back as many answers as one key gave.
_TOGETHER = ("group", "review")


class _Journal:
    """The events of a store, for several threads; other processes may add to them."""

    def __init__(
        self, image_set: ImageSet, url: str, *, several: bool, repeats: int | None
    ) -> None:
        self.database = _Database(url)
        self.images = image_set
        self.mutex = threading.RLock()
        self._forget(_Log())
        with self.writing() as connection:
            if several:
                self.change(connection, several=True)
            if repeats not in (None, self.repeats):
                self.change(connection, repeats=repeats)

    @property
    def task(self) -> Task:
        """One label an image, or several."""
        return self.log.task

    @property
    def repeats(self) -> int:
        """How many annotators are to answer each image."""
        return self.log.repeats

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Begin a transaction, with all that others have kept; commit it in the end."""
        with self.mutex:
            try:
                with self.database.write(durable=durable) as connection:
                    self.refresh(connection)
                    yield connection
            except BaseException:
                # What was read within the transaction is not there any more.
                self._forget(self.log)
                raise

    @contextlib.contextmanager
    def fresh(self) -> Iterator[_Log]:
        """Give what follows from all that anybody has kept."""
        with self.mutex:
            with self.database.read() as connection:
                self.refresh(connection)
            yield self.log

    def refresh(self, connection: Connection) -> None:
        """Read what was kept since the last time, also how many labels and annotators there are."""
        several, repeats = connection.execute(select(project.c.several, project.c.repeats)).one()
        task = MultiLabel() if several else SingleLabel()
        if (task, repeats) != (self.task, self.repeats):
            self.log = _Log(task, repeats)
        with self._sound():
            self.log.extend(self._events(connection, self.log.last))

    def change(self, connection: Connection, **values: bool | int | None) -> None:
        """Let images have several labels, or so many annotators, from now on."""
        connection.execute(project.update().values(**values))
        self.refresh(connection)

    def log_until(self, connection: Connection, version: int) -> _Log:
        """Return what followed from the events up to one of them."""
        log = _Log(self.task, self.repeats)
        with self._sound():
            log.extend(self._events(connection, 0, version))
        return log

    # What is added, within a transaction

    def add(
        self, connection: Connection, answers: Sequence[Answer], batch: int | None = None
    ) -> list[Answer]:
        """Keep answers, in the batch of earlier ones if given; end the leases of who gave them."""
        ids = self.ids(connection, [answer.image for answer in answers])
        batch = batch or self.log.last + 1
        rows = [
            {
                "annotator": answer.annotator,
                "image_id": number,
                "labels": None if answer.labels is None else list(answer.labels),
                "seconds": answer.seconds,
                "origin": answer.origin,
                "suggested": None if answer.suggested is None else list(answer.suggested),
                "confidence": answer.confidence,
                "round": answer.round,
                "batch": batch if answer.origin in _TOGETHER else None,
            }
            for number, answer in zip(ids, answers, strict=True)
        ]
        self.keep(connection, "answer", "", rows)
        ended = leases.delete().where(
            leases.c.image_id == bindparam("image"), leases.c.annotator == bindparam("by")
        )
        pairs = [{"image": row["image_id"], "by": row["annotator"]} for row in rows]
        connection.execute(ended, pairs)
        newest = islice(reversed(self.log.answers.values()), len(answers))
        return list(newest)[::-1]

    def keep(
        self, connection: Connection, kind: str, annotator: str, rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """Keep events of one kind."""
        common = {"at": datetime.now(UTC), "kind": kind, "annotator": annotator}
        # All at once: of an acceptance there may be tens of thousands.
        if added := [{**common, **row} for row in rows]:
            connection.execute(events.insert(), added)
            self.refresh(connection)

    def undo(self, connection: Connection, annotator: str, targets: Sequence[int]) -> None:
        """Revoke events."""
        self.keep(connection, "undo", annotator, [{"target": target} for target in targets])

    def ask(self, connection: Connection, chosen: Mapping[int, str]) -> int:
        """Note purposes that are new; return how many."""
        new = {i: why for i, why in chosen.items() if self.log.purposes.get(i) != why}
        pairs = zip(self.ids(connection, list(new)), new.values(), strict=True)
        rows = [{"image_id": number, "purpose": why} for number, why in pairs]
        self.keep(connection, "purpose", "", rows)
        return len(new)

    def lease(
        self,
        connection: Connection,
        annotator: str,
        page: str,
        wanted: Iterator[int],
        n: int,
        seconds: float,
    ) -> list[int]:
        """Give an annotator at a page images that nobody else holds."""
        self._read_images(connection)
        now = self.database.now(connection)
        other = (leases.c.annotator != annotator) | (leases.c.page != page)
        others = leases.select().where(other, leases.c.until > now)
        held = {self.rows.row_of.get(lease.image_id) for lease in connection.execute(others)}
        free = (i for i in wanted if i not in held and self.log.is_open(i, annotator))
        found = []
        for image in islice(free, n):
            found.append(int(image))
            # Each once, though it be wanted twice.
            held.add(image)
        if found:
            ids = self.ids(connection, found)
            # Those that have run out, or are this annotator's own.
            connection.execute(leases.delete().where(leases.c.image_id.in_(ids)))
            lease = {"annotator": annotator, "page": page, "until": now + seconds}
            connection.execute(leases.insert(), [{"image_id": i, **lease} for i in ids])
        return found

    def release(self, connection: Connection, annotator: str, page: str) -> None:
        """End the leases of an annotator at a page."""
        own = (leases.c.annotator == annotator, leases.c.page == page)
        connection.execute(leases.delete().where(*own))

    def ids(self, connection: Connection, rows: Sequence[int]) -> list[int]:
        """Return the numbers of images in the database; new ones are added."""
        if any(row not in self.rows.id_of for row in rows):
            # Another process may have added them.
            self._read_images(connection)
            new = list(dict.fromkeys(row for row in rows if row not in self.rows.id_of))
            pairs = zip(new, self.rows.digests(new), strict=True)
            values = [{"digest": d, "name": self.images.names[row]} for row, d in pairs]
            if values:
                connection.execute(images.insert(), values)
                self._read_images(connection)
        return [self.rows.id_of[row] for row in rows]

    # What is read

    def _forget(self, log: _Log) -> None:
        self.rows = _ImageRows(self.images)
        self.log = _Log(log.task, log.repeats)

    def _read_images(self, connection: Connection) -> None:
        new = images.select().where(images.c.id > self.rows.last).order_by(images.c.id)
        with self._sound():
            found = connection.execute(new).all()
            _check_texts(text for image in found for text in (image.digest, image.name))
            self.rows.extend(found)

    def _events(self, connection: Connection, after: int, until: int | None = None) -> list[_Event]:
        query = events.select().where(events.c.id > after).order_by(events.c.id)
        if until is not None:
            query = query.where(events.c.id <= until)
        found = connection.execute(query).all()
        if any((event.image_id or 0) > self.rows.last for event in found):
            self._read_images(connection)
        return [self._event_of(row) for row in found]

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """Say of rows that no fewlabel wrote what they are: damage, or somebody's edit."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise self.database.damaged(error) from error

    def _event_of(self, row: Any) -> _Event:
        _check_texts((row.kind, row.annotator, row.purpose or "", row.origin or ""))
        _check_texts([*(row.labels or ()), *(row.suggested or ())])
        image = self.rows.row_of.get(row.image_id)
        labels = None if row.labels is None else tuple(row.labels)
        if row.kind == "answer" and labels is not None:
            self.task.check_names(labels)
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
            _in_utc(row.at),
            row.id,
        )
        return _Event(row.id, "answer", answer, image, batch=row.batch)


def _check_texts(found: Iterable[Any]) -> None:
    for each in found:
        if not isinstance(each, str):
            raise TypeError(f"{each!r:.40} in place of a text")
