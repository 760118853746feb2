import os

import pytest

from fewlabel.cli.inputs import check_labels_exist, check_new_file
from fewlabel.errors import LabelError, UsageError


def test_an_output_must_be_a_file_in_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a folder: give the name of a file"):
        check_new_file(str(tmp_path), force=True, holds="labels")
    with pytest.raises(UsageError, match="file is not a folder"):
        check_new_file(str(tmp_path / "file" / "x.csv"), force=True, holds="labels")
    with pytest.raises(UsageError, match="is not an ordinary file"):
        check_new_file(os.devnull, force=True, holds="labels")


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    # The tests may run as root, who may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match="no permission to write in"):
        check_new_file(str(tmp_path / "new" / "x.csv"), force=False, holds="labels")
    assert list(tmp_path.iterdir()) == []


def test_labels_must_exist():
    check_labels_exist("folders")
    with pytest.raises(LabelError, match=r"nowhere.csv does not exist: make it with"):
        check_labels_exist("nowhere.csv")
