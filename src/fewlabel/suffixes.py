"""What the suffix of an output promises, so that nothing else is written under it."""

from __future__ import annotations

from pathlib import Path

from fewlabel.errors import UsageError

_FORMATS = {
    **dict.fromkeys((".csv",), "a CSV table"),
    **dict.fromkeys((".tsv", ".tab"), "a table with tabs"),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods", ".numbers"), "a spreadsheet"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".xml"), "structured text"),
    **dict.fromkeys((".html", ".htm", ".mhtml"), "a web page"),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".rtf", ".tex"), "a document"),
    **dict.fromkeys((".md", ".rst"), "marked-up text"),
    **dict.fromkeys((".ppt", ".pptx", ".odp"), "slides"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".jfif", ".gif", ".webp", ".bmp"), "a picture"),
    **dict.fromkeys((".tif", ".tiff", ".svg", ".eps", ".ps", ".heic", ".avif"), "a picture"),
    **dict.fromkeys((".parquet", ".feather", ".arrow", ".npz", ".npy", ".h5", ".hdf5"), "arrays"),
    **dict.fromkeys((".mat", ".pkl", ".pickle", ".joblib", ".rds"), "saved objects"),
    **dict.fromkeys((".pt", ".pth", ".onnx", ".safetensors", ".ckpt"), "a model in one file"),
    **dict.fromkeys((".zip", ".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z"), "an archive"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "a database"),
}


def _check_suffix(path: str | Path, what: str, *suffixes: str) -> None:
    """Raise if the suffix of an output promises another format; no ``suffixes`` mean a folder."""
    if "://" in str(path):
        raise UsageError(f"{path} is an address: give a place on this machine with --out.")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _FORMATS and suffix not in suffixes:
        better = path.stem + suffixes[0] if suffixes else path.stem
        raise UsageError(
            f"{path} would be {what}, and its suffix promises {_FORMATS[suffix]}: name it "
            f"{path.with_name(better)} instead."
        )
