"""Labels brought to other tools and back: CSV, class folders, Label Studio, COCO."""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from fewlabel.data import ImageSet, Labels, labels_from_truth, load_images, read_labels
from fewlabel.data.class_folders import _folder_classes
from fewlabel.data.tables import _write_table
from fewlabel.errors import LabelError, UsageError
from fewlabel.files import _check_suffix, atomic_file, atomic_folder
from fewlabel.labelling.answers import Answer
from fewlabel.labelling.file_names import _distinct, _file_name, _safe
from fewlabel.labelling.store import _Store

_Named = Mapping[int, tuple[str, ...]]


def export_labels(
    labels: _Store | Labels,
    out: str | Path,
    kind: str = "csv",
    *,
    images: ImageSet | None = None,
    link: bool = False,
) -> None:
    """Write labels in the form of another tool.

    Parameters
    ----------
    labels : _Store or Labels
        The labels that stand.
    out : str or Path
        File to write; a folder, which must not exist, for ``"folders"``.
    kind : {"csv", "folders", "label-studio", "coco"}
        A label table of fewlabel; one folder a class, with the labeled images in them; JSON of
        Label Studio, or of COCO with a box around the whole image.
    images : ImageSet, optional
        The images that ``labels`` are of; a store knows its own.
    link : bool
        In folders, make hard links where the disk allows, instead of copies. Images are never
        moved.

    Raises
    ------
    UsageError
        If the kind cannot hold such labels.
    StorageError
        If it cannot be written.
    RunFolderError
        If the folder exists.

    Warns
    -----
    UserWarning
        Of images that are left out, since the form cannot say "none" or "not known".

    Examples
    --------
    >>> import tempfile
    >>> from fewlabel.data import labels_from_truth, load_images
    >>> images = load_images("digits")[:100]
    >>> folder = Path(tempfile.mkdtemp()) / "sorted"
    >>> export_labels(labels_from_truth(images), folder, "folders", images=images)
    >>> len(load_images(folder)), sorted(path.name for path in folder.iterdir())[:3]
    (100, ['0', '1', '2'])
    """
    if isinstance(labels, _Store):
        images, labels = labels.images, labels.labels()
    if images is None or kind not in _WRITERS:
        wrong = f"Got kind={kind!r}." if images is not None else "The images are missing."
        raise UsageError(f"Labels are exported as one of {', '.join(_WRITERS)}. {wrong}")
    if kind != "csv" and kind != "folders" and images.by_index:
        raise UsageError(
            f"{images.source} has no image files, which other tools ask for: export folders."
        )
    if kind == "folders":
        _write_folders(labels, images, Path(out), link)
    else:
        _WRITERS[kind](labels, images, Path(out))


def import_labels(store: _Store, source: str | Path) -> int:
    """Add the labels of a file, or of a tree of class folders, to a store.

    Parameters
    ----------
    store : _Store
        Where they are added, as answers of origin ``"import"``.
    source : str or Path
        Any label table that `fewlabel.data.read_labels` takes, JSON of Label Studio and COCO
        too; or a folder with one folder a class, whose images are found by their content.

    Returns
    -------
    int
        How many labels were added; those that stand already are not added again.

    Raises
    ------
    LabelError
        If the table is wrong, or the folder holds none of the images.
    StorageError
        If the answers cannot be kept.
    """
    if Path(source).is_dir():
        found = _found_by_content(store, Path(source))
    else:
        labels = read_labels(source, store.images, min_classes=0, task=store.task)
        found = _named(labels)
        asked = {i: why for i, why in enumerate(labels.purpose) if why}
        store.ask(asked, asked.values())
    current = store.current()
    new = {image: names for image, names in found.items() if current.get(image) != names}
    store.add([Answer(image, names, origin="import") for image, names in new.items()])
    return len(new)


def _found_by_content(store: _Store, folder: Path) -> dict[int, tuple[str, ...]]:
    tree = load_images(folder)
    named = _named(labels_from_truth(tree))
    of = dict(zip(tree.content_digests(), range(len(tree)), strict=True))
    digests = enumerate(store.images.content_digests())
    found = {i: named[of[d]] for i, d in digests if d in of and of[d] in named}
    if not found:
        raise LabelError(
            f"{folder} holds none of the images of {store.images.source}: give a folder with "
            "copies of them, one folder a class."
        )
    return found


def _named(labels: Labels) -> dict[int, tuple[str, ...]]:
    """Return the labels of each labeled image."""
    texts = labels.names()
    return {i: labels.task.names(texts[i]) for i in labels.labeled.tolist()}


def _sayable(labels: Labels, out: Path) -> _Named:
    """Return the labels that a form can hold which only names those that are present."""
    named, is_known = _named(labels), labels.task.is_known
    kept = {i: names for i, names in named.items() if names and all(map(is_known, names))}
    if len(kept) < len(named):
        warnings.warn(
            f"{out} leaves out {len(named) - len(kept)} image(s) that have none of the labels, or "
            "some that are not known: this form cannot say so, a CSV table can.",
            UserWarning,
            stacklevel=4,
        )
    return kept


def _write_csv(labels: Labels, images: ImageSet, out: Path) -> None:
    rows = labels.labeled.tolist()
    cells = labels.cells()
    columns = [[images.names[i] for i in rows], [cells[i] for i in rows]]
    header = ["index" if images.by_index else "path", "label"]
    for name, given in (("purpose", labels.purpose), ("group", labels.groups)):
        if given:
            columns.append([given[i] for i in rows])
            header.append(name)
    _write_table(out, header, zip(*columns, strict=True))


def _write_label_studio(labels: Labels, images: ImageSet, out: Path) -> None:
    named = _sayable(labels, out)
    control = {"from_name": "label", "to_name": "image", "type": "choices"}
    _write_json(
        out,
        [
            {
                "id": i + 1,
                "data": {"image": name},
                "annotations": [
                    {"result": [{**control, "value": {"choices": list(names)}}]}
                    for names in [named.get(i)]
                    if names
                ],
            }
            for i, name in enumerate(images.names)
        ],
    )


def _write_coco(labels: Labels, images: ImageSet, out: Path) -> None:
    named = _sayable(labels, out)
    shapes = [images.subset([i]).native_shape or (0, 0, 0) for i in range(len(images))]
    number = {name: i + 1 for i, name in enumerate(labels.classes)}
    pairs = [(image, name) for image, names in named.items() for name in names]
    content = {
        "images": [
            {"id": i + 1, "file_name": name, "height": height, "width": width}
            for i, (name, (height, width, _)) in enumerate(zip(images.names, shapes, strict=True))
        ],
        "categories": [{"id": i, "name": name} for name, i in number.items()],
        "annotations": [
            {
                "id": i + 1,
                "image_id": image + 1,
                "category_id": number[name],
                "bbox": [0, 0, shapes[image][1], shapes[image][0]],
                "area": shapes[image][0] * shapes[image][1],
                "iscrowd": 0,
            }
            for i, (image, name) in enumerate(pairs)
        ],
    }
    _write_json(out, content)


def _write_json(out: Path, content: Any) -> None:
    _check_suffix(out, "JSON", ".json")
    with atomic_file(out) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _write_folders(labels: Labels, images: ImageSet, out: Path, link: bool) -> None:
    found = _named(labels)
    if any(len(names) != 1 or not labels.task.is_known(names[0]) for names in found.values()):
        raise UsageError(
            "An image with several labels lies in no one folder: export csv, label-studio or coco."
        )
    named = {image: names[0] for image, names in found.items()}
    folders = _distinct([_safe(name) for name in labels.classes])
    folder_of = dict(zip(labels.classes, folders, strict=True))
    firsts = [(folder_of[name], _file_name(images, image)) for image, name in named.items()]
    places = _distinct([f"{folder}/{name}" for folder, name in firsts])
    _check_suffix(out, "a folder")
    with atomic_folder(out, durable=False) as temporary:
        for folder in dict.fromkeys(folder_of[name] for name in named.values()):
            (temporary / folder).mkdir()
        for image, place in zip(named, places, strict=True):
            _place(images, image, temporary / place, link)
        # Where a class could not be the name of a folder, or would be taken for a split.
        if _folder_classes(places).labels != list(named.values()):
            rows = zip(places, named.values(), strict=True)
            _write_table(temporary / "metadata.csv", ("path", "label"), rows)


def _place(images: ImageSet, image: int, target: Path, link: bool) -> None:
    source = images.path(image)
    if source is None:
        pixels = images.read([image])[0]
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(target)
        return
    if link:
        try:
            # A symbolic one would lead out of the folder, and `load_images` follows none there.
            target.hardlink_to(source.resolve())
            return
        except OSError:
            # Another disk, or one without links.
            pass
    shutil.copyfile(source, target)


_WRITERS: dict[str, Callable[..., None]] = {
    "csv": _write_csv,
    "folders": _write_folders,
    "label-studio": _write_label_studio,
    "coco": _write_coco,
}
