"""What a study is: named rows, each computed once a seed, beside published figures."""

from __future__ import annotations

import csv
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fewlabel.errors import UsageError

from .measure import SharedWork

if TYPE_CHECKING:
    from .summary import RowSummary

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """What the user asks of a study.

    Attributes
    ----------
    quick : bool
        A short run on fewer images, to see that everything works.
    seeds : tuple of int
        Seeds; empty for those of the study.
    data : str or None
        Other data than the study's own; published figures are then not shown.
    save_models : Path or None
        Folder to save every model into.
    from_models : Path or None
        Folder with saved models, which are loaded in place of training.
    sizes : mapping of str to int
        How many images of each kind, by the names of `Study.sizes`; others are the study's own.
    """

    quick: bool = False
    seeds: tuple[int, ...] = ()
    data: str | None = None
    save_models: Path | None = None
    from_models: Path | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes
    ----------
    setting : str
        The setting in words.
    model : str
        What was trained.
    accuracy : float
        Share of right test predictions, in percent.
    source : str
        Where it was published.
    """

    setting: str
    model: str
    accuracy: float
    source: str


@dataclass(frozen=True)
class Outcome:
    """What a row measured with one seed.

    Attributes
    ----------
    accuracy : float
        Share of right test predictions, between 0 and 1.
    extra : dict of str to float
        Other numbers, averaged over the seeds into columns of their own.
    files : dict of str to bytes
        Files for the folder of the run by name, such as pictures.
    """

    accuracy: float
    extra: dict[str, float] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class Session:
    """What the rows of one seed share: the data, and pieces that are made once.

    Parameters
    ----------
    seed : int
        Seed of every random choice.
    progress : callable
        Called as ``progress(stage, done, total)``.
    """

    def __init__(self, seed: int, progress: Progress) -> None:
        self.seed = seed
        self.progress = progress
        self.work = SharedWork()


@dataclass(frozen=True)
class Row:
    """One row of a study.

    Attributes
    ----------
    id : str
        Short plain name, the same in every table.
    setting : str
        The setting in words.
    model : str
        What is trained.
    n_labeled : int
        How many true labels the row uses.
    compute : callable
        Takes the `Session` of a seed and gives an `Outcome`.
    published : str or None
        Row of ``published.csv`` that it repeats.
    beyond : bool
        True for fewlabel's own default at the same number of labels.
    """

    id: str
    setting: str
    model: str
    n_labeled: int
    compute: Callable[[Any], Outcome]
    published: str | None = None
    beyond: bool = False


class Study(ABC):
    """A published study: its rows, what was published, and what to draw and say.

    Parameters
    ----------
    name : str
        Name on the command line.
    title : str
        One line that says what it is.
    folder : Path
        Folder with ``config.toml`` and ``published.csv``.

    Attributes
    ----------
    pictures : tuple of str
        Files of a run that its page shows, besides the figures that are drawn of numbers.
    measures : mapping of str to str
        Numbers of an outcome that its page shows beside the accuracy, with their headings.
    sizes : tuple of str
        Settings of ``config.toml`` that are numbers of images and that the user may change.
    """

    pictures: tuple[str, ...] = ()
    measures: Mapping[str, str] = MappingProxyType({})
    sizes: tuple[str, ...] = ()

    def __init__(self, name: str, title: str, folder: Path) -> None:
        self.name = name
        self.title = title
        self.folder = folder

    @cached_property
    def published(self) -> dict[str, Published]:
        """Published figures by the name of their row."""
        with (self.folder / "published.csv").open(encoding="utf-8", newline="") as file:
            return {
                line["row"]: Published(
                    line["setting"], line["model"], float(line["accuracy"]), line["source"]
                )
                for line in csv.DictReader(file)
            }

    def config(self, settings: Settings) -> dict[str, Any]:
        """Give the settings of a run: those of the study, then those of a quick run.

        Parameters
        ----------
        settings : Settings
            What the user asks.

        Returns
        -------
        dict
            Values of ``[full]``, overlaid by ``[quick]`` and the user's data and sizes.

        Raises
        ------
        UsageError
            If the user asks for sizes that the study does not have.
        """
        if settings.sizes and not set(settings.sizes) <= set(self.sizes):
            raise UsageError(
                f"The images of the study {self.name} are as many as its data set has: leave out "
                "--labelled, --unlabelled and --test."
            )
        tables = tomllib.loads((self.folder / "config.toml").read_text(encoding="utf-8"))
        config = tables["full"] | (tables["quick"] if settings.quick else {})
        config |= {"data": settings.data} if settings.data is not None else {}
        return config | dict(settings.sizes)

    @abstractmethod
    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Give the rows in the order of the table.

        Parameters
        ----------
        config : dict
            From `config`.

        Returns
        -------
        list of Row
            The rows.
        """

    @abstractmethod
    def open(
        self, config: dict[str, Any], settings: Settings, seed: int, progress: Progress
    ) -> Session:
        """Load what the rows of a seed need.

        Parameters
        ----------
        config : dict
            From `config`.
        settings : Settings
            What the user asks.
        seed : int
            The seed.
        progress : callable
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Session
            What `Row.compute` is given.
        """

    def is_comparable(self, settings: Settings) -> bool:
        """Tell whether a run has the data of the published figures.

        Parameters
        ----------
        settings : Settings
            What the user asks.

        Returns
        -------
        bool
            False if no published figure shall stand beside what is measured; by default that is
            so on other data than the study's own.
        """
        return settings.data is None

    def check(self, config: dict[str, Any], settings: Settings) -> None:
        """Refuse what cannot be run, before anything is written; nothing by default.

        Parameters
        ----------
        config : dict
            From `config`.
        settings : Settings
            What the user asks.
        """
        return

    def show_preprocessing(self, config: dict[str, Any], path: Path) -> None:
        """Draw what every step of the study's preprocessing makes of some images.

        Parameters
        ----------
        config : dict
            From `config`.
        path : Path
            PNG file to write.

        Raises
        ------
        UsageError
            If the study has no preprocessing, which is so by default.
        """
        raise UsageError(
            f"The study {self.name} does not preprocess its images: --show-preprocessing is for "
            "the study combo."
        )

    def is_saved(self, settings: Settings, row: Row, seed: int) -> bool:
        """Tell whether a row that has a record may be passed over.

        Parameters
        ----------
        settings : Settings
            What the user asks.
        row : Row
            The row.
        seed : int
            The seed.

        Returns
        -------
        bool
            False if its model is still to be saved; true by default.
        """
        return True

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw the figures of a study.

        Parameters
        ----------
        summaries : sequence of RowSummary
            What was measured.
        folder : Path
            Where to put them.

        Returns
        -------
        list of Path
            The files; none by default.
        """
        return []

    def sentences(self, summaries: Sequence[RowSummary]) -> list[str]:
        """Say what the comparison shows, computed from the figures.

        Parameters
        ----------
        summaries : sequence of RowSummary
            What was measured.

        Returns
        -------
        list of str
            Sentences; none by default.
        """
        return []
