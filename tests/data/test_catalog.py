import pytest

from fewlabel.data.catalog import _IDX_NAMES, BENCHMARKS


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist"])
def test_every_remote_file_has_a_checksum_and_a_size(name):
    files = BENCHMARKS[name].files
    assert [file.name for file in files] == list(_IDX_NAMES)
    assert all(file.sha256 and len(file.sha256) == 64 for file in files)
    assert all(4_000 < file.max_bytes < 30_000_000 for file in files)
    assert len(BENCHMARKS[name].mirrors) >= 2
