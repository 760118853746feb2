import base64
import io
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from fewlabel.report.pictures import _sheet_uri
from fewlabel.report.tiles import _BLOCK, _marks, _path_lists, _tiles_view

from .examples import images


def test_marks_name_the_classes_and_how_confident_a_prediction_is():
    present = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    assert _marks(present, np.array([0.49, 0.95, 0.8])) == ["c0 c2 b0", "c1 b3", "b2"]
    assert _marks(present)[1:] == ["c1 given", "given"]


@pytest.mark.parametrize("channels", [1, 3])
def test_each_tile_stands_at_its_place(channels):
    levels = np.arange(0, 250, 50, dtype=np.uint8)
    tiles = np.broadcast_to(levels[:, None, None, None], (5, 16, 16, channels))
    data = _sheet_uri(tiles, columns=2).removeprefix("data:image/webp;base64,")
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
    assert sheet.shape == (48, 32)
    found = sheet[8::16, 8::16].astype(int).ravel()
    np.testing.assert_allclose(found, [*levels, 0], atol=4)


def test_tiles_are_read_as_long_as_there_is_time_for_it():
    rows = np.arange(200)[::-1]
    shown = [images(), rows, ["ant"] * 200, np.full(200, 0.7), ["c0 b1"] * 199 + ["c0 given"]]
    view = _tiles_view(*shown, 60.0)
    assert [item["row"] for item in view["items"]] == rows.tolist()
    assert view["items"][0] == {"row": 199, "text": "199: ant, 70\u202f% sure", "name": "199"} | {
        "marks": "c0 b1"
    }
    assert view["items"][-1]["text"] == "0: ant"
    assert view["drawn"][158] == "--x:1;--y:1"
    assert view["lines"] == 5
    assert view["tiny"]
    assert len(_tiles_view(*shown, 0.0)["items"]) == _BLOCK


def test_paths_by_class_are_those_of_the_files():
    names, found = ["a b/1.jpg", "ü#\udcff.jpg"], np.array([[1, 0, 1], [1, 0, 0]], bool)
    both, none, one = _path_lists(names, found)
    head, _, text = both.partition(",")
    assert head == "data:text/plain;charset=utf-8"
    assert unquote_to_bytes(text) == b"a b/1.jpg\n\xc3\xbc#\xff.jpg\n"
    assert none == ""
    assert one.endswith(",a%20b/1.jpg%0A")
    assert _path_lists(["x" * 80_000] * 2, found) == ["", "", ""]
