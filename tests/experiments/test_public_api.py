"""The studies use fewlabel as anybody could: through public names alone."""

import ast
import importlib
from pathlib import Path

import pytest

import fewlabel

ROOT = Path(__file__).parents[2] / "experiments" / "fewlabel_experiments"
FILES = sorted(ROOT.rglob("*.py"))
SUBPACKAGES = ("data", "evaluate", "nets", "persist", "graph", "semisupervised")
MODULES = (
    "nets.augment",
    "nets.losses",
    "errors",
    "files",
    "explain.figure",
    "explain.sheets",
    "semisupervised.acceptance",
    "semisupervised.rounds",
)


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
        part = module.removeprefix("fewlabel").removeprefix(".")
        if part in SUBPACKAGES:
            assert name in importlib.import_module(module).__all__
        elif part in MODULES:
            assert not name.startswith("_")
        else:
            assert part == "", f"{module} is not a public module"
            assert name in fewlabel.__all__


def test_the_check_finds_what_is_private(tmp_path):
    assert {"clusters_b/study.py", "runner.py"} <= {f.relative_to(ROOT).as_posix() for f in FILES}
    file = tmp_path / "x.py"
    file.write_text("from fewlabel.cluster.lloyd import lloyd\nimport fewlabel\nfewlabel.run_x()")
    assert _imports(file) == [
        ("fewlabel.cluster.lloyd", "lloyd"), ("", "fewlabel"), ("fewlabel", "run_x"),
    ]  # fmt: skip
