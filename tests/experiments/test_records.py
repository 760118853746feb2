import json

import pytest

from fewlabel.errors import UsageError
from fewlabel_experiments import records

MADE_WITH = {"study": "coin", "config": {"n_images": 0}}


def test_records_are_there_again_and_of_a_row_the_later_one(tmp_path):
    store = records.RecordStore(tmp_path / "run", MADE_WITH)
    store.append({"row": "a", "seed": 0, "accuracy": 0.5})
    for accuracy in (0.7, 0.6):
        store.append({"row": "a", "seed": 1, "accuracy": accuracy})
    again = records.RecordStore(tmp_path / "run", MADE_WITH)
    assert again.find("a", 1) == {"row": "a", "seed": 1, "accuracy": 0.6}
    assert again.find("b", 0) is None


@pytest.mark.parametrize("torn", [b'{"row": "b", "se', b'{"row": "b", "seed": 0}', b"\x00\x00"])
def test_a_line_that_was_cut_off_is_run_again(tmp_path, torn):
    store = records.RecordStore(tmp_path / "run", MADE_WITH)
    store.append({"row": "a", "seed": 0})
    with store.path.open("ab") as file:
        file.write(torn)
    again = records.RecordStore(tmp_path / "run", MADE_WITH)
    assert [r["row"] for r in again.records] == ["a"]
    again.append({"row": "b", "seed": 1})
    assert [json.loads(line)["row"] for line in store.path.read_text().splitlines()] == ["a", "b"]
    # Damage before whole records is not thrown away.
    store.path.write_text('{"row": "a", "seed": 0}\nnonsense\n{"row": "b", "seed": 0}\n')
    with pytest.raises(UsageError, match=r"records\.jsonl, line 2 is not a record"):
        records.RecordStore(tmp_path / "run", MADE_WITH)
    assert "nonsense" in store.path.read_text()


def test_records_of_other_settings_are_not_mixed_in(tmp_path):
    records.RecordStore(tmp_path / "run", MADE_WITH)
    other = {"study": "coin", "config": {"n_images": 6000}}
    with pytest.raises(UsageError, match=r"other settings \(n_images is 0 there and 6000 here\)"):
        records.RecordStore(tmp_path / "run", other)


@pytest.mark.parametrize(
    ("file", "folder", "message"),
    [
        ("photo.jpg", ".", r"holds other files and no run\.json"),
        ("photo.jpg", "photo.jpg", "is not a folder"),
        ("run.json", ".", r"run\.json is damaged"),
    ],
)
def test_what_is_no_folder_of_a_run_is_refused(tmp_path, file, folder, message):
    (tmp_path / file).write_text("{")
    with pytest.raises(UsageError, match=message):
        records.RecordStore(tmp_path / folder, MADE_WITH)
