"""The wheel, as somebody gets it: with what it needs alone, and with one extra after the other."""

import json
import re
import shutil
import signal
import subprocess
import tomllib
import urllib.request
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from fewlabel.extras import EXTRA_OF
from tests.packaging.venvs import ENVIRONMENT, ROOT, build_wheel, is_at_hand, make_environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The tools of those who work on fewlabel.
FOR_DEVELOPERS = {"dev", "docs", "bench"}

IMPORTS = """
import importlib, pkgutil
import fewlabel, fewlabel_experiments
assert all(getattr(fewlabel, name) is not None for name in fewlabel.__all__)
missing = set()
for package in (fewlabel, fewlabel_experiments):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", missing.add):
        if ".migrations." in module.name or module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            assert module.name.startswith({behind!r}), (module.name, error)
            assert error.name in {optional!r}, (module.name, error)
            missing.add(error.name)
assert missing, "this environment holds more than what fewlabel needs"
"""
# Each says what a module of the base install would not do.
SMOKES = {
    "backbones": "from fewlabel import NetworkClassifier as N; import numpy as np\n"
    "X = np.random.default_rng(0).integers(0, 255, (24, 16, 16), np.uint8)\n"
    "y = np.repeat([0, 1, -1], 8)\n"
    "N('timm/mobilenetv2_035', n_epochs=1, min_steps=1, random_state=0).fit(X, y).predict(X)",
    "photos": "from fewlabel.nets.weight_packages import installed_packages\n"
    "assert len(installed_packages()) >= 2",
    "explain": ["explain", "RUN", "photos/a00.png", "--out", "why.png"],
    "ray": ["predict", "RUN", "photos", "--out", "labels.parquet", "--engine", "ray"],
    "onnx": ["export", "RUN", "--onnx", "model.onnx", "--images", "photos"],
    "tensorboard": "from fewlabel.report.tensorboard import _write_events\n"
    "from fewlabel.semisupervised.history import TrainingHistory\n"
    "log = TrainingHistory(); log.add_history('network 1', [{'loss': 0.9}])\n"
    "assert (_write_events(log, 'events') / 'network-1').is_dir()",
    "tiff": "import fewlabel, numpy as np, tifffile\n"
    "tifffile.imwrite('a.tif', np.eye(9, dtype=np.float16))\n"
    "fewlabel.load_images('a.tif').read([0])",
    "tables": "import fewlabel, openpyxl\n"
    "book = openpyxl.Workbook()\n"
    "for row in ('path', 'label'), ('a00.png', 'a'), ('b01.png', 'b'): book.active.append(row)\n"
    "book.save('labels.xlsx')\n"
    "fewlabel.read_labels('labels.xlsx', fewlabel.load_images('photos'))",
    "noise": "import numpy as np\n"
    "from fewlabel.labelling.agreement import _consensus_labels\n"
    "votes = {i: {'Ann': ('ab'[i % 2],), 'Bob': ('ab'[i % 3 % 2],)} for i in range(12)}\n"
    "assert len(_consensus_labels(votes, np.full((12, 2), 0.5), ['a', 'b'])) == 12\n"
    "import sys; assert 'cleanlab' in sys.modules",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def base(wheel, tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("environment"), wheel)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images and their labels, and no checkout near it."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "photos").mkdir()
    rows = ["path,label"]
    for i in range(36):
        pixels = np.random.default_rng(i).integers(0, 99, (24, 20, 3)) + 140 * (i % 2)
        name = f"{'ab'[i % 2]}{i:02d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / name)
        rows.append(f"{name},{'ab'[i % 2] if i < 24 else ''}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def run(programs, place, *words):
    """Run Python code, or a command of fewlabel; return what happened."""
    name, *words = ("python", "-c", words[0]) if len(words) == 1 else ("fewlabel", *words)
    command = [str(programs / name), *(str(word) for word in words)]
    env = ENVIRONMENT | {"FEWLABEL_CACHE": str(place / "cache"), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)


def said(result):
    """Return what a run that must end well printed."""
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def fitted(base, place):
    words = "photos --labels labels.csv --out run --explain 0 --features pixels"
    said(run(base, place, "fit", *words.split()))
    return place / "run"


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    folders = ["src/fewlabel", "experiments/fewlabel_experiments"]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("git is not installed, or this is no clone")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = {name.partition("/")[2] for name in listed.split() if (ROOT / name).exists()}
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == own
    assert "fewlabel/py.typed" in own
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_module_imports_without_extras(base, place):
    behind = ("fewlabel.web", "fewlabel.labelling", "fewlabel.export")
    said(run(base, place, IMPORTS.format(behind=behind, optional={*EXTRA_OF, "starlette"})))


def test_every_command_explains_itself_without_extras(base, place):
    code = (
        "from typer.testing import CliRunner\n"
        "from fewlabel.cli import app\n"
        "run = lambda *words: CliRunner().invoke(app, [*words, '--help'], prog_name='fewlabel')\n"
        "commands = [line.split()[0] for line in run().output.split('Commands:')[1].splitlines()"
        " if line.startswith('  ') and line[2] != ' ']\n"
        "assert 'fit' in commands and len(commands) > 10, commands\n"
        "for name in commands: assert run(name).exit_code == 0, name\n"
    )
    said(run(base, place, code))
    assert said(run(base, place, "--version", "")).startswith("fewlabel ")


def test_the_demo_runs_without_extras(base, place):
    assert json.loads(said(run(base, place, "demo", "--json")))


def test_a_folder_is_learned_and_predicted_without_extras(base, place, fitted):
    said(run(base, place, "predict", fitted, "photos", "--out", "predictions.csv"))
    rows = (place / "predictions.csv").read_text().splitlines()
    assert len(rows) == 37


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("label photos --labels labels.csv", "web"),
        ("explain RUN photos/a00.png --out why.png", "explain"),
        ("fit photos --labels labels.csv --out other --tensorboard events", "tensorboard"),
        ("fit photos --labels labels.csv --out other --backbone mobilenetv2_100", "photos"),
        ("fit photos --labels labels.xlsx --out other", "tables"),
    ],
)
def test_what_needs_an_extra_says_so_in_a_line(words, extra, base, place, fitted):
    with ZipFile(place / "labels.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    result = run(base, place, *(fitted if w == "RUN" else w for w in words.split()))
    assert result.returncode == 2
    assert f"pip install 'fewlabel[{extra}]'" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("extra", SMOKES)
def test_an_extra_works_alone(extra, wheel, place, fitted, tmp_path):
    if not is_at_hand(wheel, extra):
        pytest.skip(f"the extra {extra!r} is not installed here")
    programs = make_environment(tmp_path / "environment", wheel, extra)
    if isinstance(words := SMOKES[extra], str):
        said(run(programs, place, words))
    else:
        said(run(programs, place, *(fitted if word == "RUN" else word for word in words)))


def test_the_page_the_service_and_the_database_work_alone(wheel, place, fitted, tmp_path):
    programs = make_environment(tmp_path / "environment", wheel, "web,postgres")
    label = ["label", "photos", "--labels", "page.csv", "--no-browser", "--port", "0"]
    refused = run(programs, place, *label, "--url", "postgresql://me@127.0.0.1:1/labels")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("error: The answers in postgresql")
    assert "<html" in first_answer(programs, place, label, "")
    assert "model" in first_answer(programs, place, ["serve", fitted, "--port", "0"], "models")


def first_answer(programs, place, words, path):
    """Start a server, ask it for a page, and end it."""
    env = ENVIRONMENT | {"FEWLABEL_CACHE": str(place / "cache"), "PYTHONUNBUFFERED": "1"}
    command, pipe = [programs / "fewlabel", *words], subprocess.PIPE
    both = {"stdout": pipe, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=place, env=env, **both) as process:
        try:
            line = next(line for line in process.stdout if "http://" in line)
            url = re.search(r"http://[\w.:]+", line)[0].rstrip(".")
            with urllib.request.urlopen(f"{url}/{path}", timeout=60) as page:
                return page.read().decode()
        finally:
            process.send_signal(signal.SIGTERM)


def test_every_extra_is_tried():
    tried = {*SMOKES, "web", "postgres"}
    assert {*PROJECT["optional-dependencies"]} - FOR_DEVELOPERS == tried
    assert {*EXTRA_OF.values()} <= tried
