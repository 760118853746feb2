"""Binary experts: pseudo-labels, rounds, what is kept, and notes."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs

from fewlabel import BinaryExperts, NetworkClassifier
from fewlabel.data import image_set_from_array
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.nets import FineTuning
from fewlabel.nets.batches import _to_network, as_inputs
from fewlabel.semisupervised import one_vs_rest, rounds
from fewlabel.semisupervised.checkpoints import Checkpoints
from fewlabel.semisupervised.ledger import HELD
from fewlabel.semisupervised.models import _Models
from fewlabel.semisupervised.one_vs_rest import load_experts

NETWORK = NetworkClassifier(options={"widths": (64, 32)}, min_steps=120)
QUICK = {"retrain_steps": 80, "expert_epochs": 3, "max_rounds": 2, "random_state": 0}


def few_digits():
    """Rows with 150 labels, the labels, the truth, and rows to test on."""
    X, truth = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    y = np.where(np.arange(1_200) < 150, truth[:1_200], -1)
    return X[:1_200], y, truth, X[1_200:]


@pytest.fixture(scope="module")
def digits():
    return few_digits()


@pytest.fixture(scope="module")
def model(digits):
    X, y, _, _ = digits
    return BinaryExperts(NETWORK, **QUICK).fit(X, y)


def test_it_does_no_worse_than_the_network_alone(model, digits):
    X, y, truth, test = digits
    labeled = y >= 0
    alone = NetworkClassifier(options={"widths": (64, 32)}, min_steps=120, random_state=0)
    alone.fit(X[labeled], y[labeled])
    assert model.score(test, truth[1_200:]) > alone.score(test, truth[1_200:]) - 0.02
    assert model.predict_proba(test).shape == (597, 10)


def test_pseudo_labels_are_mostly_right_and_never_given_to_labels(model, digits):
    _, y, truth, _ = digits
    rows, codes, confidence = model.accepted_[1]
    assert len(rows) > 200
    assert (truth[rows] == codes).mean() > 0.9
    assert confidence.min() >= 0.9
    assert (y[rows] == -1).all()


def test_the_rounds_add_up(model, digits):
    first, *rounds = model.rounds_
    assert first.round == 0
    assert first.n_accepted == 0
    n_pool = int((digits[1] < 0).sum())
    accepted = 0
    for record in rounds:
        assert record.n_accepted + record.extra["n_rejected"] == n_pool
        assert sum(record.extra["accepted_by_class"]) == record.n_accepted
        assert sum(record.extra["rejected_by_class"]) == record.extra["n_rejected"]
        assert sum(record.extra["revoked_by_class"]) == record.n_revoked
        assert record.n_accepted == accepted + record.n_new - record.n_revoked
        accepted = record.n_accepted
    assert len(model.val_accuracy_) == len(model.rounds_)
    reached = model.val_accuracy_
    assert reached[model.n_rounds_] > reached.max() - 0.1
    assert model.helped_ == (model.n_rounds_ > 0)


def test_the_ledger_holds_the_rounds_that_were_kept_and_no_later_one(digits, monkeypatch):
    X, y, _, _ = digits
    # The first round counts as the best: the second one is tried and not kept.
    monkeypatch.setattr(rounds, "_best_round", lambda task, y, by_round: min(1, len(by_round) - 1))
    model = BinaryExperts(NETWORK, **QUICK).fit(X, y)
    assert len(model.rounds_) == 3
    assert model.rounds_[2].n_new > 0
    assert model.ledger_.row == model.accepted_[1][0].tolist()
    assert set(model.ledger_.round) == {1}
    assert set(model.ledger_.revoked) == {HELD}


def test_votes_are_probabilities_of_one_class_each(digits):
    X, y, truth, test = digits
    model = BinaryExperts(NETWORK, **QUICK | {"max_rounds": 1, "n_folds": 0}).fit(X, y)
    votes = model.expert_proba(test)
    assert votes.shape == (597, 10)
    right = votes[np.arange(597), truth[1_200:]]
    assert right.mean() > 5 * votes.mean(axis=1).mean() - right.mean()
    assert len(model.val_accuracy_) == 0
    assert model.val_votes_.shape == (0, 10)
    assert not model.confusion_.any()


def test_the_confusion_is_the_votes_of_experts_for_held_out_labels(model, digits):
    _, y, _, _ = digits
    held = model.folds_.folds[0][1]
    np.testing.assert_array_equal(np.sort(model.val_codes_), np.sort(y[held]))
    for code in range(10):
        voted = model.val_votes_[model.val_codes_ == code]
        np.testing.assert_allclose(model.confusion_[code], voted.mean(axis=0))
    assert np.diag(model.confusion_).mean() > 0.5


def test_held_out_labels_train_nothing_but_the_last_network(digits, monkeypatch):
    X, y, _, _ = digits
    seen = []
    fit = _Models.fit

    def watched(self, training, **settings):
        seen.append(set(training.rows.tolist()))
        return fit(self, training, **settings)

    monkeypatch.setattr(_Models, "fit", watched)
    model = BinaryExperts(NETWORK, **QUICK).fit(X, y)
    held = set(model.folds_.folds[0][1].tolist())
    assert held
    for rows in seen[:-1]:
        assert not rows & held
    assert held <= seen[-1]


def test_a_killed_run_goes_on_to_the_same_result(digits, model, tmp_path, monkeypatch):
    X, y, _, test = digits
    fit = _Models.fit

    def stop(self, training, **settings):
        return 1 / 0 if training.name == "round-2" else fit(self, training, **settings)

    monkeypatch.setattr(_Models, "fit", stop)
    with pytest.raises(ZeroDivisionError):
        BinaryExperts(NETWORK, **QUICK, checkpoint=tmp_path).fit(X, y)
    monkeypatch.undo()
    found = []
    get = Checkpoints.get

    def watched(self, name):
        bundle = get(self, name)
        found.append((name, bundle is not None))
        return bundle

    monkeypatch.setattr(Checkpoints, "get", watched)
    again = BinaryExperts(NETWORK, **QUICK, checkpoint=tmp_path).fit(X, y)
    assert found[:5] == [
        ("round-0", True),
        ("experts-1", True),
        ("round-1", True),
        ("experts-2", True),
        ("round-2", False),
    ]
    np.testing.assert_allclose(again.predict_proba(test), model.predict_proba(test), atol=1e-5)
    assert [r.n_accepted for r in again.rounds_] == [r.n_accepted for r in model.rounds_]
    assert again.ledger_.row == model.ledger_.row
    # Other labels: nothing of it is taken, and nothing of it is left.
    found.clear()
    other = BinaryExperts(NETWORK, **QUICK | {"max_rounds": 0}, checkpoint=tmp_path)
    other.fit(X, np.where(np.arange(len(y)) < 140, y, -1))
    assert found[0] == ("round-0", False)
    assert {place.name for place in tmp_path.iterdir() if place.is_dir()} == {"round-0", "final"}


KILLED = """
import os, signal
from tests.semisupervised.test_one_vs_rest import NETWORK, QUICK, few_digits
from fewlabel import BinaryExperts

def kill(stage, done, total):
    if stage == "experts: round-2" and done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

X, y, _, _ = few_digits()
BinaryExperts(NETWORK, **QUICK, checkpoint=CHECKPOINT, progress=kill).fit(X, y)
"""


def test_a_run_killed_outright_in_a_round_goes_on_to_the_same_result(
    digits, model, tmp_path, request
):
    root = request.config.rootpath
    killed = subprocess.run(
        [sys.executable, "-c", f"CHECKPOINT = {str(tmp_path)!r}\n{KILLED}"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "round-1").is_dir()
    assert not (tmp_path / "round-2").exists()
    X, y, _, test = digits
    stages = []
    resumed = BinaryExperts(
        NETWORK,
        **QUICK,
        checkpoint=tmp_path,
        progress=lambda stage, done, total: stages.append(stage),
    ).fit(X, y)
    assert stages[0] == "experts: round-2"
    np.testing.assert_allclose(resumed.predict_proba(test), model.predict_proba(test), atol=1e-5)
    assert resumed.ledger_.row == model.ledger_.row
    for found, whole in zip(resumed.accepted_, model.accepted_, strict=True):
        np.testing.assert_array_equal(found[:2], whole[:2])
        np.testing.assert_allclose(found[2], whole[2], atol=1e-5)
    np.testing.assert_array_equal(resumed.val_accuracy_, model.val_accuracy_)


@pytest.fixture
def tints():
    """Noise with a tint: red, green or blue is the class."""
    y = np.arange(72) % 3
    images = np.random.default_rng(0).integers(0, 130, (72, 32, 32, 3))
    images[np.arange(72), :, :, y] += 120
    return images.astype(np.uint8), y


@pytest.mark.usefixtures("float32")
def test_a_backbone_is_turned_into_experts(tints, tmp_path):
    images, y = tints
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
    assert model.predict_proba(images).shape == (72, 3)
    # The experts have learned what a tint is: theirs leave the trunk that they share.
    votes = model.expert_proba(images)
    assert votes.shape == (72, 3)
    assert np.mean(votes.argmax(axis=1) == y) > 0.6
    experts, scale = load_experts(tmp_path / "experts-1")
    small = image_set_from_array(images).read(slice(None), size=(24, 24), channels=3)
    with torch.inference_mode():
        logits = experts(_to_network(as_inputs(small), torch.device("cpu"))).numpy()
    np.testing.assert_allclose(scale(logits), votes, atol=1e-4)
    again = BinaryExperts(network, **settings, checkpoint=tmp_path).fit(images, known)
    assert again.accepted_[1][0].tolist() == model.accepted_[1][0].tolist()


def test_the_networks_of_a_round_can_be_loaded_alone(digits, tmp_path):
    X, y, _, _ = digits
    model = BinaryExperts(NETWORK, **QUICK | {"max_rounds": 1}, checkpoint=tmp_path).fit(X, y)
    network, scale = load_experts(tmp_path / "experts-1")
    assert network.spec.n_outputs == 10
    assert scale.slope > 0
    if model.n_rounds_ == 1:
        assert scale == model.scale_ or np.allclose(scale.log_odds, model.scale_.log_odds)
    with pytest.raises(ModelFormatError):
        load_experts(tmp_path / "round-1")


def test_images(digits):
    images = (load_digits().images * 15).astype(np.uint8)
    _, y, truth, _ = digits
    network = NetworkClassifier("cnn", options={"widths": (8, 16)}, min_steps=100)
    model = BinaryExperts(network, **QUICK | {"max_rounds": 1}).fit(images[:1_200], y)
    assert model.score(images[1_200:], truth[1_200:]) > 0.75
    with pytest.raises(UsageError, match="one label an image"):
        BinaryExperts(network).fit(images, y)


def test_two_classes_need_one_expert_and_a_note_tells_it():
    X, y = make_blobs(200, centers=2, random_state=0)
    known = np.where(np.arange(200) < 40, y, -1)
    network = NetworkClassifier(options={"widths": (16,)}, min_steps=40)
    model = BinaryExperts(network, **QUICK).fit(X, known)
    assert "one expert suffices" in model.notes_[0]
    assert model.score(X, y) > 0.95


def test_a_class_without_labels_is_refused_by_name(digits):
    X, y, _, _ = digits
    known = np.where(y == 3, -1, y)
    with pytest.raises(UsageError, match="No row is labeled 3"):
        BinaryExperts(NETWORK, **QUICK).fit(X, known, classes=range(10))


def test_experts_that_agree_on_nothing_stop_and_say_so(digits):
    _, y, _, _ = digits
    # Noise: what is learned of it by heart calibrates to next to nothing.
    noise = np.random.default_rng(0).normal(size=(len(y), 16)).astype(np.float32)
    model = BinaryExperts(NETWORK, **QUICK | {"threshold": 0.99}).fit(noise, y)
    assert model.n_rounds_ == 0
    assert any("agreed on nothing" in note for note in model.notes_)
    assert model.rounds_[-1].outcome == "nothing accepted"
    assert not model.helped_


def test_a_collapse_is_rolled_back_and_noted(digits, monkeypatch):
    X, y, _, test = digits

    def all_to_one(self, scores, proba):
        n = len(scores)
        return np.ones(n, bool), np.zeros(n, int), np.ones(n)

    monkeypatch.setattr(one_vs_rest.AgreementRule, "accept", all_to_one)
    model = BinaryExperts(NETWORK, **QUICK).fit(X, y)
    assert model.rounds_[-1].outcome == "collapsed"
    assert any("was rolled back" in note for note in model.notes_)
    assert len(np.unique(model.predict(test))) > 5


def test_many_classes_stay_within_bounds():
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 10, (300, 16))
    y = np.tile(np.arange(300), 4)
    X = (centers[y] + rng.normal(0, 1, (1_200, 16))).astype(np.float32)
    known = np.where(np.arange(1_200) < 600, y, -1)
    network = NetworkClassifier(options={"widths": (64,)}, min_steps=200, learning_rate=1e-2)
    settings = QUICK | {"max_rounds": 1, "threshold": 0.5, "trunk": "frozen"}
    model = BinaryExperts(network, **settings).fit(X, known)
    assert model.predict_proba(X[:5]).shape == (5, 300)
    assert model.rounds_[1].n_accepted > 100


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"agreement": "all"}, "'agreement' parameter"),
        ({"trunk": "open"}, "'trunk' parameter of BinaryExperts must be one of fine-tuned"),
        ({"balance": "smote"}, "'balance' parameter"),
        ({"pseudo_weight": 0}, "'pseudo_weight' parameter"),
        ({"labeled_fraction": 1.0}, "'labeled_fraction' parameter"),
        ({"n_folds": 6}, "'n_folds' parameter"),
        ({"max_rounds": -1}, "'max_rounds' parameter"),
    ],
)
def test_parameters_out_of_range_are_refused(settings, message, digits):
    X, y, _, _ = digits
    with pytest.raises(UsageError, match=message):
        BinaryExperts(NETWORK, **settings).fit(X, y)
