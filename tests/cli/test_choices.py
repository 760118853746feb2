from __future__ import annotations

import pytest
import typer

from fewlabel.cli.choices import METHODS, STRATEGIES, Choices


def _never() -> list[tuple[str, str]]:
    raise AssertionError("loaded")


def test_the_default_needs_no_registry() -> None:
    assert Choices("X", "Xs", "auto", _never).parse("auto") == "auto"


def test_a_name_is_looked_up() -> None:
    choices = Choices("X", "Xs", "auto", lambda: [("auto", ""), ("graph", "By a graph.")])
    assert choices.parse("graph") == "graph"
    assert choices.complete("g") == [("graph", "By a graph.")]
    with pytest.raises(typer.BadParameter, match=r"'grpah' is not one of auto, graph. Did you"):
        choices.parse("grpah")
    with pytest.raises(typer.BadParameter, match=r"'x' is not one of auto, graph$"):
        choices.parse("x")


def test_the_registries_hold_the_defaults() -> None:
    for choices in (METHODS, STRATEGIES):
        assert choices.rows()[0][0] == choices.default
