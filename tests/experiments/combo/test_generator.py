import time

import numpy as np
import pytest
from scipy.ndimage import label

from fewlabel.errors import UsageError
from fewlabel_experiments.combo.compose import add_noise, place, write
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.glyphs import SPLITS, Glyphs
from fewlabel_experiments.combo.settings import ComboLayout, ComboNoise, ComboSettings

QUIET = dict.fromkeys(("gaussian", "speckle", "salt_pepper"), (0.0, 0.0)) | {"gradient": 0.0}
CLEAN = ComboNoise(**QUIET, background=(0.0, 0.0), contrast=(1.0, 1.0))


def _disks(n, radius=6.0):
    y, x = np.mgrid[:32, :32]
    disk = (np.hypot(x - 15.5, y - 15.5) < radius).astype(np.float32)
    return np.repeat(disk[None], n, axis=0)


def test_each_image_has_one_digit_and_one_letter(glyphs):
    seen = []
    made = make_combo(300, 10, 20, glyphs=glyphs, progress=lambda *done: seen.append(done))
    assert (seen[0], seen[-1]) == ((256, 330), (330, 330))
    targets = made.labeled.targets
    assert targets.dtype == np.int8
    assert (targets[:, :10].sum(axis=1) == 1).all()
    assert (targets[:, 10:].sum(axis=1) == 1).all()
    assert targets.any(axis=0).all()
    assert [len(split.images) for split in vars(made).values()] == [300, 10, 20]
    assert made.labeled.images.dtype == np.uint8
    # The first images stay when more are made; the seed decides.
    few, other = (make_combo(5, 3, 0, glyphs=glyphs, seed=seed) for seed in (0, 8))
    np.testing.assert_array_equal(few.labeled.images, made.labeled.images[:5])
    np.testing.assert_array_equal(few.unlabeled.targets, made.unlabeled.targets[:3])
    assert (few.labeled.images != other.labeled.images).any()
    assert (few.unlabeled.images != few.labeled.images[:3]).any()


def test_no_ink_is_lost_at_the_border(glyphs):
    settings = ComboSettings(layout=ComboLayout(lines=50.0), noise=CLEAN)
    rng = np.random.default_rng(0)
    patches = [write(part.pixels[:10], settings.layout, rng) for part in glyphs["test"]]
    ink = place(*patches, settings.layout, rng)
    kept = ink.sum(axis=(1, 2)) / (patches[0] + patches[1]).sum(axis=(1, 2))
    assert kept.min() > 0.9


@pytest.mark.parametrize(("touching", "parts"), [(0.0, 2), (1.0, 1)])
def test_characters_touch_as_often_as_asked(touching, parts):
    layout = ComboLayout(touching=touching, lines=4.0)
    ink = place(_disks(40), _disks(40, 9.0), layout, np.random.default_rng(0))
    counts = {label(one > 0.25, structure=np.ones((3, 3)))[1] for one in ink}
    assert counts == {parts}


def test_both_orders_occur_and_characters_without_ink_are_no_error(glyphs):
    settings = ComboSettings(noise=CLEAN)
    digits, letters = glyphs["test"]
    no_digits, no_letters = (Glyphs(np.zeros_like(g.pixels), g.labels) for g in (digits, letters))
    # Only the digits have any ink here.
    half, blank = (dict.fromkeys(SPLITS, (g, no_letters)) for g in (digits, no_digits))
    images, nothing = (
        make_combo(60, 0, 0, glyphs=g, settings=settings).labeled.images for g in (half, blank)
    )
    assert not nothing.any()
    middle = (images.sum(axis=1) * np.arange(56)).sum(axis=1) / images.sum(axis=(1, 2))
    assert 10 < (middle < 28).sum() < 50


def test_a_wide_pen_writes_more_ink_than_a_fine_one(glyphs):
    pixels = glyphs["test"][0].pixels
    amounts = []
    for stroke in (-0.8, 0.0, 0.8):
        layout = ComboLayout(stroke=(stroke, stroke), rotate=0.0, slant=0.0, size=(20.0, 20.0))
        amounts.append(write(pixels, layout, np.random.default_rng(0)).sum())
    assert amounts[0] < amounts[1] < amounts[2]


def test_noise_is_of_the_size_asked_for():
    flat = np.zeros((4, 56, 56), dtype=np.float32)

    def spread(**changed):
        noise = ComboNoise(**QUIET | {"background": (0.5, 0.5)} | changed)
        return add_noise(flat, noise, np.random.default_rng(0)) / 255

    assert spread(gaussian=(0.1, 0.1)).std() == pytest.approx(0.1, rel=0.05)
    # Speckle is multiplied with the background of 0.5.
    assert spread(speckle=(0.1, 0.1)).std() == pytest.approx(0.05, rel=0.05)
    both = spread(salt_pepper=(0.2, 0.2))
    assert (both == 0).mean() == pytest.approx(0.1, rel=0.2)
    assert (both == 1).mean() == pytest.approx(0.1, rel=0.2)


def test_is_quick_enough(glyphs):
    start = time.process_time()
    make_combo(512, 0, 0, glyphs=glyphs)
    # Measured at 3,700 to 5,000 a second on a busy machine; the test catches a loop over pixels.
    assert 512 / (time.process_time() - start) > 500


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ComboNoise(gaussian=(0.2, 0.1)), r"'gaussian' of a ComboNoise must be a range"),
        (lambda: ComboNoise(gradient=2.0), "'gradient' of a ComboNoise must be a number"),
        (lambda: ComboLayout(size=(4.0, 20.0)), "'size' of a ComboLayout must .* 8 to 27"),
        (lambda: ComboLayout(stroke=(float("nan"), 0.0)), "'stroke'"),
        (lambda: make_combo(-1, 0, 0), "number of labeled images must be at least 0. Got -1"),
    ],
)
def test_refuses_settings_out_of_range(make, message):
    with pytest.raises(UsageError, match=message):
        make()
