import pytest
import typer

from fewlabel.cli.choices import METHODS, STRATEGIES, Choices


def _never():
    raise AssertionError("loaded")


def test_the_default_needs_no_registry():
    assert Choices("X", "Xs", "auto", _never).parse("auto") == "auto"


def test_a_name_is_looked_up():
    choices = Choices("X", "Xs", "auto", lambda: [("auto", ""), ("graph", "By a graph.")])
    assert choices.parse("graph") == "graph"
    assert choices.complete("g") == [("graph", "By a graph.")]
    with pytest.raises(typer.BadParameter, match=r"'grpah' is not one of auto, graph. Did you"):
        choices.parse("grpah")
    with pytest.raises(typer.BadParameter, match=r"'x' is not one of auto, graph$"):
        choices.parse("x")


def test_the_registries_hold_the_defaults():
    for choices in (METHODS, STRATEGIES):
        assert choices.rows()[0][0] == choices.default
