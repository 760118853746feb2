import pytest
import typer

from fewlabel.cli.choices import METHODS, STRATEGIES, Choices, _declared_methods
from tests.cli.conftest import refused


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


def test_the_methods_that_the_source_declares_are_those_that_are_registered():
    import fewlabel.pipeline  # noqa: F401

    declared = [("auto", METHODS.rows()[0][1]), *_declared_methods()]
    built_in = [row for row in METHODS.rows() if row[0] != "class-means"]
    assert declared == built_in


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("fit", "Methods: auto Compare those that suit"),
        ("bench", "Methods: auto Compare those that suit"),
        ("bench", " self-training "),
        ("bench", "Selection strategies: representatives Take typical images"),
        ("select", "Selection strategies: representatives Take typical images"),
    ],
)
def test_help_lists_the_names(run_cli, command, text):
    assert text in " ".join(run_cli(command, "--help").stdout.split())


@pytest.mark.parametrize(
    ("command", "name", "first", "near"),
    [
        ("fit", "supervise", "auto", "supervised"),
        ("select", "medoid", "representatives", "medoids"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(run_cli, tmp_path, command, name, first, near):
    result = run_cli(command, tmp_path, "--method", name)
    refused(result, f"'--method': '{name}' is not one of {first},", f"Did you mean {near}?")
