"""What means unlabeled, through every door."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import image_set_from_array, labels_from_truth, load_images, read_labels
from fewlabel.data.missing import _known_labels
from fewlabel.data.targets import _encode_labels

NAN = float("nan")


@pytest.mark.parametrize(
    ("y", "known"),
    [
        ([1, 0, -1], "110"),
        ([1.0, NAN, -1.0], "100"),
        (["a", "", "-1", " ", "\u22121.0", "<NA>", "\u00a0"], "1000000"),
        (["a", None, NAN, pd.NA, pd.NaT, -1, -1.0], "1000000"),
        ([datetime.date(2026, 1, 1), None], "10"),
        (np.array(["2026-01-01", "NaT"], "datetime64[D]"), "10"),
        ([b"a", b"", b"-1"], "100"),
        (np.ma.array(["a", "b"], mask=[0, 1]), "10"),
        (np.array([0, 255], np.uint8), "11"),
        ([True, None], "10"),
        (pd.Series([1, None, 2], dtype="Int64"), "101"),
        (pd.Series(["a", None, "b"]), "101"),
        (pd.Series(["a", None, "b"], dtype="category"), "101"),
        (pd.Series([True, None], dtype="boolean"), "10"),
        (pd.DataFrame({"a": [1, 0], "b": pd.array([None, 1], dtype="Int8")}), "1011"),
        ([[1, None], [-1, 0]], "1001"),
        # Words are texts here: whether they are classes is for whoever knows the classes to say.
        (["nan", "None"], "11"),
    ],
)
def test_values_that_are_missing(y, known):
    values, found = _known_labels(y)
    assert "".join("01"[k] for k in found.ravel().astype(int)) == known
    assert found.shape == np.shape(y)
    assert len(values) == found.sum()


WORDS = ["nan", "NaN", "None", "null", "NULL", "NaT", "-1", "-1.0", "#N/A", "<NA>"]
WORDS += ["-1.000000000000000000e+00", "\u20131"]
CLASSES = ["NA", "N/A", "none", "?", "unlabeled", "unknown", "NOT_LABELED", "(blank)", "\u2026"]


def doors(tmp_path, texts):
    """Give the labels of texts as a table and as an array."""
    X = np.zeros((len(texts), 2, 2), np.uint8)
    rows = "".join(f'{i},"{text}"\n' for i, text in enumerate(texts))
    (tmp_path / "labels.csv").write_text(f"index,label\n{rows}", "utf-8")
    np.savez(tmp_path / "a.npz", X=X, y=np.array(texts))
    return (
        lambda **known: read_labels(tmp_path / "labels.csv", image_set_from_array(X), **known),
        lambda **known: labels_from_truth(load_images(tmp_path / "a.npz"), **known),
    )


@pytest.mark.parametrize("word", [*WORDS, *CLASSES])
def test_no_word_becomes_a_class_in_silence(tmp_path, word):
    texts = ["b", f" {word} ", word, "a"]
    for i, read in enumerate(doors(tmp_path, texts)):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            labels = read()
        kept = word in CLASSES
        assert set(labels.classes) == {"a", "b"} | ({word} if kept else set())
        assert labels.n_labeled == (4 if kept else 2)
        said = [str(w.message) for w in found]
        # In arrays, -1 is how to say so.
        assert len(said) == (word != "<NA>" and not (word[1:2] == "1" and i))
        what = "kept as a class" if kept else "taken as unlabeled"
        assert all(f"2 labels are {word!r} (2), {what}" in text for text in said)
        # A model may know the word.
        assert read(classes=("a", "b", word)).n_labeled in (
            (2, 4) if word[0] in "<-\u2013" else (4,)
        )


MISSING = st.sampled_from([None, NAN, pd.NA, pd.NaT, "", " ", "<NA>", "-1", -1, -1.0])
TEXTS = st.lists(st.sampled_from(["", "a", "b c", "caf\u00e9", "7"]), max_size=6)
NUMBERS = st.lists(st.sampled_from(["", "0", "3", "12"]), max_size=6)


@given(TEXTS.map(["a", "7"].__add__) | NUMBERS.map(["0", "3"].__add__), st.data())
@settings(max_examples=50, deadline=None)
def test_every_door_finds_the_same_classes_and_unlabeled_rows(tmp_path_factory, texts, data):
    classes = sorted({text for text in texts if text}, key=lambda t: (len(t), t))
    expected = [classes.index(text) if text else -1 for text in texts]
    folder, X = tmp_path_factory.mktemp("doors"), np.zeros((len(texts), 1, 1))
    whole = all(text.isdigit() for text in classes)
    mixed = [data.draw(MISSING) if not t else int(t) if whole else t for t in texts]
    arrays = [mixed, np.array(mixed, dtype=object), np.array(mixed, dtype=object)[:, None]]
    arrays += [pd.Series(mixed, dtype=object), pd.Series([t or None for t in texts])]
    if whole:
        numbers = [float(t or "nan") for t in texts]
        arrays += [numbers, pd.Series(numbers).astype("Int64"), np.ma.masked_invalid(numbers)]
    for y in arrays:
        labels = labels_from_truth(image_set_from_array(X, y))
        assert [classes.index(n) if n else -1 for n in labels.names()] == expected
        if np.ndim(y) == 1:
            found, codes = _encode_labels(y, "Example")
            names = [str(int(c)) if whole and c in range(99) else str(c) for c in found.tolist()]
            assert [classes.index(names[c]) if c >= 0 else -1 for c in codes] == expected
    blank = data.draw(st.sampled_from(["", " ", "<NA>"]))
    for read in doors(folder, [text or blank for text in texts]):
        names = read().names()
        assert [classes.index(name) if name else -1 for name in names] == expected
