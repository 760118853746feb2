"""A model as a static page: photos that are dropped on it are classified in the browser."""

from __future__ import annotations

import html
import json
import shutil
import tarfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fewlabel.data import ImageSet
from fewlabel.data.download import _fetch, _RemoteFile
from fewlabel.errors import DownloadError, UsageError
from fewlabel.export.onnx_file import Exported, export_onnx
from fewlabel.features.base import Progress
from fewlabel.files import atomic_folder, cache_folder
from fewlabel.model import Model

_VERSION = "1.30.0"
_RUNTIME = _RemoteFile(
    f"onnxruntime-web-{_VERSION}.tgz",
    40_000_000,
    "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
)
_ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/{_RUNTIME.name}"
# What one thread on the processor needs of it, and the most bytes of each.
_PARTS = {
    "package/dist/ort.wasm.bundle.min.mjs": 1_000_000,
    "package/dist/ort-wasm-simd-threaded.wasm": 40_000_000,
}
_PAGE = Path(__file__).with_name("page")
_README = """\
A page that classifies photos in the browser; nothing leaves the machine that opens it.
It must come from a web server, which any that serves files is, such as

    python -m http.server -b 127.0.0.1 -d {folder}

and http://127.0.0.1:8000 in the browser. model.onnx is the model, model.json what it says of
itself; runtime/ is onnxruntime-web {version} (MIT license, https://onnxruntime.ai).
"""


def export_page(
    model: Model,
    folder: str | Path,
    images: ImageSet,
    *,
    name: str = "model",
    runtime: str | Path | None = None,
    force: bool = False,
    graph: bool | None = None,
    exported: Exported | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a static page that classifies photos with a model, in the browser.

    Parameters
    ----------
    model : Model
        The model.
    folder : str or Path
        Folder to make, whole or not at all.
    images : ImageSet
        Images to check the model's file on, see `export_onnx`.
    name : str
        What the page calls the model.
    runtime : str or Path, optional
        The archive of onnxruntime-web from the npm registry; by default it is fetched once and
        kept in the cache.
    force : bool
        Replace an earlier page there.
    graph : bool, optional
        As in `export_onnx`.
    exported : Exported, optional
        What `export_onnx` returned for this model: its file is copied, and not made again.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Exported
        What is known of the model's file.

    Raises
    ------
    FewLabelError
        If the file would differ from the model.
    RunFolderError
        If the folder exists and ``force`` is false.
    DownloadError
        If the runtime cannot be fetched.
    UsageError
        If ``runtime`` is another archive.
    StorageError
        If the folder cannot be written.
    """
    archive = _runtime(progress) if runtime is None else Path(runtime)
    with atomic_folder(folder, force=force, option="--web") as made:
        _unpack(archive, made / "runtime")
        file = made / "model.onnx"
        if exported is None:
            exported = export_onnx(model, file, images, graph=graph, progress=progress)
        else:
            shutil.copyfile(exported.file, file)
        about = exported.about | {"format": "fewlabel-page", "name": name}
        (made / "model.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        for part in ("page.css", "page.js"):
            shutil.copyfile(_PAGE / part, made / part)
        text = (_PAGE / "index.html").read_text(encoding="utf-8")
        (made / "index.html").write_text(text.replace("NAME", html.escape(name)), encoding="utf-8")
        (made / "README.txt").write_text(
            _README.format(folder=Path(folder).name, version=_VERSION), encoding="utf-8"
        )
    return replace(exported, file=str(Path(folder) / "model.onnx"))


def _runtime(progress: Progress | None) -> Path:
    """Return the archive of the runtime, fetched if it is not in the cache."""
    report = progress and partial(progress, "download")
    try:
        return _fetch(_RUNTIME, [_ADDRESS], cache_folder() / "runtime", progress=report)
    except DownloadError as error:
        raise DownloadError(
            f"{error} Fetch {_ADDRESS} elsewhere and give the file with --runtime."
        ) from error


def _unpack(archive: Path, folder: Path) -> None:
    """Copy what the page needs out of an archive; nothing else in it is looked at."""
    folder.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for part, max_bytes in _PARTS.items():
                member: Any = opened.extractfile(part)
                content = b"" if member is None else member.read(max_bytes + 1)
                if not 0 < len(content) <= max_bytes:
                    raise KeyError(part)
                (folder / Path(part).name).write_bytes(content)
    except (tarfile.TarError, OSError, EOFError, KeyError) as error:
        raise UsageError(
            f"{archive} is not onnxruntime-web {_VERSION} ({error}): fetch {_ADDRESS}."
        ) from error
