import json

from fewlabel_experiments.combo.files import write_combo
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.settings import ComboSettings
from tests.cli.conftest import QUICK, _write_table, refused
from tests.experiments.combo.conftest import glyphs as glyphs


def test_figures_are_printed_and_the_report_is_written(run_cli, world, tmp_path):
    out = tmp_path / "evaluation.html"
    arguments = ("evaluate", world.run, world.photos, "--labels", world.truth)
    result = run_cli(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    for text in ("50 images", "expected by fit", "mean confidence", "precision", *world.names):
        assert text in result.stdout.lower()
    assert world.metric in result.stdout
    assert "leer.png" in result.stderr
    assert world.metric in out.read_text("utf-8").lower()
    refused(run_cli(*arguments, "--out", out), "another report")
    known = run_cli(*arguments[:-1], world.labels)
    assert "warning: The model was trained on 40 of these 40 images" in known.stderr
    found = json.loads(run_cli(*arguments, "--json").stdout)
    assert found["metric"] == world.metric
    assert found["n"] == 50
    assert found["accuracy"] > 0.9
    assert sorted(row["class"] for row in found["per_class"]) == sorted(world.names)


def test_the_table_must_fit_the_model(run_cli, world, tmp_path):
    def evaluate(*labels):
        names = (f"{50 + i:03}.png" for i in range(len(labels)))
        truth = _write_table(tmp_path / "t.csv", dict(zip(names, labels, strict=True)))
        return run_cli("evaluate", world.run, world.photos, "--labels", truth, "--json")

    first, second = world.names
    message = f"line 2: the label '{first}k' is not among the classes"
    refused(evaluate(f"{first}k"), message, f"did you mean '{first}'?")
    # A table with one label an image fits both models.
    assert json.loads(evaluate(first, second).stdout)["n"] == 2
    if world.metric == "accuracy":
        refused(evaluate(f"{first}|{second}"), "has several labels")


def test_the_folder_of_data_make_goes_through_fit_and_evaluate(glyphs, run_cli, tmp_path):
    settings = ComboSettings()
    combo = make_combo(120, 60, 40, seed=0, settings=settings, glyphs=glyphs)
    folder = write_combo(combo, tmp_path / "combo", seed=0, settings=settings)
    run = tmp_path / "run"
    labels = ("--labels", folder / "labels.csv")
    result = run_cli("fit", folder / "images.npz", *labels, "--out", run, "--explain", 0, *QUICK)
    assert result.exit_code == 0, result.output
    labels = ("--labels", folder / "test-labels.csv")
    measured = json.loads(run_cli("evaluate", run, folder / "test.npz", *labels, "--json").stdout)
    assert measured["n"] == 40
    assert len(measured["per_class"]) == 36
