import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fewlabel.explain.explanation import explain_image
from fewlabel.explain.figure import (
    _explanation_png,
    _occlusion_pixels,
    _original_pixels,
    _overlay_pixels,
    draw_sheet,
)
from fewlabel.explain.model import Explained

from .test_explanation import left_or_right

CLASSES = ["left", "$right$"]


@pytest.fixture(scope="module")
def explanation():
    image = np.full((28, 28, 1), 200, np.uint8)
    return explain_image(left_or_right, image, target=0, n_samples=300, repeats=2, fill="gray")


def decode(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("tint", [_overlay_pixels, _occlusion_pixels])
def test_green_is_for_and_red_is_against(explanation, tint):
    red, green, _ = np.moveaxis(tint(explanation).astype(int), 2, 0)
    assert (green[:, :8] > red[:, :8]).mean() > 0.9
    assert (red[:, -8:] > green[:, -8:]).mean() > 0.9


def test_no_weight_is_no_tint_and_a_finer_image_is_shown_where_there_is_one(explanation):
    pixels = _overlay_pixels(replace(explanation, weights=0 * explanation.weights))
    assert (pixels == pixels[..., :1]).all()
    fine = np.random.default_rng(0).integers(0, 256, (84, 84, 3)).astype(np.uint8)
    finer = replace(explanation, display=fine)
    np.testing.assert_array_equal(_original_pixels(finer), fine)
    assert _overlay_pixels(finer).shape == (84, 84, 3)
    assert _original_pixels(explanation).shape == (28, 28, 3)


@pytest.mark.parametrize("predicted", ["left", "$right$", "left|$right$"])
def test_the_picture_holds_the_original_and_both_colors(explanation, predicted):
    one = Explained(explanation, "a\nb \u65e5.png", predicted)
    pixels = decode(_explanation_png(one, CLASSES))
    height, width, _ = pixels.shape
    assert width > 2 * height
    red, green, _ = np.moveaxis(pixels, 2, 0)
    assert (green - red > 60).mean() > 0.03
    assert (red - green > 60).mean() > 0.03
    assert (pixels == 200).all(axis=2).mean() > 0.05
    assert _explanation_png(one, CLASSES) == _explanation_png(one, CLASSES)


def test_a_sheet_grows_with_its_items(explanation):
    def sheet(right, wrong=0):
        kinds = ["right"] * right + ["wrong"] * wrong
        items = [Explained(explanation, "17", "left", "left", kind, "note") for kind in kinds]
        return decode(draw_sheet(items, CLASSES))

    assert sheet(4, 4).shape[1] == sheet(4).shape[1] > sheet(2).shape[1]
    assert sheet(4, 4).shape[0] > sheet(5).shape[0] > sheet(4).shape[0]
