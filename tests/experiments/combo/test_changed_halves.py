"""Random changes of both halves of an image, each by itself."""

import pytest
import torch

from fewlabel.errors import UsageError
from fewlabel.nets import Augmentation
from fewlabel_experiments.combo.changed_halves import ChangedHalves


@pytest.mark.parametrize("width", [12, 13])
def test_each_half_is_changed_by_itself(width):
    half = width // 2
    change = ChangedHalves(Augmentation(rotate=20.0, shift=0.3, fill="reflect"))
    images = torch.zeros(4, 1, 8, width)
    images[..., :half] = 1
    # Of one gray each, the halves stay: nothing comes over the border.
    torch.testing.assert_close(change(images, torch.Generator().manual_seed(0)), images)
    images = torch.rand(4, 1, 8, width)
    changed = change(images, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    for part in (slice(None, half), slice(width - half, None)):
        assert not torch.allclose(changed[..., part], images[..., part])
    middle = slice(half, width - half)
    assert torch.equal(changed[..., middle], images[..., middle])


def test_a_name_is_that_of_a_preset_and_images_have_halves():
    assert ChangedHalves("weak") == ChangedHalves(Augmentation(shift=0.1))
    with pytest.raises(UsageError, match="milld"):
        ChangedHalves("milld")
    for shape in ((4, 10), (4, 1, 8, 1)):
        with pytest.raises(UsageError, match="images of two columns or more"):
            ChangedHalves("mild")(torch.zeros(shape), torch.Generator())
