"""The store of answers: every answer is kept before it is acknowledged, and the table follows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewlabel.data import ImageSet, Labels, Task
from fewlabel.data.label_rows import PURPOSES
from fewlabel.errors import StorageError, UsageError
from fewlabel.extras import check_installed
from fewlabel.labelling.answers import Answer, _check_annotator, _check_answer, _check_class_name
from fewlabel.labelling.table import _LabelTable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fewlabel.evaluate import AccuracyEstimate
    from fewlabel.labelling.database import PastRound
    from fewlabel.labelling.journal import _Journal
    from fewlabel.labelling.table_sync import _TableSync

__all__ = ["Answer", "_Store", "open_store"]


def open_store(
    images: ImageSet,
    table: str | Path,
    url: str | None = None,
    several: bool = False,
    repeats: int | None = None,
) -> _Store:
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
    repeats : int, optional
        How many annotators are to answer each image; by default as many as before, at first one.

    Returns
    -------
    _Store
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
    if repeats is not None and repeats < 1:
        raise UsageError(f"The 'repeats' parameter must be 1 or more. Got {repeats} instead.")
    from fewlabel.labelling.journal import _Journal
    from fewlabel.labelling.table_sync import _TableSync

    label_table = _LabelTable(table, images)
    journal = _Journal(
        images, url or _sqlite_beside(label_table.path), several=several, repeats=repeats
    )
    sync = _TableSync(journal, label_table)
    try:
        sync.open()
    except BaseException:
        journal.database.close()
        raise
    return _Store(journal, sync)


def _sqlite_beside(table: Path) -> str:
    file = table.with_suffix(".answers.db").absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written ({error.strerror}): give another label table."
        ) from error
    return f"sqlite:///{file}"


class _Store:
    """Answers to a set of images, for several threads and processes; `open_store` makes it."""

    def __init__(self, journal: _Journal, sync: _TableSync) -> None:
        self._journal, self._sync = journal, sync

    @property
    def task(self) -> Task:
        """One label an image, or several."""
        return self._journal.task

    @property
    def repeats(self) -> int:
        """How many annotators are to answer each image."""
        return self._journal.repeats

    @property
    def images(self) -> ImageSet:
        """What is labeled."""
        return self._journal.images

    @property
    def table_error(self) -> str | None:
        """Why the label table was not read or written the last time; None if it was."""
        return self._sync.error

    def __enter__(self) -> _Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._journal.database.close()

    # Answers

    def add(self, answers: Sequence[Answer]) -> list[Answer]:
        """Keep answers on the disk, in one transaction; then write the table: see `table_error`."""
        checked = self._checked(answers)
        if not checked:
            return []
        with self._changing() as connection:
            return self._journal.add(connection, checked)

    def _fill(self, answers: Sequence[Answer], after: Answer | None = None) -> list[Answer]:
        """Keep answers to images without one, in the batch of another unless that is undone."""
        checked = self._checked(answers)
        with self._changing() as connection:
            log, batch = self._journal.log, None
            if after is not None:
                if log.answers[after.id or 0].revoked:
                    return []
                batch = log.batches[after.id or 0]
            free = [answer for answer in checked if not log.standing(answer.image)]
            return self._journal.add(connection, free, batch) if free else []

    def _checked(self, answers: Sequence[Answer]) -> list[Answer]:
        with self._journal.mutex:
            log, n = self._journal.log, len(self.images)
            known = frozenset(log.classes())
        return [_check_answer(a, n_images=n, task=log.task, classes=known) for a in answers]

    def undo(self, annotator: str) -> Answer | None:
        """Revoke an annotator's last answer that stands, and all that the same key gave."""
        annotator = _check_annotator(annotator)
        with self._changing() as connection:
            targets = self._journal.log.last_of(annotator)
            self._journal.undo(connection, annotator, targets)
            return self._journal.log.answers[targets[-1]] if targets else None

    def current(self) -> dict[int, tuple[str, ...]]:
        """Return the labels that stand: the last answers, or what most of the annotators say."""
        with self._journal.fresh() as log:
            return dict(log.current)

    def labels(self, instead: Mapping[int, tuple[str, ...]] | None = None) -> Labels:
        """Return the labels that stand, or others instead, as `read_labels` reads them."""
        with self._journal.fresh() as log:
            everywhere = range(len(self.images))
            cells = {i: log.task.cell(x) for i, x in {**log.current, **(instead or {})}.items()}
            texts = [cells.get(i, "") for i in everywhere]
            purpose = tuple(log.purposes.get(i, "") for i in everywhere) if log.purposes else ()
        y, classes = self.task.parse(texts, list(self.images.names), None)
        return Labels(y, classes, purpose, str(self._sync.table.path), self._sync.table.groups)

    def skipped(self) -> set[int]:
        """Return the images that somebody skipped and nobody has labeled."""
        with self._journal.fresh() as log:
            return {i for i in log.by_image if i not in log.current and log.standing(i)}

    def history(self, image: int) -> list[Answer]:
        """Return everything that was ever said of an image, by the names that classes had then."""
        return self.histories([image])[0]

    def histories(self, images: Sequence[int]) -> list[list[Answer]]:
        """Return the histories of some images."""
        with self._journal.fresh() as log:
            return [[log.answers[i] for i in log.by_image.get(image, ())] for image in images]

    def version(self) -> int:
        """Return a number that grows with everything that is kept, whoever kept it."""
        with self._journal.fresh() as log:
            return log.last

    # What to ask

    def purposes(self) -> dict[int, str]:
        """Return why images were chosen: ``"train"``, ``"random"`` or ``"audit"``."""
        with self._journal.fresh() as log:
            return dict(log.purposes)

    def ask(self, images: Iterable[int], purposes: Iterable[str]) -> None:
        """Note which images were chosen, and why: they get rows in the label table."""
        chosen = dict(zip(map(int, images), map(str, purposes), strict=True))
        for image, purpose in chosen.items():
            if purpose not in PURPOSES or not 0 <= image < len(self.images):
                raise UsageError(f"Image {image} cannot be asked for as {purpose!r}.")
        with self._changing() as connection:
            self._journal.ask(connection, chosen)

    def lease(
        self, annotator: str, wanted: Iterable[int], n: int, seconds: float = 120, page: str = ""
    ) -> list[int]:
        """Give an annotator at a page images that are held nowhere else; read no more of them."""
        annotator = _check_annotator(annotator)
        # A lease that is lost in a power cut does no harm.
        with self._journal.writing(durable=False) as connection:
            return self._journal.lease(connection, annotator, page, iter(wanted), n, seconds)

    def release(self, annotator: str, page: str = "") -> None:
        """Let others have the images that an annotator held at a page."""
        annotator = _check_annotator(annotator)
        with self._journal.writing(durable=False) as connection:
            self._journal.release(connection, annotator, page)

    # Rounds of the model

    def rounds(self) -> list[PastRound]:
        """Return the rounds that a model has learned, also before this process was started."""
        from fewlabel.labelling.database import _kept

        with self._journal.database.read() as connection:
            return _kept(connection)

    def add_round(self, number: int, n_labels: int, accuracy: AccuracyEstimate) -> None:
        """Keep what is known of a round."""
        from fewlabel.labelling.database import _keep

        with self._journal.writing(durable=False) as connection:
            _keep(connection, number, n_labels, accuracy)

    # Several annotators

    def standing(self) -> list[Answer]:
        """Return all answers that were not taken back, also those that do not decide."""
        with self._journal.fresh() as log:
            return [answer for image in log.by_image for answer in log.standing(image)]

    # Classes

    def classes(self) -> list[str]:
        """Return the names of the classes."""
        with self._journal.fresh() as log:
            return log.classes()

    def add_class(self, name: str) -> None:
        """Add a class that no image has yet."""
        name = _check_class_name(name)
        with self._changing() as connection:
            if name not in self._journal.log.classes():
                self._journal.keep(connection, "class", "", [{"labels": [name]}])

    def rename_class(self, old: str, new: str) -> None:
        """Rename a class everywhere; to the name of another one, they become one."""
        new = _check_class_name(new)
        with self._changing() as connection:
            classes = self._journal.log.classes()
            if old not in classes:
                known = ", ".join(map(repr, classes[:10]))
                raise UsageError(f"There is no class {old!r}; the classes are {known}.")
            if old != new:
                self._journal.keep(connection, "rename", "", [{"labels": [old, new]}])

    # The label table

    def take_table(self) -> int:
        """Take in what a person has changed in the table, and write it; return how many labels."""
        with self._journal.fresh() as log:
            # Nearly always nothing has changed: a poll should write nothing.
            return 0 if self._sync.is_current(log) else self._sync.write()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Connection]:
        """Begin a change, after those that a person made in the table; the table follows it."""
        with self._journal.mutex:
            with self._sync.writing() as connection:
                self._sync.take(connection)
                yield connection
            try:
                self._sync.write()
            except StorageError as error:
                # What was asked for is kept: to raise would say that it is not.
                self._sync.error = str(error)
