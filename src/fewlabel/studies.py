"""Where the published studies are: the folder ``experiments`` of a clone, or what a wheel has."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from fewlabel.errors import UsageError

PACKAGE = "fewlabel_experiments"
"""Name under which the studies are imported."""

_CLONE = Path(__file__).resolve().parents[2]


def load_studies(part: str) -> ModuleType:
    """Import a module of the studies.

    In a clone of the repository, and with an editable install of it, they are the folder
    ``experiments``; a wheel brings them as the package ``fewlabel_experiments``.

    Parameters
    ----------
    part : str
        Module to import, such as ``"registry"``.

    Returns
    -------
    module
        The module ``fewlabel_experiments.PART``.

    Raises
    ------
    UsageError
        If the studies are not installed.

    Examples
    --------
    >>> sorted(load_studies("registry").STUDIES)[:2]
    ['clusters-a', 'clusters-b']
    """
    if PACKAGE not in sys.modules:
        _load_package()
    return importlib.import_module(f"{PACKAGE}.{part}")


def _load_package() -> None:
    file = _CLONE / "experiments" / "__init__.py"
    # A folder of that name may lie anywhere; the project's own lies beside pyproject.toml.
    if not file.is_file() or not (_CLONE / "pyproject.toml").is_file():
        if importlib.util.find_spec(PACKAGE) is None:
            raise UsageError(
                "The published studies are not installed: install fewlabel from its repository or "
                "its wheel, both of which have them."
            )
        importlib.import_module(PACKAGE)
        return
    spec = importlib.util.spec_from_file_location(
        PACKAGE, file, submodule_search_locations=[str(file.parent)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
