"""What a study is: named rows, each computed once a seed, beside published figures and goals."""

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
    seeds: tuple[int, ...] = ()  # empty for those of the study
    data: str | None = None  # other data than the study's own
    save_models: Path | None = None  # folder to save every model into
    from_models: Path | None = None  # folder with models that are loaded in place of training
    own: Mapping[str, Any] = field(default_factory=dict)  # by the names of `Study.own`
    unfinished: Path | None = None  # folder of a seed for what an interrupted row goes on from


@dataclass(frozen=True)
class Published:
    """A published figure."""

    setting: str
    model: str
    accuracy: float  # share of right test predictions, in percent
    source: str


@dataclass(frozen=True)
class Goal:
    """What a row is to reach: a number, or what other rows reach, times and plus something."""

    text: str
    row: str
    measure: str = "accuracy"  # in percent; or a name of `Study.measures`
    at_least: float | str | Sequence[str] | None = None  # of several rows the best counts
    at_most: float | str | None = None
    times: float = 1.0
    plus: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a row measured with one seed."""

    accuracy: float  # share of right test predictions, between 0 and 1
    extra: dict[str, float] = field(default_factory=dict)  # averaged into columns of their own
    files: dict[str, bytes] = field(default_factory=dict)  # for the folder of the run, by name


class Session:
    """What the rows of one seed share: the data, and pieces that are made once."""

    def __init__(
        self, config: dict[str, Any], settings: Settings, seed: int, progress: Progress
    ) -> None:
        self.config = config
        self.seed = seed
        self.progress = progress
        self.work = SharedWork()
        # Pictures are made with the first seed.
        self.draws = seed == (settings.seeds or config["seeds"])[0]


@dataclass(frozen=True)
class Row:
    """One row of a study."""

    id: str  # short plain name, the same in every table
    setting: str
    model: str
    n_labeled: int  # how many true labels the row uses
    compute: Callable[[Any], Outcome]  # takes the session of a seed
    published: str | None = None  # row of published.csv that it repeats
    beyond: bool = False  # fewlabel's own default at the same number of labels


class Study(ABC):
    """A published study: its rows, what was published, its goals and figures."""

    session: type[Session] = Session
    pictures: tuple[str, ...] = ()  # files of a run that its page shows besides the figures
    measures: Mapping[str, str] = MappingProxyType({})  # headings of numbers beside the accuracy
    own: tuple[str, ...] = ()  # settings of a study alone that the user may change

    def __init__(self, name: str, title: str, folder: Path) -> None:
        self.name = name
        self.title = title
        self.folder = folder

    @cached_property
    def _tables(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "config.toml").read_text(encoding="utf-8"))

    @cached_property
    def published(self) -> dict[str, Published]:
        """Published figures by the name of their row; none where only words were published."""
        with (self.folder / "published.csv").open(encoding="utf-8", newline="") as file:
            return {
                line["row"]: Published(
                    line["setting"], line["model"], float(line["accuracy"]), line["source"]
                )
                for line in csv.DictReader(file)
                if "accuracy" in line
            }

    @property
    def goals(self) -> list[Goal]:
        """What the rows of a whole run are to reach."""
        return [Goal(**goal) for goal in self._tables.get("goals", [])]

    @property
    def goal_within(self) -> float | None:
        """How many points below a published figure count as reached; None for no such goal."""
        within: float | None = self._tables.get("goal_within")
        return within

    def config(self, settings: Settings) -> dict[str, Any]:
        """Return ``[full]``, overlaid by ``[quick]`` and by what the user asks for."""
        if not set(settings.own) <= set(self.own):
            raise UsageError(
                f"The images of the study {self.name} are as many as its data set has: leave out "
                "--labeled, --unlabeled and --test, --letters, --case and --noise, --rows, and "
                "--device."
            )
        config: dict[str, Any] = dict(self._tables["full"])
        config |= self._tables["quick"] if settings.quick else {}
        config |= {"data": settings.data} if settings.data is not None else {}
        return config | dict(settings.own)

    @abstractmethod
    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Return the rows in the order of the table."""

    def is_comparable(self, settings: Settings) -> bool:
        """Return whether a run has the data of the published figures."""
        return settings.data is None

    def check(self, config: dict[str, Any], settings: Settings) -> None:
        """Refuse what cannot be run, before anything is written; by default, folders of models."""
        if settings.save_models is not None or settings.from_models is not None:
            raise UsageError(
                f"The study {self.name} saves and loads no models: leave out --save-models and "
                "--from-models. A model of your own is saved by `fewlabel fit`."
            )

    def show_preprocessing(self, config: dict[str, Any], path: Path) -> None:
        """Draw what every step of the study's preprocessing makes of some images."""
        raise UsageError(
            f"The study {self.name} does not preprocess its images: --show-preprocessing is for "
            "the study combo."
        )

    def is_saved(self, settings: Settings, row: Row, seed: int) -> bool:
        """Return whether no model of the row is still to be saved."""
        return True

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw the figures of a study into a folder, and return the files."""
        return []
