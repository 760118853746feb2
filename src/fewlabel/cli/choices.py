"""Options whose choices are the names in a registry.

Loading a registry takes seconds, since it imports every method. It is read when a name is
checked, when the help of such a command is shown, and never to start.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

Rows = list[tuple[str, str]]


class Choices:
    """The names in a registry, and what each stands for."""

    def __init__(self, metavar: str, title: str, default: str, load: Callable[[], Rows]) -> None:
        self.metavar = metavar
        self.title = title
        self.default = default
        self.rows = load

    def parse(self, text: str) -> str:
        """Return the name if the registry has it; the default needs no look into it."""
        names = [self.default] if text == self.default else [name for name, _ in self.rows()]
        if text in names:
            return text
        near = difflib.get_close_matches(text, names, n=1)
        hint = f". Did you mean {near[0]}?" if near else ""
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(names)}{hint}")

    def complete(self, incomplete: str) -> Rows:
        """Return the names that begin so, for the shell."""
        return [row for row in self.rows() if row[0].startswith(incomplete)]


def _methods() -> Rows:
    # Importing the pipeline registers every candidate.
    import fewlabel.pipeline  # noqa: F401
    from fewlabel.evaluate.registry import REGISTRY

    rows = [(name, candidate.summary) for name, candidate in REGISTRY.items()]
    return [("auto", "Compare those that suit data and time, and keep the best"), *rows]


def _strategies() -> Rows:
    from fewlabel.cluster.strategies import find_strategy, strategy_names

    return [(name, find_strategy(name).summary) for name in strategy_names()]


METHODS = Choices("METHOD", "Methods", "auto", _methods)
STRATEGIES = Choices("STRATEGY", "Selection strategies", "representatives", _strategies)
_OF = {choices.metavar: choices for choices in (METHODS, STRATEGIES)}


def choices_of(command: Any) -> list[Choices]:
    """Return the registries that the options of a command take names from."""
    return [_OF[p.metavar] for p in command.params if p.metavar in _OF]


class Command(TyperCommand):
    """A command whose help lists the names that its options take from registries."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the names and what they stand for below the options."""
        for choices in choices_of(self):
            with formatter.section(choices.title):
                formatter.write_dl(choices.rows())
        super().format_epilog(ctx, formatter)
