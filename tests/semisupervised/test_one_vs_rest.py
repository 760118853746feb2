"""Binary experts: pseudo-labels, rounds, what is kept, and notes."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from fewlabel import BinaryExperts, NetworkClassifier
from fewlabel.data import image_set_from_array
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.nets import FineTuning
from fewlabel.nets.batches import _as_inputs, _to_network
from fewlabel.semisupervised import rounds
from fewlabel.semisupervised.ledger import HELD
from fewlabel.semisupervised.one_vs_rest import load_experts
from tests.semisupervised.conftest import made, train

# What small networks reach on 300 rows depends on the rounding of their products.
pytestmark = pytest.mark.usefixtures("float32_module")


def test_the_rounds_add_up(few):
    model, n_pool = train("experts")[0], int((few[1] < 0).sum())
    for record in model.rounds_[1:]:
        assert record.n_accepted + record.extra["n_rejected"] == n_pool
        assert sum(record.extra["accepted_by_class"]) == record.n_accepted
        assert sum(record.extra["rejected_by_class"]) == record.extra["n_rejected"]
        assert sum(record.extra["revoked_by_class"]) == record.n_revoked
    assert len(model.val_accuracy_) == len(model.rounds_)
    reached = model.val_accuracy_
    assert reached[model.n_rounds_] > reached.max() - 0.1


def test_the_ledger_holds_the_rounds_that_were_kept_and_no_later_one(few, monkeypatch):
    X, y, _, _ = few
    # The first round counts as the best: the second one is tried and not kept.
    monkeypatch.setattr(
        rounds, "_best_round", lambda task, y, by_round, *_: min(1, len(by_round) - 1)
    )
    model = made("experts").fit(X, y)
    assert len(model.rounds_) == 3
    assert model.rounds_[2].n_new > 0
    assert model.ledger_.row == model.accepted_[1][0].tolist()
    assert set(model.ledger_.round) == {1}
    assert set(model.ledger_.revoked) == {HELD}


def test_votes_are_probabilities_of_one_class_each(few):
    X, y, truth, test = few
    model = made("experts", max_rounds=1, n_folds=0).fit(X, y)
    votes = model.expert_proba(test)
    right = votes[np.arange(597), truth[1_200:]]
    assert right.mean() > 5 * votes.mean(axis=1).mean() - right.mean()
    assert len(model.val_accuracy_) == 0
    assert model.val_votes_.shape == (0, 10)
    assert not model.confusion_.any()


def test_the_confusion_is_the_votes_of_experts_for_held_out_labels(few):
    (model, _), (_, y, _, _) = train("experts"), few
    held = model.folds_.folds[0][1]
    np.testing.assert_array_equal(np.sort(model.val_codes_), np.sort(y[held]))
    for code in range(10):
        voted = model.val_votes_[model.val_codes_ == code]
        np.testing.assert_allclose(model.confusion_[code], voted.mean(axis=0))
    assert np.diag(model.confusion_).mean() > 0.5


def test_a_backbone_is_turned_into_experts(tmp_path):
    # Noise with a tint: red, green or blue is the class.
    y = np.arange(72) % 3
    images = np.random.default_rng(0).integers(0, 130, (72, 32, 32, 3))
    images[np.arange(72), :, :, y] += 120
    images = images.astype(np.uint8)
    network = FineTuning(
        "mobilenetv3_small_050",
        pretrained=False,
        # The photos are larger: every part reads them at the size of the network.
        size=24,
        min_steps=12,
        n_epochs=1,
        batch_size=16,
        learning_rate=1e-2,
        augment=None,
    )
    settings = {"retrain_steps": 2, "expert_epochs": 1, "max_rounds": 1, "n_folds": 0}
    settings |= {"agreement": "margin", "threshold": 0.01, "margin": 0.01, "random_state": 0}
    known = np.where(np.arange(72) < 36, y, -1)
    model = BinaryExperts(network, **settings, checkpoint=tmp_path).fit(images, known)
    assert model.rounds_[1].outcome == "trained"
    # The experts have learned what a tint is: theirs leave the trunk that they share.
    votes = model.expert_proba(images)
    assert np.mean(votes.argmax(axis=1) == y) > 0.6
    experts, scale = load_experts(tmp_path / "experts-1")
    small = image_set_from_array(images).read(slice(None), size=(24, 24), channels=3)
    with torch.inference_mode():
        logits = experts(_to_network(_as_inputs(small), torch.device("cpu"))).numpy()
    np.testing.assert_allclose(scale(logits), votes, atol=1e-4)
    with pytest.raises(ModelFormatError):
        load_experts(tmp_path / "round-1")
    again = BinaryExperts(network, **settings, checkpoint=tmp_path).fit(images, known)
    assert again.accepted_[1][0].tolist() == model.accepted_[1][0].tolist()


def test_two_classes_need_one_expert_and_a_note_tells_it():
    X, y = make_blobs(200, centers=2, random_state=0)
    known = np.where(np.arange(200) < 40, y, -1)
    network = NetworkClassifier(options={"widths": (16,)}, min_steps=40)
    model = made("experts", network).fit(X, known)
    assert "one expert suffices" in model.notes_[0]
    assert model.score(X, y) > 0.95


def test_a_table_of_labels_is_refused():
    with pytest.raises(UsageError, match="BinaryExperts takes one label a row"):
        BinaryExperts().fit(np.zeros((4, 2)), np.eye(4, 2))
