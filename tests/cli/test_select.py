import json

from tests.cli.conftest import QUICK, rows_of


def test_a_table_to_fill_in(run_cli, photos, tmp_path):
    out = tmp_path / "picks.csv"
    result = run_cli("select", photos, "--budget", 4, "--audit", 3, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    rows = rows_of(out)
    purpose = [row["purpose"] for row in rows]
    assert sorted(purpose) == ["audit"] * 3 + ["random"] + ["train"] * 3
    assert purpose[4:] == ["audit"] * 3
    assert {row["label"] for row in rows} == {""}
    assert "Chose 4 of 40 images (representatives)" in result.stdout
    assert "Added 3 random images for the audit" in result.stdout
    assert f"fewlabel fit {photos} --labels {out} --out run" in result.stdout
    arguments = ("--budget", 2, "--method", "random", "--out", out, "--force")
    assert run_cli("select", photos, *arguments).exit_code == 0
    assert len(rows_of(out)) == 2


def test_what_is_labeled_is_not_chosen_again(run_cli, world, tmp_path):
    arguments = ("--budget", 5, "--labels", world.labels, "--json", *QUICK)
    result = run_cli("select", world.photos, "--out", tmp_path / "p.csv", *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["n_images"] == 90
    assert "leer.png" in result.stderr
    chosen = [c["path"] for c in found["chosen"]]
    before = {row["path"]: row["label"] for row in rows_of(world.labels)}
    assert not set(chosen) & set(before)
    # The new table holds what is labeled and what is to be: all that a fit needs.
    rows = rows_of(tmp_path / "p.csv")
    assert [row["path"] for row in rows] == sorted(set(before) - {"leer.png"}) + chosen
    assert all(row["label"].strip("|") == before[row["path"]].strip("|") for row in rows[:40])
