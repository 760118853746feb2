import gzip

import numpy as np
import pytest

from fewlabel.errors import DataError, UsageError
from fewlabel_experiments.combo.generator import settings_of
from fewlabel_experiments.combo.glyphs import LABELS, SPLITS, Glyphs, letters_at_hand, load_glyphs
from tests.data.test_formats import idx_bytes


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Benchmarks of 8 training glyphs a class, of which two are the same, and one test glyph."""
    rng = np.random.default_rng(0)
    for folder, n_classes in (("mnist", 10), ("letters", 26), ("emnist-letters", 26)):
        folder = tmp_path / folder
        folder.mkdir()
        for split, each in (("train", 8), ("t10k", 1)):
            pixels = rng.integers(0, 256, (n_classes * each, 28, 28), dtype=np.uint8)
            labels = np.tile(np.arange(n_classes, dtype=np.uint8), each)
            if split == "train":
                pixels[n_classes : 2 * n_classes] = pixels[:n_classes]
            for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
                file = folder / f"{split}-{name}-ubyte.gz"
                file.write_bytes(gzip.compress(idx_bytes(array)))
            if folder.name == "emnist-letters":
                # The last of a class is lower case, all others upper case.
                case = (np.arange(len(labels)) < len(labels) - n_classes).astype(np.uint8)
                case = case if split == "train" else np.ones_like(case)
                file = folder / f"{split}-case-idx1-ubyte.gz"
                file.write_bytes(gzip.compress(idx_bytes(case)))
    monkeypatch.setenv("FEWLABEL_DATA", str(tmp_path))
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "none"))
    return tmp_path


def test_letters_are_of_the_set_and_case_asked_for(data):
    both, upper = (load_glyphs(0, "emnist", case) for case in ("any", "upper"))
    kept, all_of_them = (
        {g.tobytes() for split in SPLITS for g in of[split][1].pixels} for of in (upper, both)
    )
    assert kept < all_of_them
    assert len(all_of_them) - len(kept) == 26
    assert letters_at_hand() == settings_of().letters == "emnist"
    (data / "emnist-letters" / "train-case-idx1-ubyte.gz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"train-case-idx1-ubyte\.gz does not say .* leave out"):
        load_glyphs(0, "emnist", "upper")
    (data / "emnist-letters" / "train-labels-idx1-ubyte.gz").unlink()
    assert letters_at_hand() == "chars74k"
    assert len(load_glyphs()["test"][1].labels) == 26
    with pytest.raises(UsageError, match="which letters of chars74k are upper case: give"):
        load_glyphs(0, "chars74k", "upper")
    with pytest.raises(UsageError, match="must be one of emnist, chars74k"):
        load_glyphs(0, "letters")


def test_no_glyph_is_in_two_splits_and_the_seed_deals_anew(data):
    dealt = load_glyphs(3, "chars74k")
    assert tuple(dealt) == SPLITS
    for kind, count in ((0, 10), (1, 26)):
        parts = [{g.tobytes() for g in dealt[split][kind].pixels} for split in SPLITS]
        assert len(set.union(*parts)) == sum(len(part) for part in parts) == count * 8
        for split in SPLITS:
            labels = dealt[split][kind].labels
            assert sorted(set(labels.tolist())) == list(range(10 * kind, 10 * kind + count))
    assert LABELS[dealt["test"][1].labels[2]] == "C"
    first, again, other = (load_glyphs(seed)["labeled"][0].pixels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (np.zeros((2, 28, 28)), np.zeros(2, int), r"\(m, H, W\) uint8, and at least one. Got"),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, int), "at least one"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, int), "2 glyphs need as many labels"),
    ],
)
def test_refuses_what_are_no_glyphs(pixels, labels, message):
    with pytest.raises(DataError, match=message):
        Glyphs(pixels, labels)
