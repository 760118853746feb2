import os

import pytest

from fewlabel.cli.inputs import check_new_file
from fewlabel.errors import UsageError


def test_an_output_must_be_a_file_in_a_folder_to_write_in(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a folder: give the name of a file"):
        check_new_file(str(tmp_path), force=True, holds="labels")
    with pytest.raises(UsageError, match="file is not a folder"):
        check_new_file(str(tmp_path / "file" / "x.csv"), force=True, holds="labels")
    with pytest.raises(UsageError, match="is not an ordinary file"):
        check_new_file(os.devnull, force=True, holds="labels")
    # The tests may run as root, who may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match="no permission to write in"):
        check_new_file(str(tmp_path / "new" / "x.csv"), force=False, holds="labels")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
