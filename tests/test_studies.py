from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fewlabel import studies
from fewlabel.errors import UsageError

ROOT = Path(__file__).parents[1]
FROM_SITE_PACKAGES = """
from fewlabel.studies import load_studies
print(load_studies("registry").__file__)
"""


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package be looked for again; what is loaded comes back after the test."""
    for name in [m for m in sys.modules if m.split(".")[0] == studies.PACKAGE]:
        monkeypatch.delitem(sys.modules, name)


def test_in_a_clone_the_studies_are_those_of_the_clone() -> None:
    module = studies.load_studies("registry")
    assert module.__name__ == "fewlabel_experiments.registry"
    assert Path(module.__file__).parent == ROOT / "experiments"


def test_a_wheel_brings_them_as_a_package(tmp_path: Path) -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = config["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, target in wheel["force-include"].items():
        shutil.copytree(ROOT / source, tmp_path / target)
    for source in wheel["packages"]:
        shutil.copytree(ROOT / source, tmp_path / Path(source).name)
    result = subprocess.run(
        [sys.executable, "-c", FROM_SITE_PACKAGES],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    package = tmp_path / "fewlabel_experiments"
    assert Path(result.stdout.strip()) == package / "registry.py"
    assert (package / "clusters_b" / "published.csv").is_file()
    assert (package / "clusters_b" / "config.toml").is_file()


def test_where_they_are_not_installed_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _forget(monkeypatch)
    monkeypatch.setattr(studies, "_CLONE", tmp_path)
    # An editable install brings a copy of the studies, as a wheel does.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="published studies are not installed"):
        studies.load_studies("registry")


def test_a_folder_called_experiments_elsewhere_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _forget(monkeypatch)
    monkeypatch.setattr(studies, "_CLONE", tmp_path)
    # An editable install brings a copy of the studies, as a wheel does.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise SystemError")
    with pytest.raises(UsageError, match="not installed"):
        studies.load_studies("registry")
