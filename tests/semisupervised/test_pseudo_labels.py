"""What experts, and teacher and student, have in common: pseudo-labels in rounds."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from fewlabel import BinaryExperts, NetworkClassifier, TeacherStudent
from fewlabel.errors import UsageError
from fewlabel.semisupervised import one_vs_rest, teacher_student
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.models import _Models

# What small networks reach on 300 rows depends on the rounding of their products.
pytestmark = pytest.mark.usefixtures("float32_module")

NETWORK = NetworkClassifier(options={"widths": (64, 32)}, min_steps=120, random_state=0)
EXPERTS = {"retrain_steps": 80, "expert_epochs": 3, "max_rounds": 2, "random_state": 0}
TEACHER = {"n_members": 3, "max_rounds": 2, "precision": 0.95, "sample": "all", "random_state": 0}
QUICK = NetworkClassifier(options={"widths": (48,)}, n_epochs=1, min_steps=80, random_state=0)
QUICK.set_params(learning_rate=1e-2)
KINDS = {
    "experts": (BinaryExperts, NETWORK, EXPERTS),
    "teacher": (TeacherStudent, QUICK, TEACHER),
}


@pytest.fixture(scope="module", params=KINDS)
def make(request):
    kind, network, settings = KINDS[request.param]
    return lambda network=network, **changes: kind(network, **settings | changes)


@pytest.fixture(scope="module")
def trained(make, few):
    """A model, and the rows that each of its networks was trained on, by name."""
    rows, fit = {}, _Models.fit

    def watched(self, training, **settings):
        rows[training.name] = set(training.rows.tolist())
        return fit(self, training, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Models, "fit", watched)
        return make().fit(few[0], few[1]), rows


def test_it_does_no_worse_than_the_network_alone(trained, few):
    (model, _), (X, y, truth, test) = trained, few
    network = NETWORK if isinstance(model, BinaryExperts) else QUICK
    alone = clone(network).fit(X[y >= 0], y[y >= 0])
    assert model.score(test, truth[1_200:]) > alone.score(test, truth[1_200:]) - 0.02
    assert model.predict_proba(test).shape == (597, 10)
    np.testing.assert_allclose(model.predict_proba(test).sum(axis=1), 1)


def test_pseudo_labels_are_mostly_right_and_never_given_to_labels(trained, few):
    (model, _), (_, y, truth, _) = trained, few
    if isinstance(model, BinaryExperts):
        rows, labels, confidence = model.accepted_[1]
        assert confidence.min() >= 0.9
    else:
        entries = model.ledger_.columns()
        held = entries["revoked"] < 0
        rows, labels = entries["row"][held], entries["label"][held]
    assert len(rows) > 200
    assert (y[rows] == -1).all()
    assert (truth[rows] == labels).mean() > 0.9


def test_the_rounds_add_up(trained):
    model, _ = trained
    first, *rounds = model.rounds_
    assert (first.round, first.n_accepted) == (0, 0)
    accepted = 0
    for record in rounds:
        assert record.n_accepted == accepted + record.n_new - record.n_revoked
        accepted = record.n_accepted
    assert model.helped_ == (model.n_rounds_ > 0)


def test_held_out_labels_train_nothing_but_the_last_network(trained):
    model, seen = trained
    experts = isinstance(model, BinaryExperts)
    held = set((model.folds_.folds[0][1] if experts else model.val_rows_).tolist())
    assert held
    *names, last = seen
    names_of_a_round = {"round-0", "round-1"} if experts else {"member-1", "alone", "student-1"}
    assert names_of_a_round <= set(names)
    assert not any(seen[name] & held for name in names)
    assert held <= seen[last]
    if not experts:
        # Bootstrap samples differ, and each leaves rows out.
        assert seen["member-1"] != seen["member-2"]
        assert len(seen["member-1"]) < 0.8 * len(seen["alone"])


@pytest.mark.parametrize(
    ("accepts", "outcomes", "note"),
    [
        (True, ["trained", "collapsed"], "was rolled back"),
        (False, ["trained", "nothing accepted"], "agreed on nothing|nothing was accepted"),
    ],
)
def test_a_collapse_and_nothing_accepted_end_the_rounds(
    make, few, monkeypatch, accepts, outcomes, note
):
    def agree(self, scores, proba):
        """Every row is of the first class, or none is of any."""
        n = len(scores)
        return np.full(n, accepts), np.zeros(n, int), np.ones(n)

    def accept(task, view, thresholds, agreement):
        n = len(view.proba) * accepts
        return PseudoLabels._of_classes(np.arange(n), np.zeros(n, int), np.ones(n), 10)

    monkeypatch.setattr(one_vs_rest.AgreementRule, "accept", agree)
    monkeypatch.setattr(teacher_student, "_accept_agreed", accept)
    model = make().fit(few[0], few[1])
    assert [record.outcome for record in model.rounds_] == outcomes
    assert any(re.search(note, text) for text in model.notes_)
    assert (model.n_rounds_, model.helped_) == (0, False)
    assert len(np.unique(model.predict(few[3]))) > 5


def test_images(make):
    images, truth = (load_digits().images * 15).astype(np.uint8), load_digits().target
    y = np.where(np.arange(1_200) < 150, truth[:1_200], -1)
    network = NetworkClassifier("cnn", options={"widths": (8, 16)}, min_steps=100)
    model = make(network, max_rounds=1).fit(images[:1_200], y)
    assert model.score(images[1_200:], truth[1_200:]) > 0.75
    with pytest.raises(UsageError, match="one label an image"):
        make(network).fit(images, y)
