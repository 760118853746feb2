import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data.names import _ImageFinder
from fewlabel.errors import LabelError

NAMES = ["a.png", "sub/b.png", "sub/cafe\u0301.png", " lead.png", "back\\slash.png", "50%25.png"]


def finder(folder, names=NAMES):
    (folder / "photos").mkdir(exist_ok=True)
    return _ImageFinder(names, folder / "photos", LabelError)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        *[(name, name) for name in NAMES],
        (" a.png ", "a.png"),
        ("./sub//b.png", "sub/b.png"),
        ("sub\\b.png", "sub/b.png"),
        ("sub/caf\u00e9.png", "sub/cafe\u0301.png"),
        ("lead.png", " lead.png"),
        ("back/slash.png", "back\\slash.png"),
        ("sub%2Fcaf%C3%A9.png", "sub/cafe\u0301.png"),
        ("%61.png", "a.png"),
        ("photos/a.png", "a.png"),
        ("../photos/sub/b.png", "sub/b.png"),
        ("/home/me/photos/a.png", "a.png"),
        ("C:\\My photos\\photos\\sub\\b.png", "sub/b.png"),
        ("https://host.org/x/sub/b.png?token=1#top", "sub/b.png"),
        ("s3://bucket/a.png", "a.png"),
        ("gs://bucket/photos/sub/caf%C3%A9.png", "sub/cafe\u0301.png"),
        ("/data/local-files/?d=my/sub/b.png", "sub/b.png"),
        ("/data/local-files/?d=my%2Fsub%2Fb.png", "sub/b.png"),
        ("/data/upload/3/0a1b2c3d-b.png", "sub/b.png"),
        ("..\\..\\media\\upload\\4\\0a1b2c3d-a.png", "a.png"),
        ("0a1b2c3d-lead.png", " lead.png"),
        ("none.png", None),
        ("other/a.png", None),
        ("b.png", None),
        ("", None),
        ("/" * 100_000, None),
    ],
)
def test_names_are_found_literally_then_by_rules(tmp_path, name, found):
    assert finder(tmp_path).find(name, "t.csv, line 2") == found


def test_uploads_lose_blanks_and_brackets(tmp_path):
    assert finder(tmp_path, ["x/a b (1).png"]).find("0a1b2c3d-a_b_1.png", "") == "x/a b (1).png"
    for stored in ("0a1b2c3d-a.png", "x/0a1b2c3d-a.png"):
        names = [stored, "a.png"]
        assert finder(tmp_path, names).find("/data/upload/1/0a1b2c3d-a.png", "") == stored
    assert finder(tmp_path, ["a.png"]).find("/data/upload/1/a.png", "") == "a.png"


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["x.png ", " x.png"], "x.png"),
        (["x/a.png", "y/a.png"], "/data/upload/1/0a1b2c3d-a.png"),
    ],
)
def test_a_rule_that_fits_two_images_is_an_error(tmp_path, names, name):
    with pytest.raises(LabelError, match=r"t.csv, line 2: .* may be '.*' or '.*': write one of"):
        finder(tmp_path, names).find(name, "t.csv, line 2")


def test_the_literal_name_comes_first(tmp_path):
    names = ["x.png", " x.png", "a/x.png", "a\\x.png", "%78.png", "e\u0301.png", "\u00e9.png"]
    assert [finder(tmp_path, names).find(name, "") for name in names] == names
    assert finder(tmp_path, names).find("x.png ", "") == "x.png"


@pytest.mark.parametrize(
    ("name", "close"),
    [("B.PNG", "sub/b.png"), ("x/Y/B.png", "y/b.png"), ("a.pgn", "a.png"), ("?", None)],
)
def test_the_closest_name_has_the_longest_tail(tmp_path, name, close):
    assert finder(tmp_path, [*NAMES, "y/b.png"]).close(name) == close


PART = st.text(st.sampled_from("aä \\%.2") | st.characters(codec="utf-8"), min_size=1, max_size=6)


@given(st.lists(PART.filter(lambda p: "/" not in p and "\0" not in p), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_every_spelling_of_a_name_is_found(tmp_path_factory, parts):
    name = "/".join(parts) + ".png"
    found = _ImageFinder([name], tmp_path_factory.getbasetemp(), LabelError)
    folder = tmp_path_factory.getbasetemp().resolve().name
    for form in ("NFC", "NFD"):
        spelled = unicodedata.normalize(form, name)
        for spelling in (spelled, f" {spelled}\t", f"./{spelled}", f"x/{folder}/{spelled}"):
            assert found.find(spelling, "") == name
