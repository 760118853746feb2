"""The scripts of the page run where there is no fewlabel."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from fewlabel.export import export_onnx
from fewlabel.runs.folder import save_run
from tests.cli.conftest import draw
from tests.conftest import Example

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "export.md"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with what the page names, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = ["onnxruntime", "pillow", "numpy", "safetensors"]
    command = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *packages]
    subprocess.run(command, check=True, capture_output=True)
    return python


def test_the_scripts_of_the_page_need_no_fewlabel(
    python: Path, digits: Example, tmp_path: Path
) -> None:
    result = digits.fit(method="supervised")
    save_run(result, digits.images, tmp_path / "run")
    export_onnx(result.model, tmp_path / "model.onnx", digits.images)
    draw(tmp_path / "new-photos", 2)
    first, second = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    # The script itself, without imports and blank lines, is short enough to be read at a glance.
    assert len([line for line in first.splitlines() if line]) <= 20
    for script, expected in [(first, r"new-photos/001.png \d 0\.\d+"), (second, r"linear\.coef")]:
        run = [python, "-I", "-c", script]
        found = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert re.search(expected, found.stdout)
    missing = subprocess.run([python, "-I", "-c", "import fewlabel"], capture_output=True)
    assert missing.returncode, sys.path
