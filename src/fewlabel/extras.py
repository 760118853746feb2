"""Optional packages: which extra brings them, one error text, and the torchvision guard."""

import importlib
import importlib.metadata
import importlib.util
from types import ModuleType
from typing import Any

from fewlabel.errors import MissingExtraError

EXTRA_OF: dict[str, str] = {
    "timm": "photos",
    "captum": "explain",
    "skimage": "explain",
    "tensorboard": "tensorboard",
    "tifffile": "tiff",
    "openpyxl": "tables",
    "cleanlab": "noise",
    "fastapi": "web",
    "uvicorn": "web",
    "python_multipart": "web",
    "prometheus_client": "web",
    "sqlalchemy": "web",
    "alembic": "web",
    "psycopg": "postgres",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "ray": "ray",
}
"""Import name of each optional package and the extra that installs it."""


def is_installed(package: str) -> bool:
    """Return whether an optional package can be imported, without importing it.

    Parameters
    ----------
    package : str
        Import name.

    Returns
    -------
    bool
        True if the package is found.
    """
    return importlib.util.find_spec(package) is not None


def _installed_version(package: str) -> str | None:
    """Return the version of an installed package; None if it is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_installed(package: str, purpose: str) -> None:
    """Raise if an optional package is missing, naming the extra to install; do not import it.

    Parameters
    ----------
    package : str
        Import name; a key of ``EXTRA_OF``.
    purpose : str
        What needs the package, as the subject of a sentence.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    if not is_installed(package):
        extra = EXTRA_OF[package]
        raise MissingExtraError(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"run `pip install 'fewlabel[{extra}]'`."
        )


def require(package: str, purpose: str) -> ModuleType:
    """Import an optional package, or raise with the extra to install.

    Parameters
    ----------
    package : str
        Import name; a key of ``EXTRA_OF``.
    purpose : str
        What needs the package, as the subject of a sentence.

    Returns
    -------
    module
        The imported package.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    check_installed(package, purpose)
    if package == "timm":
        _declare_torchvision_operators()
    return importlib.import_module(package)


_OPERATOR_LIBRARIES: list[Any] = []


def _declare_torchvision_operators() -> None:
    """Declare the operators that torchvision registers at import, where they are missing."""
    # timm imports torchvision, which registers fake kernels for torchvision::nms. Where its
    # compiled library does not match torch (a CPU torch beside the registry's CUDA torchvision),
    # the operator does not exist and the import dies, though timm never calls it. Declaring the
    # schemas first lets the import pass. A torchvision that matches defines them itself, and a
    # second definition would be an error, so the import is tried first.
    import sys

    if not is_installed("torchvision") or "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # The library object owns the declarations: they vanish with it.
    _OPERATOR_LIBRARIES.append(library)
