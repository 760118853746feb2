import json

from tests.cli.conftest import refused


def test_runs_side_by_side(run_cli, world):
    result = run_cli("runs", world.run.parent)
    assert result.exit_code == 0, result.output
    assert world.metric in result.stdout.splitlines()[0]
    assert "of 90" in result.stdout
    (row,) = json.loads(run_cli("runs", world.run.parent, "--json").stdout)
    assert row["run"] == str(world.run)
    assert (row["n_labeled"], row["features"]) == (40, "pixels")
    assert row["low"] <= row["accuracy"] <= row["high"]
    assert row["seconds"] > 0


def test_a_run_is_listed_once_whatever_links_lead_to_it(run_cli, world, tmp_path):
    (tmp_path / "link").symlink_to(world.run.parent)
    (tmp_path / "again").symlink_to(tmp_path)
    (row,) = json.loads(run_cli("runs", tmp_path, "--json").stdout)
    assert row["run"] == str(tmp_path / "link" / world.run.name)


def test_no_runs_and_what_is_no_run(run_cli, tmp_path):
    for name, text in [("a", "{}"), ("b", "[]"), ("c", "nonsense")]:
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text(text)
    refused(run_cli("runs", tmp_path), "There is no run in", "fewlabel fit IMAGES")
