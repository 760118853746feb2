import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import load_images, read_labels
from fewlabel.data.columns import _guarded, _unguarded
from fewlabel.data.tables import _write_table

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
