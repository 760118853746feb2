"""Pictures of a run: steps of preprocessing, right and wrong images, and what is mistaken."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .. import figures
from .glyphs import LABELS
from .measured import likeliest, parts_right
from .recipes import ALL_STEPS
from .session import ComboSession, load_data
from .steps_figure import steps_figure

STEPS = "combo-steps.png"
SHEET = "combo-right-and-wrong.png"
MISTAKES = "combo-mistakes.png"
FILES = (STEPS, SHEET, MISTAKES)
"""The pictures of a run."""

_COLUMNS, _RIGHT_ROWS, _WRONG_ROWS = 10, 2, 3
_SHOWN_STEPS = 8
_SHOWN_MISTAKES = 15


def draw(session: ComboSession, proba: np.ndarray) -> dict[str, bytes]:
    """Draw the pictures of a run."""
    data = session.data
    return {
        STEPS: steps_figure(data.labeled[:_SHOWN_STEPS], settings=ALL_STEPS),
        SHEET: right_and_wrong(data.test, data.test_targets, proba),
        MISTAKES: mistakes_figure(mistakes(data.test_targets, proba)),
    }


def show_steps(config: dict[str, Any], path: Path) -> None:
    """Draw the steps of preprocessing on the first images of the study."""
    few = config | {"n_labeled": _SHOWN_STEPS, "n_unlabeled": 0, "n_test": 1}
    steps_figure(load_data(few, config["seeds"][0]).labeled, path, settings=ALL_STEPS)


def right_and_wrong(images: np.ndarray, truth: np.ndarray, proba: np.ndarray) -> bytes:
    """Show the first images that are read right, and those that are read wrong."""
    digit, letter = parts_right(truth, proba)
    right = digit & letter
    read, true = _written(proba), _written(truth)
    n_rows = _RIGHT_ROWS + _WRONG_ROWS
    figure = Figure(figsize=(0.95 * _COLUMNS, 1.3 * n_rows), facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.01, 0.04, 0.99, 0.96, wspace=0.12, hspace=0.5)
    grid = figure.subplots(n_rows, _COLUMNS)
    for axes in grid.ravel():
        axes.set_axis_off()
    for places, rows, is_right in (
        (grid[:_RIGHT_ROWS], np.flatnonzero(right), True),
        (grid[_RIGHT_ROWS:], np.flatnonzero(~right), False),
    ):
        for axes, row in zip(places.ravel(), rows.tolist(), strict=False):
            below, title = "" if is_right else f"true: {true[row]}", read[row]
            figures.draw_tile(
                axes, images[row], is_right=is_right, title=title, below=below, sizes=(8, 7)
            )
    return figures.to_png(figure)


def mistakes(truth: np.ndarray, proba: np.ndarray) -> list[tuple[str, str, int]]:
    """Count which characters are taken for which."""
    counts: Counter[tuple[str, str]] = Counter()
    for true, read in zip(likeliest(truth), likeliest(proba), strict=True):
        wrong = true != read
        counts.update((LABELS[t], LABELS[r]) for t, r in zip(true[wrong], read[wrong], strict=True))
    return [(*pair, n) for pair, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def mistakes_figure(found: list[tuple[str, str, int]]) -> bytes:
    """Draw the most frequent mistakes as bars."""
    shown = found[:_SHOWN_MISTAKES][::-1]
    figure = Figure(figsize=(6.0, 0.8 + 0.24 * _SHOWN_MISTAKES), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.2, 0.12, 0.77, 0.85))
    names = [f"{true} read as {read}" for true, read, _ in shown]
    axes.barh(names, [n for _, _, n in shown], color=figures.RED, height=0.62)
    axes.set_xlabel("test images")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figures.to_png(figure)


def _written(proba: np.ndarray) -> list[str]:
    digits, letters = likeliest(proba)
    return [f"{LABELS[d]} {LABELS[c]}" for d, c in zip(digits, letters, strict=True)]
