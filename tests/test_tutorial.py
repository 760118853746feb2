"""The pages work as they are written, on images of one's own."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.cli.conftest import _write_table, cli, draw, rows_of

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
# Their options are checked in tests/test_docs.py, and they run in tests of their own: servers,
# and what needs a network, data sets or minutes.
NOT_RUN = (
    *("label", "serve", "doctor", "demo", "bench", "reproduce"),
    *("data get", "data make", "weights list"),
)
# Extras and targets of these are checked in tests/test_docs.py.
OF_THE_SHELL = ("pip install ", "make ", "git clone ")
_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (.+?) -->\n)?^( *)```(sh|python)\n(.*?)^ *```", re.MULTILINE | re.DOTALL
)
# The same in less time.
SHORTER = {
    "n_steps=300": "n_steps=4",
    "n_members=5": "n_members=2",
    "[5, 10]": "[5]",
    "LabeledKFold(5)": "LabeledKFold(2)",
    '"cnn", labels': '"cnn", n_epochs=1, min_steps=2, labels',
}
PAGES = [
    page
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    if page.name not in ("tutorial.md", "python.md") and _BLOCK.search(page.read_text("utf-8"))
]


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


def run_line(line, known):
    """Run a command of a page, and fill in the table that it asks for."""
    words = shlex.split(line, comments=True)[1:]
    if " ".join(words[:2]) in NOT_RUN or words[0] in NOT_RUN:
        return
    if words[0] == "fit":
        shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
        words += ["--explain", "0"]
    if words[0] == "select":
        table = Path(words[words.index("--out") + 1])
        table.unlink(missing_ok=True)
    result = cli(*words)
    assert result.exit_code == 0, (line, result.output)
    if words[0] == "select":
        rows = rows_of(table)
        paths = [row["path"] for row in rows]
        assert len(paths) == len(set(paths))
        for row in rows:
            row["label"] = known[Path(row["path"]).name]
        text = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        table.write_text("\n".join(text) + "\n")


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
    # What the page would have written.
    _write_table(tmp_path / "labels.csv", dict(list(known.items())[:80]))
    for line in lines:
        run_line(line, known)
    assert len(rows_of(tmp_path / "more.csv")) == 100
    (script,) = python_of("docs/tutorial.md")
    exec(compile(script, "tutorial", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-6:] == [
        f"{i:03}.png {('dark', 'light')[i % 2]}" for i in range(6)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the pages speak of: folders, tables and a run; and the labels of the photos."""
    root = tmp_path_factory.mktemp("pages")
    draw(root / "scans", 130)
    known = {f"{i:03}.png": label for i, label in enumerate(draw(root / "photos", 180))}
    Image.open(root / "photos" / "000.png").save(root / "photos" / "0031.jpg")
    known["0031.jpg"] = "dark"
    for folder, n in [("new-photos", 6), ("photos-of-may", 100), ("test-photos", 20)]:
        truth = {f"{i:03}.png": label for i, label in enumerate(draw(root / folder, n))}
    shutil.copy(root / "photos" / "0031.jpg", root / "new-photos" / "1.jpg")
    for folder, truths in [("photos", known), ("test-photos", truth)]:
        for name, label in truths.items():
            to = root / f"sorted-{folder}" / label
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / folder / name, to)
    _write_table(root / "truth.csv", truth)
    _write_table(root / "labels.csv", dict(list(known.items())[:60]))
    patients = [f"{i:03}.png,,patient {i // 2}" for i in range(130)]
    (root / "patients.csv").write_text("\n".join(["path,label,group", *patients]))
    (root / "manifest.csv").write_text("\n".join(["path", *(f"photos/{n}" for n in known)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FEWLABEL_CACHE", str(root / "cache"))
        run_line("fewlabel fit photos --labels labels.csv --out run", known)
    return root, known


@pytest.fixture
def world(made, tmp_path, monkeypatch):
    """A copy of that, where the commands run, and the names that scripts find."""
    root, known = made
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWLABEL_CACHE", str(root / "cache"))
    digits = load_digits()
    y = np.where(np.arange(150) % 3 > 0, digits.target[:150], -1)
    images = (digits.images[:150] * 15).astype(np.uint8)
    names = {"images": images, "y": y, "X": digits.data[:150] / 16, "labels": y}
    return known, names | {"patients": np.arange(150) // 2}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_or_say_why_not(page, world):
    known, names = world
    if page.stem == "multi-label":
        known = {name: ("cat|", "cat|dog", "dog|")[i % 3] for i, name in enumerate(known)}
        for table in ("labels.csv", "truth.csv"):
            _write_table(
                Path(table), {row["path"]: known[row["path"]] for row in rows_of(Path(table))}
            )
    for reason, _, kind, text in _BLOCK.findall(page.read_text("utf-8")):
        if reason:
            continue
        text = re.sub(r"^ +(?=fewlabel)", "", text.replace("\\\n", " "), flags=re.MULTILINE)
        if kind == "python":
            for long, short in SHORTER.items():
                text = text.replace(long, short)
            exec(compile(text, page.name, "exec"), names)
            continue
        for line in filter(None, text.splitlines()):
            if not line.startswith(OF_THE_SHELL):
                assert line.startswith("fewlabel "), f"{line}: say why it is not run"
                run_line(line, known)
