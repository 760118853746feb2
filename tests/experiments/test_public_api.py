"""The studies use fewlabel as anybody could: through public names alone."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "experiments" / "fewlabel_experiments"
FILES = sorted(ROOT.rglob("*.py"))
# Beside the packages with a list of public names.
MODULES = {
    *("errors", "files", "nets.augment", "nets.losses", "explain.figure", "explain.sheets"),
    *("semisupervised.acceptance", "semisupervised.rounds"),
}


def _imports(file):
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [("", alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [("fewlabel", node.attr)] if node.value.id == "fewlabel" else []
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_only_public_names_are_used(file):
    for module, name in _imports(file):
        if module.split(".")[0] != "fewlabel":
            assert not name.startswith("fewlabel."), f"import {name}"
            continue
        if module.removeprefix("fewlabel.") in MODULES:
            assert not name.startswith("_")
        else:
            assert name in importlib.import_module(module).__all__, f"{module} is not public"
