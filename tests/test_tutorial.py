"""The tutorial works as it is written, on images of one's own."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import _write_table, cli, draw, rows_of

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Labels of the photos of the folder that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    truths = [
        {f"{i:03}.png": label for i, label in enumerate(draw(tmp_path / folder, n))}
        for folder, n in [("photos", 130), ("new-photos", 6), ("test-photos", 20)]
    ]
    _write_table(tmp_path / "truth.csv", truths[-1])
    return truths[0]


def python_of(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)


def test_the_scripts_of_the_pages_run(known, tmp_path, capsys):
    for table in ("picks.csv", "labels.csv"):
        _write_table(tmp_path / table, dict(list(known.items())[:40]))
    for page in ("README.md", "docs/how-to/python.md"):
        (script,) = python_of(page)
        exec(compile(script, page, "exec"), {})
    printed = capsys.readouterr().out
    assert "['dark' 'light']" in printed
    assert "accuracy on a table of truths: 1.0" in printed
    assert (tmp_path / "python-run" / "report.html").is_file()


def test_every_command_of_the_tutorial_works_in_its_turn(known, tmp_path, capsys):
    blocks = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("fewlabel")]
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line)[1:]
        if words[0] == "doctor":
            continue
        result = cli(*words, *["--explain", 0] * (words[0] == "fit"))
        assert result.exit_code == 0, (line, result.output)
        if words[0] == "select":
            table = tmp_path / words[words.index("--out") + 1]
            rows = rows_of(table)
            paths = [row["path"] for row in rows]
            assert len(paths) == len(set(paths))
            for row in rows:
                row["label"] = known[row["path"]]
            text = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
            table.write_text("\n".join(text) + "\n")
    assert len(rows_of(tmp_path / "more.csv")) == 100
    (script,) = python_of("docs/tutorial.md")
    exec(compile(script, "tutorial", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-6:] == [
        f"{i:03}.png {('dark', 'light')[i % 2]}" for i in range(6)
    ]
