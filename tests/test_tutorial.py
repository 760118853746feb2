"""The tutorial works as it is written, on images of one's own."""

import re
import shlex
from pathlib import Path

from tests.cli.conftest import cli, draw, rows_of, write_table

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"


def test_every_command_of_the_tutorial_works_in_its_turn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    for folder, n in [("photos", 130), ("new-photos", 6), ("test-photos", 20)]:
        truth = {f"{i:03}.png": label for i, label in enumerate(draw(tmp_path / folder, n))}
        if folder == "photos":
            known = truth
    write_table(tmp_path / "truth.csv", truth)
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
