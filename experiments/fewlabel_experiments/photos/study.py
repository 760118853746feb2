"""The study of photos: what a pretrained network, self-training and selection bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..protocol import Outcome, Row, Settings, Study
from ..summary import RowSummary
from . import curves, drawing, learners, pictures
from .session import (
    RANDOM,
    SELECTED,
    PhotoSession,
    check_photos,
    load_photos,
    n_labeled,
    n_photos,
    networks,
)


class Photos(Study):
    """The study of photos with 5 % of the labels."""

    session = PhotoSession
    pictures = pictures.FILES

    def config(self, settings: Settings) -> dict[str, Any]:
        """Return the settings of a run; the photos of a folder are counted."""
        config = super().config(settings)
        if settings.data is not None:
            config["n_images"] = len(load_photos(config["data"]))
        return config

    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Return the rows in the order of the table."""
        n = n_labeled(config, n_photos(config))
        share = f"{100 * config['label_share']:g} %"
        words = {RANDOM: f"{share} random labels", SELECTED: f"{share} labels that it selected"}

        def row(name: str, model: str, how: str, learn: Callable[[Any], Outcome]) -> Row:
            known = name.removesuffix(f"-{RANDOM}")
            published = known if known in self.published else None
            return Row(name, words[how], model, n, learn, published)

        rows = [
            row("scratch", "network from scratch", RANDOM, learners.scratch),
            row("probe", "linear probe", RANDOM, learners.probe),
        ]
        for how in (RANDOM, SELECTED):
            tuned, trained = f"fine-tuned-{how}", f"self-training-{how}"
            learn = partial(learners.fine_tuned, name=tuned, how=how)
            rows.append(row(tuned, "fine-tuned network", how, learn))
            learn = partial(learners.self_trained, name=trained, how=how)
            rows.append(row(trained, "network with self-training", how, learn))
        for how in (RANDOM, SELECTED):
            learn = partial(learners.default, how=how)
            rows.append(row(f"default-{how}", "fewlabel's default", how, learn))
        for name in networks(config):
            parts = _short(name).split(",")
            known, title = "-".join(parts), " joined with ".join(parts)
            learn = partial(learners.on_network, network=name, how=SELECTED)
            rows.append(row(f"{known}-{SELECTED}", f"fewlabel's default, {title}", SELECTED, learn))
            learn = partial(learners.network_tuned, network=name, how=SELECTED)
            rows.append(row(f"{known}-tuned", f"fine-tuned {title}", SELECTED, learn))
        learn = partial(learners.best, how=SELECTED)
        return [*rows, row(f"best-{SELECTED}", "fewlabel's best", SELECTED, learn)]

    def is_comparable(self, settings: Settings) -> bool:
        """Return whether a run has the data of the published figures, which are on Food-11."""
        return settings.data is not None

    def check(self, config: dict[str, Any], settings: Settings) -> None:
        """Refuse photos or weights that cannot be had, and folders of models."""
        super().check(config, settings)
        check_photos(config)

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw the rows as bars, and the curves of training."""
        # Outside of a run, the curves of the last full measurement.
        file = curves.gather(folder) or self.folder / curves.FILE
        return [
            drawing.draw_rows(folder / "photos-rows.svg", summaries),
            drawing.draw_curves(folder / "photos-curves.svg", file),
        ]


def _short(networks: str) -> str:
    """Return networks as a row calls them: without what all names begin or end with."""
    return networks.replace("tf_efficientnet_", "").replace("tf_", "").replace("_100", "")


STUDY = Photos("photos", "Photos with 5 % of the labels", Path(__file__).parent)
