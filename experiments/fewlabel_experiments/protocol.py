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
    """What the user asks of a study."""

    quick: bool = False  # a short run on fewer images, to see that everything works
    seeds: tuple[int, ...] = ()  # seeds; empty for those of the study
    data: str | None = None  # other data than the study's own; published figures are then not shown
    save_models: Path | None = None  # folder to save every model into
    # Folder with saved models, which are loaded in place of training
    from_models: Path | None = None
    # How many images of each kind, by the names of Study.sizes; others are the study's own
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A published figure."""

    setting: str  # the setting in words
    model: str  # what was trained
    accuracy: float  # share of right test predictions, in percent
    source: str  # where it was published


@dataclass(frozen=True)
class Outcome:
    """What a row measured with one seed."""

    accuracy: float  # share of right test predictions, between 0 and 1
    # Other numbers, averaged over the seeds into columns of their own
    extra: dict[str, float] = field(default_factory=dict)
    # Files for the folder of the run by name, such as pictures
    files: dict[str, bytes] = field(default_factory=dict)


class Session:
    """What the rows of one seed share: the data, and pieces that are made once."""

    def __init__(self, seed: int, progress: Progress) -> None:
        self.seed = seed
        self.progress = progress
        self.work = SharedWork()


@dataclass(frozen=True)
class Row:
    """One row of a study."""

    id: str  # short plain name, the same in every table
    setting: str  # the setting in words
    model: str  # what is trained
    n_labeled: int  # how many true labels the row uses
    compute: Callable[[Any], Outcome]  # takes the Session of a seed and gives an Outcome
    published: str | None = None  # row of published.csv that it repeats
    beyond: bool = False  # true for fewlabel's own default at the same number of labels


class Study(ABC):
    """A published study: its rows, what was published, and what to draw and say."""

    # Files of a run that its page shows, besides the figures that are drawn of numbers
    pictures: tuple[str, ...] = ()
    # Numbers of an outcome that its page shows beside the accuracy, with their headings
    measures: Mapping[str, str] = MappingProxyType({})
    # Settings of config.toml that are numbers of images and that the user may change
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
        """Give the settings of a run: those of the study, then those of a quick run."""
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
        """Give the rows in the order of the table."""

    @abstractmethod
    def open(
        self, config: dict[str, Any], settings: Settings, seed: int, progress: Progress
    ) -> Session:
        """Load what the rows of a seed need."""

    def is_comparable(self, settings: Settings) -> bool:
        """Tell whether a run has the data of the published figures."""
        return settings.data is None

    def check(self, config: dict[str, Any], settings: Settings) -> None:
        """Refuse what cannot be run, before anything is written; nothing by default."""
        return

    def show_preprocessing(self, config: dict[str, Any], path: Path) -> None:
        """Draw what every step of the study's preprocessing makes of some images."""
        raise UsageError(
            f"The study {self.name} does not preprocess its images: --show-preprocessing is for "
            "the study combo."
        )

    def is_saved(self, settings: Settings, row: Row, seed: int) -> bool:
        """Tell whether a row that has a record may be passed over."""
        return True

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw the figures of a study."""
        return []

    def sentences(self, summaries: Sequence[RowSummary]) -> list[str]:
        """Say what the comparison shows, computed from the figures."""
        return []
