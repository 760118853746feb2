import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from fewlabel.data import image_set_from_array, load_images
from fewlabel.errors import DataError, DownloadError, ModelFormatError, UsageError
from fewlabel.extras import require
from fewlabel.features.backbone import Backbone
from fewlabel.features.networks import _fold_batch_norms, _load_network
from fewlabel.nets.pretrained import Recipe
from tests.features.conftest import noise

timm = require("timm", "This test")
SMALL = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def images():
    return image_set_from_array(noise(6, 40))


@pytest.fixture(scope="module")
def tensors():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(SMALL)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                # Trained statistics are not those of a new network.
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
    return model.state_dict()


def save(path, tensors):
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.fixture
def weights(tmp_path, tensors):
    return save(tmp_path / f"{SMALL}.safetensors", tensors)


def reference(tensors, pixels, mean, std):
    """The features by timm's own road, without folding, batching and channels_last."""
    model = timm.create_model(SMALL).eval()
    model.load_state_dict(tensors)
    model.reset_classifier(0)
    scaled = (pixels / 255 - np.array(mean)) / np.array(std)
    with torch.inference_mode():
        return model(torch.from_numpy(scaled).float().permute(0, 3, 1, 2)).numpy()


@pytest.mark.parametrize("batch_size", [2, 64])
def test_gives_the_features_of_timm(images, weights, tensors, batch_size, arithmetic):
    backbone = Backbone(weights=weights, size=40, batch_size=batch_size, normalize=False)
    features = backbone.fit(images).transform(images)
    expected = reference(tensors, noise(6, 40), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert features.dtype == np.float32
    # One rounding of the largest feature; float32 sums in another order cost more than that.
    rounding = max(torch.finfo(arithmetic).eps, 1e-4)
    np.testing.assert_allclose(features, expected, atol=rounding * np.abs(expected).max())
    scaled = Backbone(weights=weights, size=40).fit_transform(images)
    expected = expected / np.sqrt((expected**2).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(scaled, expected, atol=rounding * np.abs(expected).max())


def test_flip_averages_with_the_mirror_image(images, weights):
    mirrored = image_set_from_array(noise(6, 40)[:, :, ::-1])
    plain = Backbone(weights=weights, size=40, normalize=False).fit(images)
    flipped = Backbone(weights=weights, size=40, normalize=False, flip=True).fit(images)
    features = flipped.transform(images)
    mean = (plain.transform(images) + plain.transform(mirrored)) / 2
    np.testing.assert_allclose(features, mean, atol=1e-4 * np.abs(mean).max())
    again = Backbone.from_state(*flipped.to_state())
    np.testing.assert_array_equal(again.transform(images), features)


def test_fewer_images_at_once_after_memory_ran_out(images, weights):
    backbone = Backbone(weights=weights, size=40).fit(images)
    expected = backbone.transform(images)
    module = backbone.network_.module

    def check(_, given):
        if len(given[0]) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    module.register_forward_pre_hook(check)
    with pytest.warns(RuntimeWarning, match="at most 3 rows are worked on at once"):
        np.testing.assert_allclose(backbone.transform(images), expected, atol=1e-4)


@pytest.mark.usefixtures("float32")
def test_mean_and_std_can_be_given(images, weights, tensors):
    backbone = Backbone(
        weights=weights, size=40, mean=(0.5,) * 3, std=(0.25, 0.5, 1), normalize=False
    )
    expected = reference(tensors, noise(6, 40), (0.5, 0.5, 0.5), (0.25, 0.5, 1))
    features = backbone.fit_transform(images)
    np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("model", "size", "n_features"),
    [
        ("resnet18", 48, 512),
        (SMALL, 48, 1024),
        ("convnext_atto", 64, 320),
        ("vit_tiny_patch16_224", 64, 192),
    ],
)
def test_any_timm_model_runs(images, model, size, n_features):
    backbone = Backbone(model, pretrained=False, size=size).fit(images)
    features = backbone.transform(images)
    assert features.shape == (6, n_features)
    np.testing.assert_allclose((features**2).mean(axis=1), 1, atol=1e-5)


def test_random_weights_are_seeded_and_leave_the_global_random_state_alone(images):
    before = torch.random.get_rng_state()
    one, two, other = (
        Backbone(SMALL, pretrained=False, size=32, random_state=seed).fit_transform(images)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-3
    assert torch.equal(torch.random.get_rng_state(), before)


def test_grey_images_are_given_three_equal_colours():
    gray = noise(3, 40, channels=1)
    backbone = Backbone(SMALL, pretrained=False, size=40).fit(image_set_from_array(gray))
    np.testing.assert_allclose(
        backbone.transform(image_set_from_array(gray)),
        backbone.transform(image_set_from_array(np.repeat(gray, 3, axis=3))),
        atol=1e-6,
    )


def test_reduction_and_progress(images):
    seen = []
    backbone = Backbone(SMALL, pretrained=False, size=32, n_components=3, batch_size=4)
    features = backbone.fit(images, progress=lambda *call: seen.append(call)).transform(images)
    assert features.shape == (6, 3)
    assert seen == [("learn components", 4, 6), ("learn components", 6, 6)]
    np.testing.assert_allclose(backbone.fit_transform(images), features, atol=1e-6)


@pytest.mark.parametrize("n_components", [None, 3])
def test_state_round_trip_needs_no_file(images, weights, n_components, monkeypatch):
    backbone = Backbone(
        weights=weights, size=40, mean=(0.5,) * 3, n_components=n_components, power=0.5
    ).fit(images)
    arrays, meta = backbone.to_state()
    weights.unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    meta = json.loads(json.dumps(meta))
    assert (meta["extractor"], meta["model"]) == ("backbone", SMALL)
    again = Backbone.from_state(arrays, meta)
    np.testing.assert_array_equal(again.transform(images), backbone.transform(images))
    assert again.to_state()[1] | {"weights": meta["weights"]} == meta


def test_state_keeps_half_precision_where_that_is_exact(tmp_path, tensors, images):
    half = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    path = save(tmp_path / f"{SMALL}.safetensors", half)
    arrays, _ = Backbone(weights=path, size=32).fit(images).to_state()
    assert {array.dtype.name for array in arrays.values()} == {"float16"}
    assert not any("classifier" in name for name in arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extractor": "pixels"}, r"features are 'pixels', not 'backbone'"),
        ({"std": None}, r"saved features lack 'std': the model is damaged"),
        ({"model": "evilnet"}, r"cannot be rebuilt .timm has no model 'evilnet'"),
        ({"model_kwargs": {"checkpoint_path": "x.pth"}}, r"checkpoint_path='x.pth' cannot be"),
        ({}, r"cannot be rebuilt .The saved file of weights does not .*1 missing: conv_stem"),
    ],
)
def test_damaged_state(images, changes, message):
    arrays, meta = Backbone(SMALL, pretrained=False, size=32).fit(images).to_state()
    if not changes:
        arrays = {name: array for name, array in arrays.items() if "stem" not in name}
    meta = {
        name: value for name, value in (meta | changes).items() if changes.get(name, 0) is not None
    }
    with pytest.raises(ModelFormatError, match=message):
        Backbone.from_state(arrays, meta)


def test_folding_changes_nothing_but_the_time():
    network = _load_network(Recipe("resnet18"), pretrained=False, size=(48, 48))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.module.modules())
    assert "bn1.running_var" in network.tensors

    class Shared(nn.Module):
        """A convolution whose raw output is used beside its BatchNorm."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.norm.running_mean += 3

        def forward(self, x):
            raw = self.conv(x)
            return (self.norm(raw) + 2 * raw).mean((2, 3))

    model = Shared().eval()
    assert _fold_batch_norms(model, torch.rand(2, 3, 5, 5)) is model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("resnet_18", r"timm has no model 'resnet_18': did you mean .*'resnet18'"),
        ("qqqqq", r"has no model 'qqqqq': see timm.list_models"),
        ("hf-hub:someone/resnet18", r"has no model 'hf-hub:someone/resnet18'"),
    ],
)
def test_unknown_models_get_a_suggestion(images, model, message):
    with pytest.raises(UsageError, match=message):
        Backbone(model).fit(images)


def test_unreachable_hub(images, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        DownloadError, match=r"weights of 'resnet18' could not be fetched .* --weights PATH"
    ):
        Backbone("resnet18").fit(images)
    with pytest.raises(UsageError, match=r"timm has no pretrained weights for 'mobilenetv2_075'"):
        Backbone("mobilenetv2_075").fit(images)


def test_weights_of_another_model(images, weights, tmp_path, tensors):
    with pytest.raises(
        DataError,
        match=r"safetensors does not fit the timm model 'resnet18' \(96 missing: conv1.weight, "
        r"layer1.0.conv1.weight, layer1.0.bn1.weight, layer1.0.bn1.bias, …; "
        r"206 unexpected: .*name the model it",
    ):
        Backbone("resnet18", weights=weights).fit(images)
    name = "conv_stem.weight"
    changed = save(tmp_path / "other.safetensors", tensors | {name: torch.zeros(16, 3, 5, 5)})
    with pytest.raises(
        DataError,
        match=r"1 of another shape: conv_stem.weight \(16, 3, 5, 5\) instead of \(16, 3, 3, 3\)",
    ):
        Backbone(SMALL, weights=changed).fit(images)
    extra = save(tmp_path / "extra.safetensors", tensors | {"a\x1b[31m": torch.zeros(1)})
    with pytest.raises(DataError, match=r"1 unexpected: a\?\[31m\)"):
        Backbone(SMALL, weights=extra).fit(images)


def test_damaged_weights(images, weights, tmp_path, tensors):
    short = tmp_path / "short.safetensors"
    short.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"short.safetensors is not a whole safetensors file"):
        Backbone(SMALL, weights=short).fit(images)
    lying = tmp_path / "lying.safetensors"
    lying.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(DataError, match=r"lying.safetensors is not a whole safetensors file"):
        Backbone(SMALL, weights=lying).fit(images)
    name = "conv_stem.weight"
    bad = save(
        tmp_path / "bad.safetensors", tensors | {name: torch.full_like(tensors[name], torch.nan)}
    )
    with pytest.raises(DataError, match=r"tensor 'conv_stem.weight' holds NaN or infinity"):
        Backbone(SMALL, weights=bad).fit(images)


def test_pickles_are_refused(images, tmp_path, tensors):
    path = tmp_path / "resnet18.pth"
    torch.save(tensors, path)
    with pytest.raises(UsageError, match=r"not a .safetensors file.*Convert them to safetensors"):
        Backbone(weights=path).fit(images)
    with pytest.raises(DataError, match=r"none.safetensors do not exist"):
        Backbone(weights=tmp_path / "none.safetensors").fit(images)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 0}, "'size' parameter of Backbone must be a positive int"),
        ({"mean": (0.5, 0.5)}, "'mean' parameter of Backbone must be three numbers, one for each"),
        ({"std": (0.5, 0, 0.5)}, "'std' parameter of Backbone must be three numbers above 0"),
        ({"batch_size": 0}, "'batch_size' parameter of Backbone must be an int of at least 1"),
        ({"n_components": 0}, "'n_components' parameter of Backbone must be an int of at least"),
        ({"device": "tpu"}, "The device must be one of auto, cpu, cuda, mps. Got 'tpu'"),
        ({"model_kwargs": {"pretrained": True}}, "argument pretrained='True' cannot be given"),
        ({"model_kwargs": {"no_such": 1}}, "timm cannot make 'mobilenetv3_small_050' with"),
        ({"model": "vit_tiny_patch16_224", "size": 8}, "cannot take images of 8 × 8"),
    ],
)
def test_bad_parameters(images, parameters, message):
    with pytest.raises(UsageError, match=message):
        Backbone(**{"model": SMALL, "pretrained": False} | parameters).fit(images)


def test_not_fitted(images):
    with pytest.raises(UsageError, match=r"This Backbone extractor is not fitted: call fit"):
        Backbone(SMALL).transform(images)


@pytest.mark.data
def test_the_given_weights_need_no_settings():
    data = os.environ.get("FEWLABEL_DATA")
    if data is None:
        pytest.skip("FEWLABEL_DATA is not set")
    path = Path(data).parent / "models" / "mobilenetv2_100.safetensors"
    if not path.is_file():
        pytest.skip("the weights are not beside FEWLABEL_DATA")
    photos = load_images("grocery")
    y = np.unique(photos.truth.astype(str), return_inverse=True)[1]
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:12] for k in (0, 5, 9, 20)])
    backbone = Backbone(weights=path, size=128)
    features = backbone.fit_transform(photos.subset(chosen))
    recipe = backbone.network_.recipe
    assert (recipe.model, recipe.mean) == ("mobilenetv2_100", (0.5, 0.5, 0.5))
    assert recipe.model_kwargs == {"pad_type": "same"}
    similar = features @ features.T / features.shape[1]
    np.fill_diagonal(similar, -1)
    nearest = y[chosen][similar.argmax(axis=1)]
    assert np.mean(nearest == y[chosen]) > 0.85


def test_a_tiny_photo_is_enlarged_and_a_giant_one_is_set_aside(tmp_path, weights):
    folder = tmp_path / "photos"
    folder.mkdir()
    tiny = Image.fromarray(noise(1, side=8)[0])
    tiny.save(folder / "tiny.png")
    # A header that promises 12,000 × 9,000 pixels: it is refused before it is decoded.
    whole = (folder / "tiny.png").read_bytes()
    header = struct.pack(">4sIIBBBBB", b"IHDR", 12_000, 9_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    (folder / "giant.png").write_bytes(whole[:12] + header + crc + whole[33:])
    photos = load_images(folder)
    assert photos.names == ("tiny.png",)
    [giant] = photos.skipped
    assert (giant.path, "the image has 108 megapixels" in giant.reason) == ("giant.png", True)
    features = Backbone(weights=weights, size=64).fit_transform(photos)
    enlarged = image_set_from_array(np.asarray(tiny)[None]).read([0], size=(64, 64))
    expected = Backbone(weights=weights, size=64).fit_transform(image_set_from_array(enlarged))
    assert np.corrcoef(features[0], expected[0])[0, 1] > 0.99
