"""Random changes of batches: each row its own, seeded, and nothing but what was asked for."""

import dataclasses

import pytest
import torch

from fewlabel.errors import UsageError
from fewlabel.nets.augment import (
    PRESETS,
    Augmentation,
    _affine_maps,
    _decide_flip,
    _grid,
    make_augmentation,
)


def images(n=16, channels=1, shape=(12, 10), seed=0):
    return torch.rand(n, channels, *shape, generator=torch.Generator().manual_seed(seed))


def changed(augment, batch, seed=0):
    return augment(batch, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "none"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", ["reflect", "edge", "zero"])
def test_shape_range_and_layout_are_kept_and_the_input_is_left_alone(name, channels, fill):
    batch = images(channels=channels).contiguous(memory_format=torch.channels_last)
    before = batch.clone()
    augment = dataclasses.replace(make_augmentation(name), fill=fill)
    result = changed(augment, batch)
    assert result.shape == batch.shape
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(batch, before)
    assert not torch.equal(result, batch)


@pytest.mark.parametrize("name", PRESETS)
def test_the_same_generator_gives_the_same_changes(name):
    augment = make_augmentation(name, flip=True)
    first, again = changed(augment, images()), changed(augment, images())
    assert torch.equal(first, again)
    assert torch.equal(first, changed(augment, images(), seed=1)) == (name == "none")
    # Every row draws its own.
    result = changed(make_augmentation(name), images(1).expand(64, -1, -1, -1))
    assert len(result.flatten(1).unique(dim=0)) > {"none": 0, "weak": 5}.get(name, 50)


def test_a_flip_mirrors_about_half_of_the_rows_exactly():
    batch = images(200)
    result = changed(Augmentation(flip=True), batch)
    mirrored = (result - batch.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    same = (result - batch).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert torch.equal(mirrored, ~same)
    assert 70 < mirrored.sum() < 130


def test_a_weak_shift_is_by_whole_pixels():
    batch = torch.zeros(50, 1, 11, 11)
    batch[:, :, 5, 5] = 1
    result = changed(Augmentation(shift=0.2), batch)
    # A shift by part of a pixel would spread the dot over several.
    assert torch.allclose(result.amax(dim=(1, 2, 3)), torch.ones(50), atol=1e-5)
    places = {tuple(place[1:].tolist()) for place in (result[:, 0] > 0.5).nonzero()}
    assert {abs(row - 5) for row, _ in places} == {0, 1, 2}
    assert {abs(column - 5) for _, column in places} == {0, 1, 2}


def test_scale_and_rotation_move_places_as_their_names_say():
    motion = torch.zeros(1, 6)
    motion[0, 0] = 90
    turned = _affine_maps(motion, (20, 40))[0]
    # No distortion: the right edge of the new image lies two heights below the old one's center.
    x, y = (turned @ torch.tensor([1.0, 0.0, 1.0])).tolist()
    assert x == pytest.approx(0, abs=1e-6)
    assert y == pytest.approx(2)
    batch = torch.zeros(1, 1, 21, 21)
    batch[:, :, 8:13, 8:13] = 1
    maps = _affine_maps(torch.tensor([[0.0, 0, 0, 0, 0, 0.6]]), (21, 21))
    grid = torch.nn.functional.affine_grid(maps, [1, 1, 21, 21], align_corners=False)
    larger = torch.nn.functional.grid_sample(batch, grid, align_corners=False)
    assert larger.sum() == pytest.approx(25 * 1.6**2, rel=0.1)
    # Our grid is that of torch.
    maps = _affine_maps(0.3 * images(5, 1, (6, 1)).reshape(5, 6), (7, 9))
    expected = torch.nn.functional.affine_grid(maps, [5, 1, 7, 9], align_corners=False)
    torch.testing.assert_close(_grid(maps, 7, 9), expected)


def test_cutout_fills_a_rectangle_with_the_mean():
    batch = images(100, 3, (20, 20))
    result = changed(Augmentation(cutout=0.5), batch)
    differs = (result != batch).any(dim=1)
    mean = batch.mean(dim=(2, 3), keepdim=True).expand_as(batch)
    hole = differs[:, None].expand_as(batch)
    assert torch.equal(result[hole], mean[hole])
    rows, columns = differs.any(dim=2).sum(1), differs.any(dim=1).sum(1)
    assert torch.equal(differs.sum(dim=(1, 2)), rows * columns)
    assert 8 <= rows.max() <= 11
    assert rows.float().mean() < 6


def test_randaugment_does_nothing_to_some_images_and_much_to_others():
    batch = images(400, 3, (16, 16))
    far = (changed(Augmentation(n_ops=1), batch) - batch).abs().mean(dim=(1, 2, 3))
    assert 10 < (far < 1e-5).sum() < 120
    assert (far > 0.1).sum() > 40
    gentle = (changed(Augmentation(n_ops=1, magnitude=0.1), batch) - batch).abs().mean()
    assert gentle < far.mean()


def test_auto_flips_color_and_not_gray_and_none_does_nothing():
    assert _decide_flip("auto", 3)
    assert not _decide_flip("auto", 1)
    batch = images()
    assert changed(make_augmentation(None, flip=True), batch) is batch


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _decide_flip("yes", 3), r"must be True, False or 'auto'\. Got 'yes' instead"),
        (lambda: make_augmentation("stong"), r"Got 'stong' instead\. Did you mean 'strong'\?"),
        (lambda: Augmentation(scale=1.0), r"'scale' parameter of Augmentation .* \[0, 0\.9\]"),
        (lambda: Augmentation(fill="mirror"), "'fill' .* Augmentation must be one of reflect"),
        (lambda: changed(PRESETS["mild"], torch.zeros(3, 4)), "Got an array of 2 axes"),
    ],
)
def test_unknown_names_and_values_are_named(make, message):
    with pytest.raises(UsageError, match=message):
        make()
