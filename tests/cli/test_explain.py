import json

from PIL import Image

from tests.cli.conftest import refused

QUICK = ("--samples", 30, "--repeats", 2)


def test_one_image(run_cli, world, tmp_path):
    out = tmp_path / "why.png"
    arguments = ("explain", world.run, world.photos / "051.png", "--out", out, *QUICK)
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.output
    with Image.open(out) as picture:
        assert picture.format == "PNG"
    for text in ("051.png", "stability", "occlusion agrees", f"Picture: {out}"):
        assert text in result.stdout
    refused(run_cli(*arguments), "exists already and may hold another picture")
    name = world.names[0]
    found = json.loads(run_cli(*arguments, "--force", "--json", "--class", name).stdout)
    (explained,) = found["explained"]
    assert explained["class"] == name
    assert explained["n_samples"] == 30
    assert len(explained["weights"]) == explained["n_segments"] == 16
    assert json.loads(run_cli(*arguments, "--force", "--json", "--class", name).stdout) == found


def test_one_image_of_several_by_name(run_cli, world, tmp_path):
    arguments = ("explain", world.run, world.photos, "--out", tmp_path / "why.png", *QUICK)
    result = run_cli(*arguments, "--name", "004.png", "--json")
    assert json.loads(result.stdout)["explained"][0]["class"] in world.names
    arguments += ("--force",)
    refused(run_cli(*arguments), "holds 90 images: add --grid 12 for a sheet, or --name 000.png")
    refused(run_cli(*arguments, "--name", "04.png"), "no image called 04.png: did you mean 0")


def test_a_sheet(run_cli, world, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ("explain", world.run, world.photos, "--grid", 5, "--out", out, *QUICK)
    result = run_cli(*arguments, "--labels", world.truth, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["explained"]
    assert len(rows) == 5
    assert {row["kind"] for row in rows} <= {"right", "wrong", "unsure"}
    assert all(row["predicted"] == row["truth"] for row in rows if row["kind"] == "right")
    with Image.open(out) as picture:
        assert picture.width > 900
    unknown = json.loads(run_cli(*arguments, "--force", "--json").stdout)["explained"]
    assert {row["kind"] for row in unknown} <= {"sure", "unsure"}
    assert {row["truth"] for row in unknown} == {None}


def test_an_image_that_cannot_be_read(run_cli, world, tmp_path):
    Image.new("1", (12_000, 9_000)).save(tmp_path / "huge.png")
    (tmp_path / "broken.jpg").write_text("no image")
    for name, part in (
        ("huge.png", "the image has 108 megapixels, more than the 100 that are read"),
        ("broken.jpg", "broken.jpg: the content is not an image"),
        ("nowhere.jpg", "nowhere.jpg does not exist"),
    ):
        out = ("--out", tmp_path / "why.png")
        refused(run_cli("explain", world.run, tmp_path / name, *out), name, part)
    assert not (tmp_path / "why.png").exists()


def test_mistakes_in_what_is_asked_for(run_cli, world, tmp_path):
    out = ("--out", tmp_path / "why.png")
    result = run_cli("explain", world.photos, world.photos / "001.png", *out)
    refused(result, "holds no model (model/manifest.json is missing)")
    arguments, name = ("explain", world.run, world.photos, *out), world.names[1]
    refused(run_cli(*arguments, "--class", name[:-1]), f"did you mean '{name}'?")
    labels = ("--labels", world.truth)
    refused(run_cli(*arguments, *labels), "--labels is for a sheet: add --grid 12")
    refused(run_cli(*arguments, "--grid", 3, "--name", "001.png"), "leave one of them out")
    refused(run_cli(*arguments, "--grid", 0), "whole number of at least 1, got 0")
    refused(run_cli(*arguments, "--samples", 3), "whole number of at least 10, got 3")


def test_without_captum_the_extra_is_named(run_cli, world, tmp_path, monkeypatch):
    monkeypatch.setattr("fewlabel.extras.is_installed", lambda name: name != "captum")
    out = ("--out", tmp_path / "why.png")
    result = run_cli("explain", world.run, world.photos / "001.png", *out)
    refused(result, "needs the package 'captum'", "pip install 'fewlabel[explain]'")
    assert not (tmp_path / "why.png").exists()
