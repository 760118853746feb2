"""What the estimators have in common: refusals, pseudo-labels in rounds, and runs that go on."""

import re
import signal

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from fewlabel import BinaryExperts, NetworkClassifier, SelfTraining, TeacherStudent
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.semisupervised import ConsistencyTraining, one_vs_rest, teacher_student
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.models import _Models
from tests.interpreter import run_code

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


def made(name, network=None, **changes):
    kind, default, settings = KINDS[name]
    return kind(default if network is None else network, **settings | changes)


@pytest.fixture(scope="module", params=KINDS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained(name, few):
    """A model, and the rows that each of its networks was trained on, by name."""
    rows, fit = {}, _Models.fit

    def watched(self, training, **settings):
        rows[training.name] = set(training.rows.tolist())
        return fit(self, training, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Models, "fit", watched)
        return made(name).fit(few[0], few[1]), rows


def test_it_does_no_worse_than_the_network_alone(name, trained, few):
    (model, _), (X, y, truth, test) = trained, few
    alone = clone(KINDS[name][1]).fit(X[y >= 0], y[y >= 0])
    assert model.score(test, truth[1_200:]) > alone.score(test, truth[1_200:]) - 0.02
    assert model.predict_proba(test).shape == (597, 10)
    np.testing.assert_allclose(model.predict_proba(test).sum(axis=1), 1)


def test_pseudo_labels_are_mostly_right_and_never_given_to_labels(name, trained, few):
    (model, _), (_, y, truth, _) = trained, few
    entries = model.ledger_.columns()
    held = entries["revoked"] < 0
    rows, labels = entries["row"][held], entries["label"][held]
    if name == "experts":
        rows, labels, confidence = model.accepted_[1]
        assert confidence.min() >= 0.9
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


def test_held_out_labels_train_nothing_but_the_last_network(name, trained):
    model, seen = trained
    experts = name == "experts"
    held = set((model.folds_.folds[0][1] if experts else model.val_rows_).tolist())
    assert held
    *names, last = seen
    assert ({"round-0", "round-1"} if experts else {"member-1", "alone", "student-1"}) <= set(names)
    assert not any(seen[each] & held for each in names)
    assert held <= seen[last]
    if not experts:
        # Bootstrap samples differ, and each leaves rows out.
        assert seen["member-1"] != seen["member-2"]
        assert len(seen["member-1"]) < 0.8 * len(seen["alone"])


def test_exact_copies_are_held_out_together(name, few):
    X, y, _, _ = few
    groups = np.arange(len(y))
    groups[:150] //= 2
    model = made(name, max_rounds=0, **{"n_members": 1} if name == "teacher" else {})
    model.fit(X, y, groups=groups)
    held = model.folds_.folds[0][1] if name == "experts" else model.val_rows_
    assert len(held)
    assert not set(groups[held]) & set(np.delete(groups[:150], held))


@pytest.mark.parametrize(
    ("accepts", "outcomes", "note"),
    [
        (True, ["trained", "collapsed"], "was rolled back"),
        (False, ["trained", "nothing accepted"], "agreed on nothing|nothing was accepted"),
    ],
)
def test_a_collapse_and_nothing_accepted_end_the_rounds(
    name, few, monkeypatch, accepts, outcomes, note
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
    model = made(name).fit(few[0], few[1])
    assert [record.outcome for record in model.rounds_] == outcomes
    assert any(re.search(note, text) for text in model.notes_)
    assert (model.n_rounds_, model.helped_) == (0, False)
    assert len(np.unique(model.predict(few[3]))) > 5


def test_images(name):
    images, truth = (load_digits().images * 15).astype(np.uint8), load_digits().target
    y = np.where(np.arange(1_200) < 150, truth[:1_200], -1)
    network = NetworkClassifier("cnn", options={"widths": (8, 16)}, min_steps=100)
    model = made(name, network, max_rounds=1).fit(images[:1_200], y)
    assert model.score(images[1_200:], truth[1_200:]) > 0.75
    with pytest.raises(UsageError, match="one label an image"):
        made(name, network).fit(images, y)


KILLED = """
import os, signal, sys
from tests.semisupervised.conftest import few_digits
from tests.semisupervised.test_base import made

def kill(stage, done, total):
    if stage in ("experts: round-2", "teacher: student-1") and done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

made(sys.argv[1], checkpoint=sys.argv[2], progress=kill).fit(*few_digits()[:2])
"""


def test_a_run_killed_outright_goes_on_to_the_same_result(
    name, trained, few, tmp_path, monkeypatch
):
    X, y, _, test = few
    killed = run_code(KILLED, name, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    fitted, fit = [], NetworkClassifier.fit_soft

    def watched(self, *args, **settings):
        fitted.append(self)
        return fit(self, *args, **settings)

    monkeypatch.setattr(NetworkClassifier, "fit_soft", watched)
    again = made(name, checkpoint=tmp_path).fit(X, y)
    n_trained = len(fitted)
    np.testing.assert_allclose(again.predict_proba(test), trained[0].predict_proba(test), atol=1e-5)
    assert again.ledger_.row == trained[0].ledger_.row
    # No model is in memory but the student.
    assert name == "experts" or not again._models._kept
    # Two rounds and the final network, or two students and the final one.
    assert n_trained == {"experts": 2, "teacher": 3}[name]
    # All is there: nothing is trained. Other labels: nothing of it is taken.
    made(name, checkpoint=tmp_path).fit(X, y)
    assert len(fitted) == n_trained
    other = made(name, checkpoint=tmp_path, max_rounds=0)
    other.fit(X, np.where(np.arange(len(y)) < 140, y, -1))
    assert len(fitted) == n_trained + {"experts": 2, "teacher": 5}[name]
    if name == "teacher":
        (tmp_path / "member-2" / "manifest.json").unlink()
        with pytest.raises(ModelFormatError, match="member-2 is no longer in"):
            other.uncertainty(test)


# Of every parameter, an object of another type is refused in tests/test_estimators.py.
REFUSED = {
    SelfTraining: [
        ({"threshold": 0}, r"'threshold' parameter of SelfTraining must be a float in \(0, 1\]"),
        ({"max_rounds": -1}, "'max_rounds' parameter of SelfTraining must be an int of at least 0"),
        ({"n_folds": 1}, "'n_folds' parameter of SelfTraining must be an int of at least 2"),
        ({"pseudo_weight": 0}, "'pseudo_weight' parameter of SelfTraining must be a number above"),
        ({"start_epoch": 5}, r"'start_epoch' .* is for networks.*LogisticRegression"),
    ],
    BinaryExperts: [
        ({"pseudo_weight": 0}, "'pseudo_weight' parameter"),
        ({"labeled_fraction": 1.0}, "'labeled_fraction' parameter"),
        ({"n_folds": 6}, "'n_folds' parameter"),
    ],
    TeacherStudent: [
        ({"positive": 1.5}, "'positive' parameter of TeacherStudent"),
        ({"positive": "high"}, "one of auto"),
        ({"positive": [0.9, 0.9]}, "one number a label or one for all"),
        ({"agreement": 0}, "'agreement' parameter"),
        ({"labeled_fraction": 1.0}, r"a float in \(0, 1\)"),
        ({"val_fraction": 1}, r"float in \[0, 1\)"),
        ({"n_members": 0}, "'n_members'"),
        ({"members": []}, "at least one estimator"),
    ],
    ConsistencyTraining: [
        ({"method": "mixmatch"}, "'method' parameter of ConsistencyTraining must be one of fixm"),
        ({"lambda_u": -1}, "'lambda_u' parameter of ConsistencyTraining must be a number of at"),
        ({"threshold": 2}, r"'threshold' parameter of ConsistencyTraining must be a float in \["),
        ({"temperature": 0}, r"'temperature' parameter of ConsistencyTraining must be a float in"),
        ({"fairness": 0.1}, "belongs to method='freematch'. Got method='softmatch'"),
        ({"strong": "hard"}, "The augmentation must be one of none, weak, mild, strong"),
        ({"flip": "maybe"}, "'flip' must be True, False or 'auto'"),
        ({"learning_rate": 0}, "'learning_rate' parameter of ConsistencyTraining must be"),
    ],
}
FIRST = {BinaryExperts: {"estimator": NETWORK}, TeacherStudent: {"members": NETWORK}}


@pytest.mark.parametrize(
    ("kind", "settings", "message"), [(k, *case) for k, cases in REFUSED.items() for case in cases]
)
def test_parameters_out_of_range_are_named(kind, settings, message, few):
    X, y, _, _ = few
    if kind is ConsistencyTraining:
        X = (X.reshape(-1, 8, 8) * 240).astype(np.uint8)
    with pytest.raises(UsageError, match=message):
        kind(**FIRST.get(kind, {}) | settings).fit(X, y)
