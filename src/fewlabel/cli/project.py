"""Options that travel from one command to the next in a project file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from fewlabel.cli.console import note, one_line
from fewlabel.cli.failures import add_to_command
from fewlabel.errors import UsageError
from fewlabel.runs.project import (
    PROJECT,
    _is_same_source,
    _project_flags,
    _read_project,
    _run_options,
)

if TYPE_CHECKING:
    from fewlabel.cli.options import Devices
    from fewlabel.fit_settings import FitSettings

TRAVELING = ("features", "weights", "seed")


class Options(NamedTuple):
    """What a command works with: from its flags, else from the project file."""

    images: str
    labels: str
    features: str
    weights: str | None
    seed: int

    @property
    def flags(self) -> str:
        """The options that are no defaults, as the end of a command."""
        return "".join(f" {shlex.quote(word)}" for word in _project_flags(self._asdict()))

    def fit_settings(self, device: Devices, **more: Any) -> FitSettings:
        """Return what a fit is asked for."""
        from fewlabel.fit_settings import FitSettings

        common = {name: getattr(self, name) for name in TRAVELING}
        return FitSettings(**common, device=device, **more)


def with_project(
    ctx: typer.Context, near: str | None, *, names: Sequence[str], run: str | None = None
) -> Options:
    """Return the options of a command, and print which of them come from the project file.

    The file lies beside ``near``, a label table; None is the current folder. ``names`` are the
    options that it may give. Those of a ``run`` go before it.
    """
    found: dict[str, Any] = {name: ctx.params.get(name) for name in Options._fields}
    typed = {name for name in found if is_typed(ctx, name)}
    file = (Path() if near is None else Path(near).parent) / PROJECT if run is None else Path(run)
    kept = _read_project(file.parent) if run is None else _run_options(run)
    others = kept.get("images", found["images"] if run else "")
    if kept and "images" in typed and not _is_same_source(others, found["images"]):
        about = one_line(kept.get("images", "which it does not name"))
        note(f"{one_line(str(file))} is about other images, {about}: it is not used.")
        kept = {}
    for one, other in (("features", "weights"), ("weights", "features")):
        # Weights belong to a network: one of the two alone may not fit the other.
        if one in typed and other not in typed:
            kept.pop(other, None)
    taken = {n: kept[n] for n in names if n in kept and n not in typed and kept[n] != found[n]}
    found |= taken
    for name, flag in (("images", "IMAGES"), ("labels", "--labels")):
        if name in names and found[name] is None:
            raise UsageError(
                f"{flag} is missing, and no {file} names it: run `fewlabel select IMAGES "
                f"--budget 50 --out picks.csv` first, or give {flag}."
            )
    if taken:
        words = [taken["images"]] if "images" in taken else []
        words += [w for n, v in taken.items() if n != "images" for w in (f"--{n}", str(v))]
        add_to_command(ctx, shlex.join(words))
        note(f"From {one_line(str(file))}: {one_line(shlex.join(words))} (flags win)")
    return Options(**found)


def is_typed(ctx: typer.Context, name: str) -> bool:
    """Return whether an option was given on the command line."""
    source = ctx.get_parameter_source(name) if name in ctx.params else None
    return source is not None and source.name == "COMMANDLINE"
