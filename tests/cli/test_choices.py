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


METHODS_TEXT = "Methods: auto Compare those that suit"
STRATEGIES_TEXT = "Selection strategies: representatives Take typical images"


@pytest.mark.parametrize(
    ("command", "texts", "wrong"),
    [
        ("fit", (METHODS_TEXT, " self-training "), "supervise"),
        ("bench", (METHODS_TEXT, STRATEGIES_TEXT), "supervise"),
        ("select", (STRATEGIES_TEXT,), "medoid"),
    ],
)
def test_help_lists_the_names_and_a_wrong_one_is_answered_with_the_nearest(
    run_cli, command, texts, wrong
):
    shown = " ".join(run_cli(command, "--help").stdout.split())
    assert all(text in shown for text in texts)
    result = run_cli(command, "images", "--method", wrong)
    refused(result, f"'--method': '{wrong}' is not one of ", f"Did you mean {wrong}")
