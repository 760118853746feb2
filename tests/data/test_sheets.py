import datetime
import io
import zipfile

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import image_set_from_array, read_labels
from fewlabel.data.tables import _read_table
from fewlabel.errors import LabelError


def read(path):
    columns = ("path", "label")
    _, rows = _read_table(path, required=columns, what="label table", error=LabelError)
    return [(row.place, row.cells["path"], row.cells["label"]) for row in rows]


def book(path, **sheets):
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_cells_are_as_a_spreadsheet_shows_them(tmp_path):
    rows = [
        [],
        ["path", None, "label"],
        ["a.png", "note", 1],
        ["b.png", None, 1.0],
        [7.0, None, True],
        ["", "", ""],
        ["c.png", None, 1.5, None, " "],
        ["d.png"],
        ["e.png", None, datetime.date(2024, 1, 2)],
    ]
    assert read(book(tmp_path / "a.csv", One=rows)) == [
        ("row 3", "a.png", "1"),
        ("row 4", "b.png", "1"),
        ("row 5", "7", "TRUE"),
        ("row 7", "c.png", "1.5"),
        ("row 8", "d.png", ""),
        ("row 9", "e.png", "2024-01-02 00:00:00"),
    ]


@pytest.mark.parametrize(
    ("merged", "message"),
    [("B2:B3", "merged cells, of which only the first"), ("", "formulas without values")],
)
def test_cells_that_only_look_filled_in_are_warned_of(tmp_path, merged, message):
    made = openpyxl.Workbook()
    for row in (["path", "label"], ["a.png", "cat" if merged else "=A1"], ["b.png", None]):
        made.active.append(row)
    if merged:
        made.active.merge_cells(merged)
    made.save(tmp_path / "a.xlsx")
    with pytest.warns(UserWarning, match=message):
        assert len(read(tmp_path / "a.xlsx")) == 2


def test_the_sheet_with_the_columns_is_taken(tmp_path):
    table = [["path", "label"], ["a.png", "cat"]]
    notes = [["What", "is", "what"], ["x", "y", "z"]]
    assert read(book(tmp_path / "a.xlsx", Notes=notes, Labels=table)) == [("row 2", "a.png", "cat")]
    with pytest.raises(LabelError, match="in each of the sheets 'Labels' and 'More': keep one"):
        read(book(tmp_path / "b.xlsx", Labels=table, Notes=notes, More=table))
    with pytest.raises(LabelError, match="row 3: 3 cells, but the header has 2"):
        read(book(tmp_path / "c.xlsx", Labels=[*table, ["b.png", "cat", "dog"]]))
    with pytest.raises(LabelError, match=r"d.xlsx is empty"):
        read(book(tmp_path / "d.xlsx", Labels=[]))


def test_indices_of_a_spreadsheet(tmp_path):
    table = book(tmp_path / "a.xlsx", S=[["index", "label"], [0, "cat"], [2.0, "dog"]])
    images = image_set_from_array([[[0]], [[1]], [[2]]])
    assert read_labels(table, images).names() == ["cat", "", "dog"]


TEXT = st.text(st.sampled_from("aé ,;|\"'\n<&_x0041_") | st.characters(codec="utf-8"), max_size=9)
# What no XML can hold, and what begins a formula, a list or a guarded cell.
WRITTEN = TEXT.filter(
    lambda text: (
        not any((ord(c) < 32 and c != "\n") or c in "\x7f\ufffe\uffff" for c in text)
        and text.strip()[:1] not in ("[", "{", "=", "'")
    )
)
ROWS = st.lists(st.tuples(WRITTEN.filter(str.strip), WRITTEN), min_size=1, max_size=4)


@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
@given(rows=ROWS)
@settings(max_examples=20, deadline=None)
def test_what_pandas_writes_is_read(tmp_path_factory, suffix, rows):
    path = tmp_path_factory.mktemp("sheets") / f"labels.{suffix}"
    pd.DataFrame(rows, columns=["path", "label"]).to_excel(path)
    assert [row[1:] for row in read(path)] == rows


def ods(body):
    names = "".join(
        f' xmlns:{part}="urn:oasis:names:tc:opendocument:xmlns:{part}:1.0"'
        for part in ("office", "table", "text")
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "content.xml", f'<a{names}><table:table table:name="S">{body}</table:table></a>'
        )
    return out.getvalue()


def row(*cells, more=""):
    filled = "".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in cells)
    return f"<table:table-row{more}>{filled}</table:table-row>"


HEADER = row("<text:p>path</text:p>", "<text:p>label</text:p>")


def test_what_libreoffice_writes(tmp_path):
    path = tmp_path / "labels.ods"
    blank = '<table:table-cell table:number-columns-repeated="1020"/>'
    note = "<office:annotation><text:p>mine</text:p></office:annotation>"
    body = (
        row("", more=' table:number-rows-repeated="2"')
        + HEADER.replace("</table:table-row>", f"{blank}</table:table-row>")
        + row(
            f"{note}<text:p>a<text:s text:c='2'/>b <text:span>c</text:span>.png</text:p>",
            "<text:p>x</text:p>",
        )
        + row("", more=' table:number-rows-repeated="1048000"')
    )
    path.write_bytes(ods(body))
    assert read(path) == [("row 4", "a  b c.png", "x")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"PK\x03\x04 and more",
            "cannot be read as a spreadsheet .*: save the table as 'CSV UTF-8'",
        ),
        (ods("<table:table-row>"), "cannot be read as a spreadsheet .mismatched tag"),
        (ods(HEADER + row("<text:p>a</text:p>", more=' table:number-rows-repeated="x"')), "cannot"),
        (
            ods(row("<text:p>a</text:p>", more=' table:number-rows-repeated="99999999999"')),
            "has more than 1,048,576 rows",
        ),
        (
            ods(
                row("<text:p>a</text:p>").replace(
                    "cell>", 'cell table:number-columns-repeated="9999999999">', 1
                )
            ),
            "has more than .* or 10,485,760 cells",
        ),
    ],
)
def test_wrong_spreadsheets_are_named(tmp_path, data, message):
    path = tmp_path / "labels.xlsx"
    path.write_bytes(data)
    with pytest.raises(LabelError, match=f"labels.xlsx {message}"):
        read(path)


def test_other_archives_and_missing_packages_are_named(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.csv", "w") as archive:
        archive.writestr("a.txt", "path,label")
    with pytest.raises(LabelError, match=r"a.csv is a zip archive, and neither .xlsx nor .ods"):
        read(tmp_path / "a.csv")
    monkeypatch.setattr("fewlabel.data.sheets.is_installed", lambda package: False)
    with pytest.raises(LabelError, match=r"save the table as 'CSV UTF-8', or run .pip install"):
        read(book(tmp_path / "b.xlsx", S=[["path", "label"], ["a.png", "cat"]]))
