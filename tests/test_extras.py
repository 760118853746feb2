import importlib
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from fewlabel import extras
from fewlabel.errors import FewLabelError, MissingExtraError
from fewlabel.extras import EXTRA_OF, is_installed, require

MISMATCH = RuntimeError("operator torchvision::nms does not exist")


def test_a_package_that_is_there_is_imported(monkeypatch):
    assert is_installed("numpy")
    assert not is_installed("a_package_that_nobody_wrote")
    assert require("timm", "A pretrained backbone").__name__ == "timm"
    module = ModuleType("cleanlab")
    monkeypatch.setitem(sys.modules, "cleanlab", module)
    monkeypatch.setattr(extras, "is_installed", lambda name: True)
    assert require("cleanlab", "The search") is module


@pytest.mark.parametrize("package", sorted(EXTRA_OF))
def test_a_missing_package_names_its_extra(package, monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda name: False)
    with pytest.raises(MissingExtraError) as caught:
        require(package, "The search")
    assert str(caught.value) == (
        f"The search needs the package '{package}', which is not installed: "
        f"run `pip install 'fewlabel[{EXTRA_OF[package]}]'`."
    )
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, FewLabelError)
    assert caught.value.exit_code == 2


def test_every_extra_is_declared():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    declared = project["project"]["optional-dependencies"]
    distribution = {"skimage": "scikit-image"}
    for package, extra in EXTRA_OF.items():
        name = distribution.get(package, package.replace("_", "-"))
        assert any(requirement.startswith(name) for requirement in declared[extra])


@pytest.fixture
def torchvision(monkeypatch):
    """Pretend that torchvision is installed; its import does what the test says."""
    declared = []
    outcomes = []
    real = importlib.import_module

    class Library:
        def __init__(self, name, kind):
            assert (name, kind) == ("torchvision", "DEF")

        def define(self, schema):
            declared.append(schema)

    def import_module(name):
        if name != "torchvision":
            return real(name)
        # A failed import can leave parts of the package behind.
        sys.modules["torchvision._half"] = ModuleType("torchvision._half")
        for error in outcomes:
            raise error
        return ModuleType("torchvision")

    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(extras, "is_installed", lambda name: True)
    monkeypatch.setattr(extras, "_OPERATOR_LIBRARIES", [])
    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(torch.library, "Library", Library)
    yield outcomes, declared
    sys.modules.pop("torchvision._half", None)


@pytest.mark.parametrize(
    "case", ["does not match", "matches", "was imported before", "is not installed"]
)
def test_operators_are_declared_where_torchvision_does_not_match(case, torchvision, monkeypatch):
    outcomes, declared = torchvision
    if case != "matches":
        outcomes.append(MISMATCH)
    if case == "was imported before":
        monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    if case == "is not installed":
        monkeypatch.setattr(extras, "is_installed", lambda name: False)
    extras._declare_torchvision_operators()
    expected = ["nms", "qnms"] if case == "does not match" else []
    assert [schema.split("(")[0] for schema in declared] == expected
    assert len(extras._OPERATOR_LIBRARIES) == len(expected) / 2
    assert case != "does not match" or "torchvision._half" not in sys.modules


def test_another_failure_is_not_hidden(torchvision):
    outcomes, declared = torchvision
    outcomes.append(RuntimeError("out of luck"))
    with pytest.raises(RuntimeError, match="out of luck"):
        extras._declare_torchvision_operators()
    assert declared == []
