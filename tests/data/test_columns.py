import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import load_images, read_labels
from fewlabel.data.columns import _guarded, _unguarded
from fewlabel.data.tables import _read_table, _write_table
from fewlabel.errors import LabelError


def read(folder, text, required=("path", "label")):
    table = folder / "labels.csv"
    table.write_text(text, encoding="utf-8")
    _, rows = _read_table(table, required=required, what="label table", error=LabelError)
    return [tuple(row.cells[role] for role in required) for row in rows]


@pytest.mark.parametrize(
    "label", ["label", "labels", "Class", "category", " target ", "la\u200bbel"]
)
@pytest.mark.parametrize(
    "image", ["path", "file", "FileName", "file_name", "image", "image path", "file-path"]
)
def test_usual_names_are_understood_and_named(tmp_path, image, label):
    text = f"id,{image},{label}\n7,a.png,cat\n"
    if image == "path" and label in ("label", "la\u200bbel"):
        assert read(tmp_path, text) == [("a.png", "cat")]
        return
    with pytest.warns(UserWarning, match=r"labels.csv, line 1: took the column `") as caught:
        assert read(tmp_path, text) == [("a.png", "cat")]
    for name, role in ((image, "path"), (label, "label")):
        guessed = f"`{name.strip()}` as the {role}"
        assert (guessed in str(caught[0].message)) == (name not in ("path", "label", "la\u200bbel"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,class,category", "line 1: `class` and `category` may each be the label: call one"),
        ("file,label,image", "`file` and `image` may each be the path"),
        ("path,label,Label", "the column `label` stands twice"),
        ("photo,label", "has no column `path`; expected `path,label`, found `photo,label`"),
        ("path,kind", "has no column `label`"),
    ],
)
def test_columns_that_are_not_clear_are_named(tmp_path, header, message):
    with pytest.raises(LabelError, match=message):
        read(tmp_path, f"{header}\na,b,c\n")


def test_the_name_itself_comes_first_and_that_is_named(tmp_path):
    with pytest.warns(UserWarning, match="took the column `label`, not `class`, as the label"):
        assert read(tmp_path, "path,class,label\na.png,0,cat\n") == [("a.png", "cat")]


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ('["cat", "dog"]', "cat|dog"),
        (' ["cat"] ', "cat"),
        ("[]", "|"),
        ("[null]", ""),
        ('["", "a"]', "a"),
        ('{"choices": null}', ""),
        ("[1, 2]", "1|2"),
        ('{"choices": ["cat", "dog"]}', "cat|dog"),
        ("cat|dog", "cat|dog"),
        ("cat;dog", "cat;dog"),
        ("[cat", "[cat"),
        ("[cat]", "[cat]"),
    ],
)
def test_lists_in_cells_are_several_labels(tmp_path, cell, label):
    quoted = '"' + cell.replace('"', '""') + '"'
    assert read(tmp_path, f"path,label\na.png,{quoted}\n") == [("a.png", label)]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("['cat', 'dog']", "line 2: .* is a list as Python prints it: write a.b or a JSON list"),
        ("['cat']", "is a list as Python prints it"),
        ("('cat', 'dog')", "is a list as Python prints it"),
        ("{'choices': ['cat', 'dog']}", "is a list as Python prints it"),
        ('["cat|dog"]', "line 2: 'cat.dog' is no label"),
        ('{"boxes": [1]}', "is no label"),
    ],
)
def test_lists_that_are_not_clear_are_named(tmp_path, cell, message):
    quoted = '"' + cell.replace('"', '""') + '"'
    with pytest.raises(LabelError, match=f"labels.csv.*{message}"):
        read(tmp_path, f"path,label\na.png,{quoted}\n")


CELLS = [
    "=1+1",
    "+",
    "-",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=1",
    "''-",
    "=cmd|' /C calc'!A0",
    "－1",
    "-1e",
]


@pytest.mark.parametrize("cell", CELLS)
def test_what_a_spreadsheet_would_run_is_guarded_and_comes_back(cell):
    assert _guarded(cell) == f"'{cell}"
    assert _unguarded(_guarded(cell)) == cell


@pytest.mark.parametrize("cell", ["-1", "-1.5", "+3", "1e-5", "-.5", "cat", "a=b", "", "'s", "'"])
def test_numbers_and_ordinary_text_stay(cell):
    assert _guarded(cell) == _unguarded(cell) == cell


@settings(max_examples=50, deadline=None)
@given(st.text("'=+-@1a\t", max_size=6))
def test_every_text_comes_back(text):
    assert _unguarded(_guarded(text)) == text
    assert _guarded(text)[:1] not in "=+-@\t" or not text or float(text) is not None


def test_a_table_on_disk_is_guarded(tmp_path):
    _write_table(tmp_path / "a.csv", ("path", "label"), [("-a.png", "=1+1"), ("b.png", "-1")])
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [["'-a.png", "'=1+1"], ["b.png", "-1"]]


def test_guarded_labels_and_names_are_read_back(tmp_path, save_photo):
    labels = {"-a.png": "+", "=b.png": "@x", "c.png": "-1.5", "'d.png": "''=1"}
    for name in labels:
        save_photo(f"images/{name}")
    _write_table(tmp_path / "a.csv", ("path", "label"), labels.items())
    images = load_images(tmp_path / "images")
    found = read_labels(tmp_path / "a.csv", images)
    texts = found.task.texts(found.y, found.classes)
    assert dict(zip(images.names, texts, strict=True)) == labels
