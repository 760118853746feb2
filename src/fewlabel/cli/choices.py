"""Options whose choices are the names in a registry.

A registry is read when a name is checked or the help of such a command is shown, and never to
start.
"""

import ast
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

import fewlabel

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
    rows = _declared_methods()
    if "fewlabel.pipeline" in sys.modules:
        # All candidates are registered, those from elsewhere too.
        from fewlabel.evaluate.registry import REGISTRY

        rows = [(name, candidate.summary) for name, candidate in REGISTRY.items()]
    return [("auto", "Compare those that suit data and time, and keep the best"), *rows]


def _declared_methods() -> Rows:
    """Read names and summaries in the source: to import the methods takes seconds, for torch."""
    rows: Rows = []
    for package in ("graph", "semisupervised"):
        for file in _in_order(Path(fewlabel.__file__).with_name(package)):
            text = file.read_text("utf-8")
            classes = ast.parse(text).body if "@register" in text else []
            rows += [_declared(c) for c in classes if isinstance(c, ast.ClassDef) and _enters(c)]
    return rows


def _in_order(folder: Path) -> list[Path]:
    """Return the modules of a package, those that it imports in this order, and so registers."""
    nodes = ast.parse((folder / "__init__.py").read_text("utf-8")).body
    modules = [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    names = [module.rpartition(".")[2] for module in modules]
    order = {name: place for place, name in reversed(list(enumerate(names)))}
    return sorted(folder.glob("*.py"), key=lambda file: (order.get(file.stem, -1), file.stem))


def _enters(definition: ast.ClassDef) -> bool:
    return any(getattr(by, "id", None) == "register" for by in definition.decorator_list)


def _declared(definition: ast.ClassDef) -> tuple[str, str]:
    """Return the constants ``name`` and ``summary`` of a class."""
    constants = {
        target.id: str(line.value.value)
        for line in definition.body
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
        for target in line.targets
        if isinstance(target, ast.Name)
    }
    return constants["name"], constants["summary"]


def _strategies() -> Rows:
    from fewlabel.cluster.strategies import find_strategy, strategy_names

    return [(name, find_strategy(name).summary) for name in strategy_names()]


METHODS = Choices("METHOD", "Methods", "auto", _methods)
STRATEGIES = Choices("STRATEGY", "Selection strategies", "representatives", _strategies)
_OF = {choices.metavar: choices for choices in (METHODS, STRATEGIES)}


def choices_of(command: Any) -> list[Choices]:
    """Return the registries that the options of a command take names from."""
    return [_OF[p.metavar] for p in command.params if p.metavar in _OF]


def group(name: str, text: str) -> typer.Typer:
    """Return a group of commands, which shows its help where none is named."""
    app = typer.Typer(name=name, help=text, rich_markup_mode=None)

    @app.callback(invoke_without_command=True)
    def show_help(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    return app


class Command(TyperCommand):
    """A command whose help lists the names that its options take from registries."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the names and what they stand for below the options."""
        for choices in choices_of(self):
            with formatter.section(choices.title):
                formatter.write_dl(choices.rows())
        super().format_epilog(ctx, formatter)
