"""The figure of the study: every row as a bar, published figures beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import figures
from ..summary import RowSummary

FILE = "combo-rows.svg"


def draw_rows(path: Path, summaries: Sequence[RowSummary]) -> Path:
    """Draw the exact match of every row as a bar, and what was published as a mark."""
    return figures.draw_bars(
        path,
        summaries,
        xlabel="both characters right on test images, %; red: as published",
        size=(9.0, 0.5),
        to_hundred=True,
    )
