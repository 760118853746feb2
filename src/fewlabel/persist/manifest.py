"""The model folder: ``manifest.json`` and ``arrays.safetensors``, checked before use.

A model is data and never code: there is no pickle, and nothing is built from a folder before
its manifest, the sizes, the checksums and the header of its arrays have been checked. The
checksums find damage; they do not prove who wrote the model.
"""

import contextlib
import hashlib
import platform
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fewlabel
from fewlabel.errors import ModelFormatError, RunFolderError, UsageError, _damaged, _path_errors
from fewlabel.extras import _installed_version
from fewlabel.files import atomic_file, atomic_folder
from fewlabel.persist.arrays import (
    ARRAYS_FILE,
    MAX_JSON_BYTES,
    _decode_arrays,
    _describe_arrays,
    _dump_json,
    _encode_arrays,
    _parse_json,
)
from fewlabel.reading import _check_bytes, _open_regular

FORMAT_NAME = "fewlabel-model"
"""Value of ``format`` in every manifest."""

FORMAT_VERSION = 1
"""Version of the folder's format.

Rules. A change that an older fewlabel may ignore (a new key in the manifest, one more declared
file) keeps the number. A change that it must not ignore (a key that goes or changes meaning, a
new dtype, arrays in another file) raises it by one. A reader takes its own version and every
older one, and refuses a newer one by name, so that an old program never half-understands a new
model. What stands inside ``meta`` belongs to the ``kind``, which keeps its own rules there.

Version 1: ``format``, ``format_version``, ``kind``, ``created_with`` (name to version),
``files`` (plain name to ``sha256`` and ``bytes``), ``arrays`` (name to ``dtype`` and ``shape``)
and ``meta`` (any JSON object); the arrays stand in ``arrays.safetensors``.
"""

MANIFEST_FILE = "manifest.json"
"""Name of the file that declares a model; it is written last, so it makes the model whole."""

_PACKAGES = ("numpy", "torch", "scikit-learn", "safetensors")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Bundle:
    """What a model folder holds.

    Attributes
    ----------
    kind : str
        What the model is, such as ``"classifier"``.
    arrays : dict of str to ndarray
        The numbers.
    meta : dict
        Everything else, as JSON types.
    created_with : dict of str to str
        Versions of fewlabel, Python and the libraries that wrote the folder.
    """

    kind: str
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    created_with: dict[str, str] = field(default_factory=dict)


def save_bundle(
    folder: str | Path,
    *,
    kind: str,
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
    force: bool = False,
) -> None:
    """Write a model folder, whole or not at all.

    Parameters
    ----------
    folder : str or Path
        Folder to write. It may exist, and may lie in the temporary folder of a larger output.
    kind : str
        What the model is: a short plain name, such as ``"classifier"``.
    arrays : mapping of str to ndarray
        Float16/32/64, integer and bool arrays. NaN is stored as it is.
    meta : mapping
        Everything else, as JSON types; text and lists of text belong here.
    force : bool
        Replace a model that stands in ``folder`` already, if the folder holds nothing else.

    Raises
    ------
    UsageError
        If ``kind``, an array or ``meta`` cannot be stored exactly. Nothing is written then.
    RunFolderError
        If ``folder`` holds a model already and ``force`` is false, or other files besides.
    StorageError
        If the disk is full or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "model"
    >>> save_bundle(folder, kind="demo", arrays={"w": np.eye(2)}, meta={"classes": ["a", "b"]})
    >>> load_bundle(folder, kind="demo").meta["classes"]
    ['a', 'b']
    """
    folder = Path(folder)
    data = _encode_arrays(arrays)
    manifest = _manifest_bytes(kind, arrays, meta, data)
    with _destination(folder, force=force) as target:
        # The arrays first: what is left of a run that was killed between the two is no model.
        with atomic_file(target / ARRAYS_FILE) as file:
            file.write_bytes(data)
        try:
            with atomic_file(target / MANIFEST_FILE) as file:
                file.write_bytes(manifest)
        except BaseException:
            (target / ARRAYS_FILE).unlink(missing_ok=True)
            raise


@_path_errors(ModelFormatError)
def load_bundle(folder: str | Path, *, kind: str | None = None) -> Bundle:
    """Read a model folder, after checking all of it.

    Parameters
    ----------
    folder : str or Path
        Folder that ``save_bundle`` wrote.
    kind : str, optional
        Kind that the caller can use; another one is refused.

    Returns
    -------
    Bundle
        Kind, arrays, meta, and the versions that wrote them.

    Raises
    ------
    ModelFormatError
        If the folder is not a model, was written in a newer format, is of another kind, or is
        damaged. The message names the file and the next step.

    Examples
    --------
    >>> load_bundle("nowhere")
    Traceback (most recent call last):
    fewlabel.errors.ModelFormatError: nowhere is not a model folder: it has no manifest.json. ...
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    if kind not in (None, manifest["kind"]):
        raise ModelFormatError(
            f"{folder} holds a model of the kind {manifest['kind'][:80]!r}, and one of the kind "
            f"{kind!r} is needed here: give the folder of such a model."
        )
    for name, entry in manifest["files"].items():
        _check_file(folder, name, entry)
    arrays = _decode_arrays(folder / ARRAYS_FILE, manifest["arrays"])
    return Bundle(manifest["kind"], arrays, manifest["meta"], _created_with(manifest))


def _manifest_bytes(
    kind: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], data: bytes
) -> bytes:
    if not isinstance(kind, str) or not _PLAIN_NAME.fullmatch(kind):
        raise UsageError(
            "The 'kind' parameter of save_bundle must be a short name of letters, digits, "
            f"'_', '-' and '.'. Got {kind!r} instead."
        )
    versions = {"fewlabel": fewlabel.__version__, "python": platform.python_version()}
    versions |= {name: found for name in _PACKAGES if (found := _installed_version(name))}
    try:
        return _dump_json(
            {
                "format": FORMAT_NAME,
                "format_version": FORMAT_VERSION,
                "kind": kind,
                "created_with": versions,
                "files": {
                    ARRAYS_FILE: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                },
                "arrays": _describe_arrays(arrays),
                "meta": dict(meta),
            }
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"The model cannot be stored as JSON: {error}.") from error


@contextlib.contextmanager
def _destination(folder: Path, *, force: bool) -> Iterator[Path]:
    """Return the folder to fill: a new one that is renamed, or the one that stands there."""
    own = {ARRAYS_FILE, MANIFEST_FILE}
    present = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if present & own:
        if not force:
            raise RunFolderError(
                f"{folder} holds a model already: give another folder, or force=True to replace it."
            )
        if present - own:
            raise RunFolderError(
                f"{folder} holds other files beside the model ({min(present - own)}), so it is "
                "not replaced: give another folder."
            )
    if present - own:
        # A folder with other outputs cannot be renamed over; the manifest, written last,
        # is what makes the model appear there.
        yield folder
        return
    with atomic_folder(folder, force=force) as temporary:
        yield temporary


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise ModelFormatError(
            f"{folder} is not a model folder: it has no {MANIFEST_FILE}. Give the folder of a "
            "model that fewlabel saved; fewlabel loads no pickle and no other format."
        )
    _check_plain(path)
    # One byte more than the bound tells a file that is too long without reading it all.
    with _open_regular(path) as file:
        data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        limit = f"{MAX_JSON_BYTES // 2**20} MiB"
        raise _damaged(f"{path} is over {limit}, which no manifest of fewlabel is")
    try:
        manifest = _parse_json(data)
    except ValueError as error:
        raise _damaged(f"{path} is not valid JSON ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT_NAME:
        raise ModelFormatError(
            f"{path} is not the manifest of a fewlabel model: it must be a JSON object whose "
            f"'format' is {FORMAT_NAME!r}. Give the folder of a model that fewlabel saved."
        )
    # The version first: a newer format may have changed everything else.
    version = manifest.get("format_version")
    if type(version) is not int or version < 1:
        raise _damaged(f"{path}: 'format_version' must be a whole number of at least 1")
    if version > FORMAT_VERSION:
        writer = _created_with(manifest).get("fewlabel", "of a later version")[:40]
        raise ModelFormatError(
            f"{folder} was written by fewlabel {_printable(writer)} in model format {version}; "
            f"this fewlabel {fewlabel.__version__} reads formats up to {FORMAT_VERSION}: "
            "upgrade with `pip install --upgrade fewlabel`."
        )
    for key, expected in (("files", dict), ("arrays", dict), ("meta", dict), ("kind", str)):
        if not isinstance(manifest.get(key), expected):
            what = "text" if expected is str else "an object"
            raise _damaged(f"{path}: '{key}' must be {what}")
    if ARRAYS_FILE not in manifest["files"]:
        raise _damaged(f"{path}: 'files' must be an object that names {ARRAYS_FILE}")
    return manifest


def _check_file(folder: Path, name: str, entry: Any) -> None:
    """Raise if a file is not the one that the manifest declares."""
    manifest, path = folder / MANIFEST_FILE, folder / name
    if not _PLAIN_NAME.fullmatch(name) or ".." in name:
        raise ModelFormatError(
            f"{manifest} names the file {name[:80]!r}, which is not a plain file name: the model "
            "may have been tampered with; do not use it."
        )
    size, digest = (
        (entry.get("bytes"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
    )
    # isinstance would let True pass for a size.
    if type(size) is not int or not isinstance(digest, str):
        raise _damaged(f"{manifest}: 'files: {name}' must be an object with 'bytes' and 'sha256'")
    # exists() follows links: a broken one is named as a link below.
    if not path.exists() and not path.is_symlink():
        raise _damaged(f"{path} is missing")
    _check_plain(path)
    # The size before the checksum: what was swollen to a terabyte is not read.
    found = path.stat().st_size
    if found != size:
        raise _damaged(
            f"{path} has {found:,} bytes where the manifest says {size:,} (an interrupted copy?)"
        )
    try:
        _check_bytes(size)
    except OSError as error:
        raise ModelFormatError(f"{path} is not read: {error.strerror}.") from error
    with _open_regular(path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise _damaged(f"{path} does not match its checksum")


def _check_plain(path: Path) -> None:
    # A link could lead out of the folder, and a pipe could block.
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ModelFormatError(
            f"{path} is not an ordinary file: a model folder holds no links or folders; "
            "copy the model with its contents (cp -rL)."
        )


def _created_with(manifest: dict[str, Any]) -> dict[str, str]:
    versions = manifest.get("created_with")
    if not isinstance(versions, dict):
        return {}
    return {name: text for name, text in versions.items() if isinstance(text, str)}


def _printable(text: str) -> str:
    # Text from a file must not reach a terminal with control codes in it.
    return "".join(c if c.isprintable() else "?" for c in text)
