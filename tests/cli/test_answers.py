import json
from pathlib import Path

import pytest

from fewlabel.data import load_images
from tests.cli.conftest import QUICK, Run, draw, refused, rows_of

pytest.importorskip("sqlalchemy")
from fewlabel.labelling.store import Answer, open_store

N = 24


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two people have labeled photos; of two on which they disagree, a review has settled one."""
    monkeypatch.chdir(tmp_path)
    names = draw(tmp_path / "photos", N)
    (tmp_path / "fewlabel.toml").write_text('images = "photos"\nlabels = "mine.csv"\n')
    with open_store(load_images(tmp_path / "photos"), "mine.csv", repeats=2) as store:
        store.add([Answer(i, (name,), "Ann", 2.0) for i, name in enumerate(names)])
        store.add([Answer(i, (names[i],), "Ben", 2.0) for i in range(N - 2)])
        store.add([Answer(i, (names[1 - i % 2],), "Ben", 2.0) for i in (N - 2, N - 1)])
        store.add([Answer(N - 1, ("light",), "Eve", origin="review")])
    return tmp_path


@pytest.mark.parametrize(
    ("form", "out"),
    [("csv", "out.csv"), ("label-studio", "out.json"), ("coco", "out.json"), ("folders", "out")],
)
def test_labels_go_out_and_come_back(run_cli: Run, here: Path, form: str, out: str) -> None:
    # Images and labels are those that fewlabel.toml names.
    result = run_cli("answers", "export", "--out", out, "--format", form)
    assert (result.exit_code, result.stdout) == (0, f"Wrote {N} labels: {out}\n"), result.stderr
    back = ("answers", "import", "photos", out, "--labels", here / "new" / "back.csv", "--json")
    found = json.loads(run_cli(*back).stdout)
    assert (found["n_added"], found["n_labeled"], found["n_images"]) == (N, N, N)
    assert rows_of(here / "new" / "back.csv")[0]["label"] == "dark"
    assert json.loads(run_cli(*back).stdout)["n_added"] == 0


def test_agreement(run_cli: Run, here: Path) -> None:
    found = json.loads(run_cli("answers", "agreement", "--json").stdout)
    assert [(a["name"], a["n"], a["a_minute"]) for a in found["annotators"]] == [
        ("Ann", N, 30),
        ("Ben", N, 30),
    ]
    assert (found["n_shared"], found["n_disputed"], found["n_settled"]) == (N, 1, 1)
    out = " ".join(run_cli("answers", "agreement").stdout.split())
    assert "Cohen's kappa is 0.83. Almost perfect" in out
    assert "Images on which they disagree: 1, and 1 more that a review has settled." in out


@pytest.mark.parametrize("how", ["majority", "crowd"])
def test_a_consensus_is_written_where_people_disagree(run_cli: Run, here: Path, how: str) -> None:
    if how == "crowd":
        pytest.importorskip("cleanlab")
    export = ("answers", "export", "--consensus", how, "--out", "out.csv", *QUICK)
    result = run_cli(*export)
    assert f"Wrote {N} labels, 1 of them by consensus: out.csv" in result.stdout, result.stderr
    # What a review has settled stays, and so does the table.
    assert [row["label"] for row in rows_of(here / "out.csv")[-2:]] == ["dark", "light"]
    assert [row["label"] for row in rows_of(here / "mine.csv")[-2:]] == ["light", "light"]


def test_a_table_without_answers_is_exported_and_left_alone(run_cli: Run, here: Path) -> None:
    name = load_images("photos").names[0]
    (here / "other.csv").write_text(f"path,label\n{name},dark\n")
    result = run_cli("answers", "export", "photos", "--labels", "other.csv", "--out", "out.csv")
    assert (result.exit_code, len(rows_of(here / "out.csv"))) == (0, 1), result.stderr
    assert not (here / "other.answers.db").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("export", "--out", "out.xlsx"), ("out.xlsx", ".csv")),
        (("export", "--out", "out.csv", "--format", "coco"), ("out.csv", ".json")),
        (("export", "--out", "mine.csv"), ("exists already", "--force")),
        (("export", "--out", "photos", "--format", "folders"), ("a new folder",)),
        (("export", "--out", "out.csv", "--link"), ("--link is for --format folders",)),
        (("export", "--out", "out.csv", "--labels", "no.csv"), ("no.csv",)),
        (
            ("export", "--out", "o.csv", "--consensus", "majority", "--labels", "no.csv"),
            ("no.csv",),
        ),
        (("agreement", "--labels", "no.csv"), ("no answers beside no.csv",)),
        (("agreement", "--labels", "folders"), ("--labels",)),
        (("agreement", "--url", "mysql://me:secret@x/y"), ("postgresql://",)),
        (("import", "photos", "no.json"), ("no.json does not exist",)),
        (("import", "photos", "wrong.json"), ("wrong.json",)),
        (("import", "photos", "several.csv"), ("several labels",)),
    ],
)
def test_mistakes_are_one_line(run_cli: Run, here: Path, words: tuple, parts: tuple) -> None:
    (here / "wrong.json").write_text("{")
    name = load_images("photos").names[0]
    (here / "several.csv").write_text(f"path,label\n{name},dark|light\n")
    refused(run_cli("answers", *words), *parts)
