"""``fewlabel demo``: the whole road on the digits."""

from __future__ import annotations

import typer

from fewlabel.cli.options import JsonOption

HELP = "x"


def demo(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Walk the road."""
