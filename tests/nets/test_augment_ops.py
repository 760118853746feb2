"""Changes of color: nothing at amount 0, the right direction, and never out of range."""

import pytest
import torch
from PIL import Image, ImageOps

from fewlabel.nets.augment_ops import _COLOR_OPS


def images(channels=3, n=4):
    return torch.rand(n, channels, 9, 9, generator=torch.Generator().manual_seed(0))


def by(amount, n=4):
    return torch.full((n, 1, 1, 1), amount)


@pytest.mark.parametrize("name", _COLOR_OPS)
@pytest.mark.parametrize("amount", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_stay_from_0_to_1_and_the_input_as_it_was(name, amount, channels):
    batch = images(channels)
    before = batch.clone()
    result = _COLOR_OPS[name](batch, by(amount))
    assert result.shape == batch.shape
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(batch, before)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
def test_an_amount_of_0_changes_nothing_and_rows_have_their_own(name):
    batch = images()
    amount = torch.tensor([0.0, 0.8, 0.0, -0.8]).reshape(4, 1, 1, 1)
    result = _COLOR_OPS[name](batch, amount)
    torch.testing.assert_close(result[::2], batch[::2])
    assert not torch.allclose(result[1::2], batch[1::2], atol=0.01)
    # At 0 these change nothing but white.
    batch = torch.round(images() * 254) / 255
    for other in ("posterize", "solarize"):
        torch.testing.assert_close(_COLOR_OPS[other](batch, by(0.0)), batch)


@pytest.mark.parametrize(
    ("name", "figure"),
    [("brightness", torch.mean), ("contrast", torch.std), ("sharpness", torch.std)],
)
def test_the_sign_gives_the_direction(name, figure):
    middle = 0.25 + images() * 0.5
    less, more = (figure(_COLOR_OPS[name](middle, by(amount))) for amount in (-0.5, 0.5))
    assert less < figure(middle) < more


@pytest.mark.parametrize(("name", "tolerance"), [("autocontrast", 1.5), ("equalize", 3.0)])
def test_histogram_changes_agree_with_pillow_and_leave_a_flat_image(name, tolerance):
    # One image with half of the levels, large enough that Pillow's whole numbers do no harm.
    values = torch.rand(256, 256, generator=torch.Generator().manual_seed(0)) ** 2 * 0.5
    pixels = (values * 255).round()
    picture = Image.fromarray(pixels.to(torch.uint8).numpy())
    theirs = torch.tensor(list(getattr(ImageOps, name)(picture).tobytes())).reshape(256, 256)
    ours = _COLOR_OPS[name]((pixels / 255)[None, None], by(1.0, 1))[0, 0] * 255
    assert (ours - theirs).abs().max() <= tolerance
    flat = torch.full((1, 1, 4, 4), 0.4)
    torch.testing.assert_close(_COLOR_OPS[name](flat, by(1.0, 1)), flat)
