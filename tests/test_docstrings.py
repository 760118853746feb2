"""Every public name has a numpydoc docstring that agrees with its signature."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from numpydoc.validate import validate

import fewlabel

ROOT = Path(__file__).parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"]
# The docstring of a command is its help text, that of a route its text in the schema.
SKIP = ("fewlabel.cli", "fewlabel.__main__", "fewlabel.web.api")
# What all methods share stands once: at the top of the module, or in the docstring of the class.
SHORT = (
    *(f"fewlabel.data.task{name}" for name in ("_functions.Task.", ".SingleLabel", ".MultiLabel")),
    *(f"fewlabel.nets.batches.{name}." for name in ("Batch", "TrainingSet")),
    *(f"fewlabel.evaluate.candidate.{name}." for name in ("Problem", "Fitted", "Candidate")),
    "fewlabel.evaluate.learning_curve.LearningCurve.",
    "fewlabel.nets.loop.Trainer.",
    "fewlabel.nets.network.Network.",
    *(f"fewlabel.semisupervised.{name}." for name in ("acceptance", "history", "rounds.Round")),
    *(
        f"fewlabel.semisupervised.network{name}."
        for name in ("_inputs", "_problem", "_training", "s")
    ),
)
OBJECT_MEMBERS = (property, staticmethod, classmethod)


def _modules() -> list[str]:
    found = [m.name for m in pkgutil.walk_packages(fewlabel.__path__, "fewlabel.")]
    return ["fewlabel", *(name for name in found if not name.startswith(SKIP))]


def _is_documentable(member: Any) -> bool:
    return inspect.isfunction(member) or isinstance(member, OBJECT_MEMBERS)


def _names(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield name
        elif inspect.isclass(value):
            yield name
            if getattr(value, "_is_protocol", False):
                continue
            for member_name, member in vars(value).items():
                if not member_name.startswith("_") and _is_documentable(member):
                    yield f"{name}.{member_name}"


def _overrides(module: ModuleType, name: str) -> bool:
    """Whether a method stands in a base class of fewlabel, whose docstring describes it."""
    owner, _, method = name.rpartition(".")
    bases = getattr(module, owner).__mro__[1:] if owner else ()
    return any(method in vars(base) and base.__module__.startswith("fewlabel") for base in bases)


def _problems(module: ModuleType, name: str) -> list[str]:
    full_name = f"{module.__name__}.{name}"
    if full_name.startswith(SHORT) or _overrides(module, name):
        member = attrgetter(name)(module)
        return [] if inspect.getdoc(member) else [f"{full_name} has no docstring"]
    found = validate(full_name)
    # A dataclass may describe its fields as attributes: what it holds, not what it takes. A
    # protocol takes nothing.
    as_attributes = "\nAttributes\n" in (found["docstring"] or "")
    as_attributes |= getattr(getattr(module, name, None), "_is_protocol", False)
    return [
        f"{full_name} ({found['file']}:{found['file_line']}): {code} {text}"
        for code, text in found["errors"]
        if code in CONFIG["checks"] and not (as_attributes and code == "PR01")
    ]


@pytest.mark.parametrize("module_name", _modules())
def test_the_docstrings_of_a_module_are_whole(module_name: str) -> None:
    module = importlib.import_module(module_name)
    assert module.__doc__, f"{module_name} has no docstring"
    problems = [p for name in _names(module) for p in _problems(module, name)]
    assert not problems, "\n".join(problems)
