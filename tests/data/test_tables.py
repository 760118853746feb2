from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fewlabel.data.tables import _read_table, write_table
from fewlabel.errors import LabelError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(CELL.filter(str.strip), CELL), min_size=1, max_size=8))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ("path", "label"), rows)
    _, read = _read_table(path, required=["path", "label"], what="table", error=LabelError)
    assert [(row.cells["path"], row.cells["label"]) for row in read] == rows


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
def test_dialects(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    _, rows = _read_table(path, required=["path", "label"], what="table", error=LabelError)
    assert [(row.cells["path"], row.cells["label"]) for row in rows] == [("a.png", "cat")]


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('path,label\n"two\nlines.png",cat\n\nb.png\n')
    _, rows = _read_table(path, required=["path", "label"], what="table", error=LabelError)
    assert [row.line for row in rows] == [2, 5]
    assert rows[1].cells == {"path": "b.png", "label": ""}


@pytest.mark.parametrize(
    ("data", "message"),
    [
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
def test_wrong_tables_are_named_with_the_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    with pytest.raises(LabelError, match=f"labels.csv.*{message}"):
        _read_table(path, required=["path", "label"], what="label table", error=LabelError)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"none.csv does not exist: give the label table as a CSV"):
        _read_table(tmp_path / "none.csv", required=["path"], what="label table", error=LabelError)


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ["path"], [["old"]])

    def rows():
        yield ["new"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(path, ["path"], rows())
    assert path.read_text() == "path\nold\n"
    assert list(tmp_path.iterdir()) == [path]
