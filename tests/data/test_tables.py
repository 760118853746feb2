import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data.tables import _read_table, write_table
from fewlabel.errors import LabelError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def read(folder, data):
    path = folder / "labels.csv"
    if data is not None:
        path.write_bytes(data)
    columns = ["path", "label"]
    _, rows = _read_table(path, required=columns, what="label table", error=LabelError)
    return [(row.line, row.cells) for row in rows]


@given(st.lists(st.tuples(CELL.filter(str.strip), CELL), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_round_trip(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    write_table(folder / "labels.csv", ("path", "label"), rows)
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
        (b"path,class\na,b\n", "line 1: the header has no column `label`"),
        (b"path,label,label\na,b,c\n", "line 1: the column `label` stands twice"),
        (b'path,label\na.png,"cat\nb.png,dog\n', "line 2: not CSV"),
        (b'path,label\na.png,cat\n"b"x,dog\n', "line 3: not CSV"),
        (b"path,label\ncaf\xe9.png,cat\n", "line 2: not UTF-8. Save the table as 'CSV UTF-8'"),
    ],
)
def test_wrong_tables_are_named_with_the_line(tmp_path, data, message):
    with pytest.raises(LabelError, match=f"labels.csv.*{message}"):
        read(tmp_path, data)
