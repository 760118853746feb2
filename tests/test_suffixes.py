import pytest

from fewlabel.data import write_labels
from fewlabel.errors import UsageError
from fewlabel.files import _check_suffix


def test_what_a_suffix_promises():
    for name in ("out.csv", "OUT.CSV", "out", "out.txt", "out.v2", "2026.11"):
        _check_suffix(name, "a CSV table", ".csv")
    for name, better in (("a/p.xlsx", "a/p.csv"), ("p.JSON", "p.csv"), ("p.csv.gz", "p.csv.csv")):
        with pytest.raises(UsageError, match=f"{name} would be a CSV .*: name it {better} instead"):
            _check_suffix(name, "a CSV table", ".csv")
    with pytest.raises(UsageError, match=r"s3://b/p.csv is an address: give a place on this"):
        _check_suffix("s3://b/p.csv", "a CSV table", ".csv")
    with pytest.raises(UsageError, match=r"run.zip would be a folder, and .* name it run instead"):
        _check_suffix("run.zip", "a folder")


def test_a_table_is_no_spreadsheet(tmp_path):
    with pytest.raises(UsageError, match=r"labels\.xlsx would be a CSV table"):
        write_labels(tmp_path / "labels.xlsx", ["a.png"], ["cat"], by_index=False)
    assert not list(tmp_path.iterdir())
