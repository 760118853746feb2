"""Labels as labeling tools write them in JSON: Label Studio, COCO, and one object an image."""

import json
from collections.abc import Iterator
from typing import Any

from fewlabel.data.columns import Record, _candidates, _cell, _choices, _joined, _TableError
from fewlabel.reading import _max_bytes


def _json_records(text: str) -> Iterator[Record]:
    """Give the header and the records of JSON or of JSON Lines, as of a table."""
    word, found = _parsed(text)
    try:
        if isinstance(found, dict):
            yield from _coco(found)
        elif found and all(
            "data" in one and {"annotations", "completions"} & {*one} for one in found
        ):
            yield from _label_studio(found)
        elif found:
            yield from _plain_objects(found, word)
    except (LookupError, TypeError, AttributeError) as failure:
        raise _TableError(
            f"is neither JSON of Label Studio or COCO nor a list of objects with path and label "
            f"({type(failure).__name__}: {failure})."
        ) from failure


def _parsed(text: str) -> tuple[str, Any]:
    """Return the one object of COCO, or the objects of a list or of lines; and what each is."""
    # Each takes 64 bytes, however short it is.
    limit = _max_bytes() // 1024
    if text.count("[") + text.count("{") > limit:
        raise _TableError(f"holds more than the {limit:,} lists and objects that are read.")
    lines: list[Any] = []
    try:
        try:
            content = json.loads(text)
        except json.JSONDecodeError as failure:
            if failure.msg != "Extra data":
                raise
            for entry in text.split("\n"):
                lines.append(json.loads(entry if entry.strip() else "{}"))
            return "line", lines
    except (ValueError, RecursionError) as failure:
        line = len(lines) + getattr(failure, "lineno", 1)
        reason = getattr(failure, "msg", failure)
        raise _TableError(f"not JSON ({reason}).", f"line {line}") from failure
    if isinstance(content, dict) and "images" not in content:
        # A single line of JSON Lines.
        return "line", [content]
    return "record", content


def _plain_objects(entries: list[Any], word: str) -> Iterator[Record]:
    """Give objects as rows: of pandas, of Label Studio's JSON-MIN, of ``metadata.jsonl``."""
    names = list(dict.fromkeys(name for entry in entries for name in {**entry}))
    used = {names[i]: None for found in _candidates(names).values() for i in found}
    # The others are there for messages, and blank as in a short row of CSV.
    yield f"{word} 1", list(used) + [name for name in names if name not in used]
    for number, entry in enumerate(entries, start=1):
        if entry:
            yield f"{word} {number}", [_cell(entry.get(name)) for name in used]


def _coco(content: dict[str, Any]) -> Iterator[Record]:
    """Give the categories of each image; one without annotations is unlabeled."""
    name_of = {category["id"]: category["name"] for category in content["categories"]}
    names: dict[Any, list[str]] = {image["id"]: [] for image in content["images"]}
    for key, ids in (("categories", name_of), ("images", names)):
        if len(ids) < len(content[key]):
            raise _TableError(f"has two {key} with the same id: give each its own.")
    for number, annotation in enumerate(content["annotations"], start=1):
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in names or category not in name_of:
            lacking = f"category {category!r}" if image in names else f"image {image!r}"
            raise _TableError(f"there is no {lacking} ('1' is not 1).", f"annotation {number}")
        names[image].append(name_of[category])
    yield "images", ["path", "label"]
    for number, image in enumerate(content["images"], start=1):
        place = f"image {number}"
        yield place, [_cell(image["file_name"]), _joined(names[image["id"]], place)]


def _label_studio(tasks: list[Any]) -> Iterator[Record]:
    """Give the choices of each annotation of each task."""
    rows: list[tuple[str, dict[str, Any], dict[str, list[Any]]]] = []
    for number, task in enumerate(tasks, start=1):
        place = f"task {number}"
        rows.append((place, task["data"], {}))
        for annotation in task.get("annotations") or task.get("completions") or ():
            chosen: dict[str, list[Any]] = {}
            for result in () if annotation.get("was_cancelled") else annotation["result"]:
                if "choices" in result.get("value", ()):
                    names = chosen.setdefault(result["from_name"], [])
                    names += _choices(result["value"])
            rows.append((place, task["data"], chosen))
    image = _only("path", {name for _, data, _ in rows for name in {**data}})
    control = _only("label", {name for _, _, chosen in rows for name in chosen})
    yield "tasks", ["path", "label"]
    for place, data, chosen in rows:
        yield place, [_cell(data.get(image)), _joined(chosen.get(control, ()), place)]


def _only(role: str, found: set[str]) -> str:
    """Return the name under which Label Studio holds the images or the choices."""
    names = sorted(found)
    best = [names[i] for i in _candidates(names).get(role, ())] or names
    if len(best) != 1:
        listed = " and ".join(f"`{name}`" for name in best) or "no choices for whole images"
        raise _TableError(f"must hold the {role} under one name. Got {listed} instead.")
    return best[0]
