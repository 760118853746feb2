import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data.columns import _unguarded
from fewlabel.data.tables import _read_table, _write_table
from fewlabel.errors import LabelError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def read(folder, data):
    path = folder / "labels.csv"
    if data is not None:
        path.write_bytes(data)
    columns = ["path", "label"]
    _, rows = _read_table(path, required=columns, what="label table", error=LabelError)
    return [(int(row.place.split()[1]), row.cells) for row in rows]


@given(st.lists(st.tuples(CELL.filter(str.strip), CELL), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_round_trip(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    _write_table(folder / "labels.csv", ("path", "label"), rows)
    assert [(row["path"], row["label"]) for _, row in read(folder, None)] == rows


@pytest.mark.parametrize(
    "data",
    [
        b"path,label\na.png,cat\n",
        b"\xef\xbb\xbfpath,label\r\na.png,cat\r\n",
        b"\xef\xbb\xbfPath;Label;x\r\n\r\na.png;cat;1\r\n;;\r\n",
        b" path \t LABEL \na.png\tcat",
        "path,label\na.png,cat\n".encode("utf-16"),
        b'"path","label"\n"a.png","cat"\n',
        b"sep=;\r\npath;label;note\r\na.png;cat;a, b, c, d\r\n",
        b'\n"SEP=,"\n\npath,label\na.png,cat\n',
        b"\xef\xbb\xbfsep=\t\npath\tlabel\na.png\tcat\n",
        b"\xef\xbb\xbf\xef\xbb\xbfpath,label\na.png,cat\n",
        b"\n  \n,,\npath,label\na.png,cat\n",
        b"path;label;size, weight, color\na.png;cat;1, 2, 3\n",
        b'"note, of two, or more";path;label\n;a.png;cat\n',
        b"path|label\na.png|cat\n",
        b",path,label\n0,a.png,cat\n",
        b"path,label,\na.png,cat,,,\n",
        b"path,label\ra.png,cat\r",
        b'path, label\na.png, "cat"\n',
        b'"path" , "label"\n"a.png" \t, \t"cat" \n',
    ],
)
def test_dialects(tmp_path, data):
    assert [(row["path"], row["label"]) for _, row in read(tmp_path, data)] == [("a.png", "cat")]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    rows = read(tmp_path, b'path,label\n"two\nlines.png",cat\n\nb.png\n')
    assert [line for line, _ in rows] == [2, 5]
    assert rows[1][1] == {"path": "b.png", "label": ""}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "does not exist: give the label table as a CSV"),
        (b"", "is empty: the label table needs a header line `path,label`"),
        (b"\n\n", "is empty"),
        (b"path,label\n", "has a header but no rows: the label table is empty"),
        (b"a.png,cat\n", "line 1: the header has no column `path`; expected `path,label`, found"),
        (b"path,kind\na,b\n", "line 1: the header has no column `label`"),
        (b"path,label,label\na,b,c\n", "line 1: the column `label` stands twice"),
        (b"path,label\na.png,b,\na.png,Smith, John\n", "line 3: 3 cells, but the header has 2"),
        (b"path;label\na.png;cat;dog\n", "line 2: 3 cells, but the header has 2 .`path,label`"),
        (b"path,label\na\0.png,cat\n", "holds NUL bytes"),
        (b'"path,label"\n"a.png,cat"\n', 'line 1: .* found `"path,label"`'),
        (b"\xff\xfea", "line 1: not UTF-8"),
        (b"path,label" + b"," * 20_000, "line 1: not CSV .more than 16,384 cells"),
        (b"\xd0\xcf\x11\xe0", "is an old Excel workbook .*: save it as 'CSV UTF-8' or .xlsx"),
        (b'path,label\na.png,"cat\nb.png,dog\n', "line 2: not CSV"),
        (b'path,label\na.png,cat\n"b"x,dog\n', "line 3: not CSV"),
        (b"path,label\ncaf\xe9.png,cat\n", "line 2: not UTF-8. Save the table as 'CSV UTF-8'"),
    ],
)
def test_wrong_tables_are_named_with_the_line(tmp_path, data, message):
    with pytest.raises(LabelError, match=f"labels.csv.*{message}"):
        read(tmp_path, data)


def test_blanks_stay_in_names_whether_quoted_or_not(tmp_path):
    rows = read(tmp_path, b'path, label\n" a.png ", "x, y"\n b.png , z\n')
    assert [row for _, row in rows] == [
        {"path": " a.png ", "label": "x, y"},
        {"path": " b.png ", "label": " z"},
    ]


def test_a_missing_header_is_named(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("a.png,cat\nb.png,dog\n")
    with pytest.raises(LabelError, match=r"line 1: `a\.png,cat` names an image, so the header"):
        _read_table(
            table,
            required=("path", "label"),
            what="label table",
            error=LabelError,
            is_name="a.png".__eq__,
        )


TEXT = st.text(
    st.sampled_from("aé\u0301,;\t|\"' .\\\n-7") | st.characters(codec="utf-8"), max_size=9
)
# What no table holds, what is a list, and what looks guarded against spreadsheets.
PLAIN = TEXT.filter(
    lambda t: "\0" not in t and t.strip()[:1] not in ("[", "{") and _unguarded(t) == t
)
ROWS = st.lists(st.tuples(PLAIN.filter(str.strip), PLAIN), min_size=1, max_size=5)


@given(
    ROWS,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["", "sep", "\n\n"]),
)
@settings(max_examples=50, deadline=None)
def test_what_csv_writes_is_read(tmp_path_factory, rows, separator, line_end, coding, before):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "label"), *rows])
    start = f"sep={separator}{line_end}" if before == "sep" else before
    data = (start + out.getvalue()).encode(coding)
    found = read(tmp_path_factory.mktemp("tables"), data)
    assert [(row["path"], row["label"]) for _, row in found] == rows


@given(ROWS, st.sampled_from(",;\t"), st.booleans(), st.sampled_from(["utf-8", "utf-16"]))
@settings(max_examples=30, deadline=None)
def test_what_pandas_writes_is_read(tmp_path_factory, rows, separator, index, coding):
    rows = [(path.replace("\r", ""), label.replace("\r", "")) for path, label in rows]
    rows = [row for row in rows if row[0].strip()] or [("a", "b")]
    folder = tmp_path_factory.mktemp("tables")
    frame = pd.DataFrame(rows, columns=["path", "label"])
    frame.to_csv(folder / "labels.csv", sep=separator, index=index, encoding=coding)
    found = read(folder, None)
    assert [(row["path"], row["label"]) for _, row in found] == rows
