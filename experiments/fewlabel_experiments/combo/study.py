"""The study of two characters: what preprocessing, bagging and a teacher bring."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fewlabel.errors import UsageError

from .. import figures
from ..protocol import Row, Settings, Study
from ..summary import RowSummary
from . import pictures
from .glyphs import letters_at_hand, load_glyphs
from .lines import LINES
from .measured import MEASURES
from .recipes import recipes
from .session import GENERATED, ComboSession, competition, held_out


class Combo(Study):
    """The study of a digit and a letter in one noisy image."""

    session = ComboSession
    pictures = pictures.FILES
    measures = MEASURES
    own = ("n_labeled", "n_unlabeled", "n_test", "letters", "case", "noise", "device", "rows")

    def config(self, settings: Settings) -> dict[str, Any]:
        """Return the settings of a run; the competition's images are counted."""
        config = super().config(settings)
        if config["data"] == GENERATED:
            config["letters"] = config["letters"] or letters_at_hand()
        elif {"letters", "case", "noise"} & set(settings.own):
            raise UsageError(
                "The competition's images are what they are: leave out --letters, --case and "
                "--noise, or --data."
            )
        else:
            read = competition(config["data"])
            n = len(read.images)
            config["n_labeled"] = min(config["n_labeled"], n - held_out(n, config))
            config["n_unlabeled"] = min(config["n_unlabeled"], len(read.unlabeled))
        # Fewer labels than all there are, or no such rows.
        return config | {"few": config["few"] if config["few"] < config["n_labeled"] else 0}

    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Return the rows in the order of the table."""
        known = recipes(config)
        left_out = set() if config["few"] else {"few-alone", "few-best"}
        left_out |= set() if config["networks"]["resnet50"]["passes"] else {"resnet50"}
        if not config["rows"] and config["n_labeled"] < config["whole_from"]:
            left_out |= {line.id for line in LINES if line.recipe == "whole"}
        every = [line.id for line in LINES]
        names = config["rows"] or every
        unknown = [name for name in names if name not in every]
        if unknown:
            raise UsageError(f"--rows are some of {', '.join(every)}. Got {unknown[0]!r} instead.")
        rows = []
        for line in LINES:
            if line.id not in names or line.id in left_out:
                continue
            recipe = known[line.recipe]
            n_labeled = config["few"] if recipe.few else config["n_labeled"]
            published = line.id if line.id in self.published else None
            learn = partial(line.learn, recipe=recipe)
            rows.append(Row(line.id, line.setting, line.model, n_labeled, learn, published))
        return rows

    def is_comparable(self, settings: Settings) -> bool:
        """Return whether published figures stand beside ours: with the competition's files, too."""
        return True

    def check(self, config: dict[str, Any], settings: Settings) -> None:
        """Refuse folders of models, and glyphs that are not there."""
        super().check(config, settings)
        if config["data"] == GENERATED:
            load_glyphs(0, config["letters"], config["case"])

    def show_preprocessing(self, config: dict[str, Any], path: Path) -> None:
        """Draw what every step of preprocessing makes of the first images."""
        pictures.show_steps(config, path)

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw the rows as bars."""
        path = folder / "combo-rows.svg"
        xlabel = "both characters right on test images, %; red: as published"
        size = (9.0, 0.5)
        return [figures.draw_bars(path, summaries, xlabel=xlabel, size=size, to_hundred=True)]


STUDY = Combo("combo", "Two characters in one noisy image", Path(__file__).parent)
