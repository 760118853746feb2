"""One network for both halves of an image of two things."""

import numpy as np
import pytest
import torch

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.nets import NetworkClassifier, NetworkSpec, build_network
from fewlabel_experiments.combo.session import ComboSession  # noqa: F401
from fewlabel_experiments.combo.task import GroupedLabels

KINDS = GroupedLabels(((0, 3), (3, 7)))


def pair(shape=(1, 8, 12), **options):
    torch.manual_seed(0)
    spec = NetworkSpec("pair", shape, 7, {"first": 3, "widths": [4, 8], **options})
    return build_network(spec).eval()


def test_every_arrangement_of_two_labels_counts_and_the_sides_may_be_exchanged():
    network = pair()
    images = torch.rand(5, 1, 8, 12)
    with torch.no_grad():
        logits = network(images).numpy()
        embeddings = [
            network.body(network.standardize(images)[..., s])
            for s in (slice(None, 6), slice(6, None))
        ]
        left, right = (np.exp(network.head(e).numpy()) for e in embeddings)
    # By hand: the first kind on the left and the second on the right, or the reverse.
    joint = left[:, :3, None] * right[:, None, 3:] + right[:, :3, None] * left[:, None, 3:]
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    for (start, stop), expected in zip(
        KINDS.groups, (joint.sum(axis=2), joint.sum(axis=1)), strict=True
    ):
        share = np.exp(logits[:, start:stop])
        np.testing.assert_allclose(
            share / share.sum(axis=1, keepdims=True), expected, rtol=1e-4, atol=1e-6
        )
    exchanged = torch.cat([images[..., 6:], images[..., :6]], dim=3)
    with torch.no_grad():
        torch.testing.assert_close(network(images), network(exchanged))
        torch.testing.assert_close(network.embed(images), network.embed(exchanged))


def test_two_things_are_learned_wherever_they_stand_and_a_saved_network_wants_its_task():
    rng = np.random.default_rng(0)
    n = 600
    kinds = np.stack([rng.integers(3, size=n), 3 + rng.integers(4, size=n)], axis=1)
    targets = np.zeros((n, 7), dtype=int)
    np.put_along_axis(targets, kinds, 1, axis=1)
    # Each label is a bright row of its own, in the left half or in the right one.
    sides = np.where(rng.random(n) < 0.5, 0, 1)
    images = rng.integers(60, size=(n, 8, 12), dtype=np.uint8)
    for i, (one, other) in enumerate(kinds):
        for label, side in ((one, sides[i]), (other, 1 - sides[i])):
            images[i, label, 6 * side : 6 * side + 6] = 220
    network = NetworkClassifier(
        "pair",
        options={"first": 3, "body": "cnn", "widths": [8, 16]},
        task=KINDS,
        batch_size=32,
        learning_rate=0.01,
        random_state=0,
    ).fit(images[:400], targets[:400])
    assert network.score(images[400:], targets[400:]) > 0.95
    arrays, meta = network.to_state()
    with pytest.raises(ModelFormatError, match="or give its task"):
        NetworkClassifier.from_state(arrays, meta)
    again = NetworkClassifier.from_state(arrays, meta, task=KINDS)
    np.testing.assert_array_equal(
        again.predict_proba(images[400:]), network.predict_proba(images[400:])
    )


@pytest.mark.parametrize(
    ("width", "options", "message"),
    [
        (1, {}, "'pair' takes images of two columns or more"),
        *[
            (12, {"first": first}, "'pair' takes images of two columns or more")
            for first in (7, 0, None, "3", 3.0, True)
        ],
        (12, {"body": "timm/resnet18"}, "Got the body 'timm/resnet18' instead"),
        (12, {"body": "pair"}, "Got the body 'pair' instead"),
    ],
)
def test_what_is_no_pair(width, options, message):
    with pytest.raises(UsageError, match=message):
        pair((1, 8, width), **options)
