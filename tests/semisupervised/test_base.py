"""What the estimators have in common: refusals, pseudo-labels in rounds, and runs that go on."""

import re
import signal

import numpy as np
import pytest
from sklearn.base import clone

from fewlabel import NetworkClassifier, SelfTraining, TeacherStudent
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.semisupervised import ConsistencyTraining, one_vs_rest, self_training, teacher_track
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.models import _Models
from tests.interpreter import run_code
from tests.semisupervised.conftest import KINDS, SMALL, _as_images, made, train

# What small networks reach on 300 rows depends on the rounding of their products.
pytestmark = pytest.mark.usefixtures("float32_module")


@pytest.fixture(scope="module", params=KINDS)
def name(request):
    return request.param


def held_of(name, model):
    return model.val_rows_ if name == "teacher" else model.folds_.folds[0][1]


def test_it_does_no_worse_than_the_network_alone(name, few):
    (model, _), (X, y, truth, test) = train(name), few
    alone = clone(KINDS[name][1]).fit(X[y >= 0], y[y >= 0])
    assert model.score(test, truth[1_200:]) > alone.score(test, truth[1_200:]) - 0.02


def test_pseudo_labels_are_mostly_right_and_never_given_to_labels(name, few):
    (model, _), (_, y, truth, _) = train(name), few
    entries = model.ledger_.columns()
    held = entries["revoked"] < 0
    rows, labels = entries["row"][held], entries["label"][held]
    if name == "experts":
        rows, labels, confidence = model.accepted_[1]
        assert confidence.min() >= 0.9
    assert len(rows) > 200
    assert (y[rows] == -1).all()
    assert (truth[rows] == labels).mean() > 0.9


def test_the_rounds_add_up(name):
    model, _ = train(name)
    first, *rounds = model.rounds_
    assert (first.round, first.n_accepted) == (0, 0)
    accepted = 0
    for record in rounds:
        assert record.n_accepted == accepted + record.n_new - record.n_revoked
        accepted = record.n_accepted
    assert model.helped_ == (model.n_rounds_ > 0)


def test_held_out_labels_train_nothing_but_the_last_network(name):
    model, seen = train(name)
    held = set(held_of(name, model).tolist())
    assert held
    tested = [each for each in seen if not each.startswith(("final", "fold-1", "fold-2"))]
    assert {
        "self-training": {"fold-0-round-0", "fold-0-round-1"},
        "experts": {"round-0", "round-1"},
        "teacher": {"member-1", "alone", "student-1"},
    }[name] <= set(tested)
    assert not any(seen[each] & held for each in tested)
    *_, last = seen
    assert held <= seen[last]
    if name == "teacher":
        # Bootstrap samples differ, and each leaves rows out.
        assert seen["member-1"] != seen["member-2"]
        assert len(seen["member-1"]) < 0.8 * len(seen["alone"])


def test_exact_copies_are_held_out_together(name, few):
    X, y, _, _ = few
    groups = np.arange(len(y))
    groups[:150] //= 2
    model = made(name, max_rounds=0, **{"n_members": 1} if name == "teacher" else {})
    held = held_of(name, model.fit(X, y, groups=groups))
    assert len(held)
    assert not set(groups[held]) & set(np.delete(groups[:150], held))


@pytest.mark.parametrize(
    ("accepts", "n_classes", "outcomes", "note"),
    [
        (True, 1, ["trained", "collapsed"], "was rolled back"),
        (False, 1, ["trained", "nothing accepted"], "agreed on nothing|nothing was accepted"),
        (True, 10, ["trained"] * 3, "did not help"),
    ],
)
def test_rounds_that_do_not_help_are_left(
    name, few, monkeypatch, accepts, n_classes, outcomes, note
):
    def agree(self, scores, proba):
        # None, or the first class, or the one after that which is predicted.
        n, codes = len(proba), (proba.argmax(axis=1) + 1) % 10
        return np.full(n, accepts), codes * (n_classes > 1), np.ones(n)

    def accept(*args):
        # The predictions of an ensemble, or of one model.
        proba = getattr(args[1], "proba", args[1 + (name == "self-training")])
        _, codes, confidence = agree(None, None, proba)
        rows = np.arange(len(proba) * accepts)
        return PseudoLabels._of_classes(rows, codes[rows], confidence[rows], 10)

    monkeypatch.setattr(one_vs_rest.AgreementRule, "accept", agree)
    monkeypatch.setattr(self_training.AcceptanceRule, "accept", accept)
    monkeypatch.setattr(teacher_track, "_accept_agreed", accept)
    model = made(name).fit(few[0], few[1])
    assert (model.n_rounds_, model.helped_, len(model.ledger_)) == (0, False, 0)
    assert len(np.unique(model.predict(few[3]))) > 5
    # The final model of self-training runs no round but the first.
    if name != "self-training":
        assert [record.outcome for record in model.rounds_] == outcomes
        assert any(re.search(note, text) for text in model.notes_)
        assert n_classes == 1 or model.rounds_[1].accuracy < model.rounds_[0].accuracy - 0.2


def test_images(name, few):
    X, y, truth, test = few
    network = NetworkClassifier("cnn", options={"widths": (8, 16)}, min_steps=100)
    soft = {"soft": True, "n_folds": 2} if name == "self-training" else {}
    model = made(name, network, max_rounds=1, **soft).fit(_as_images(X), y)
    assert model.score(_as_images(test), truth[1_200:]) > 0.75
    with pytest.raises(UsageError, match="one label an image"):
        made(name, network).fit(_as_images(X), y[:100])


KILLED = """
import os, signal, sys
from tests.semisupervised.conftest import few_digits, made

STAGES = "self-training: fold-1-round-1", "experts: round-2", "teacher: student-1"

def kill(stage, done, total):
    if stage in STAGES and done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

made(sys.argv[1], checkpoint=sys.argv[2], progress=kill).fit(*few_digits()[:2])
"""


def test_a_run_killed_outright_goes_on_to_the_same_result(name, few, tmp_path, monkeypatch):
    (X, y, _, test), whole = few, train(name)[0]
    killed = run_code(KILLED, name, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    fitted, keep = [], _Models._keep

    def watched(self, *args):
        fitted.append(self)
        return keep(self, *args)

    monkeypatch.setattr(_Models, "_keep", watched)
    again = made(name, checkpoint=tmp_path).fit(X, y)
    n_trained = len(fitted)
    np.testing.assert_allclose(again.predict_proba(test), whole.predict_proba(test), atol=1e-5)
    assert again.ledger_.row == whole.ledger_.row
    if name == "self-training":
        np.testing.assert_array_equal(again.predict_proba(test), whole.predict_proba(test))
        # Three folds in one round, and two of the next, were there.
        assert n_trained == 3 * len(whole.val_accuracy_) + whole.n_rounds_ + 1 - 5
        assert not list(tmp_path.iterdir())
        return
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


# Values of another type or range are refused in tests/test_estimators.py and tests/test_params.py.
@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (SelfTraining, {"start_epoch": 5}, r"'start_epoch' .* is for networks.*LogisticRegression"),
        (TeacherStudent, {"positive": 1.5}, "'positive' parameter of TeacherStudent"),
        (TeacherStudent, {"positive": [0.9, 0.9]}, "one number a label or one for all"),
        (TeacherStudent, {"members": []}, "at least one estimator"),
        (ConsistencyTraining, {"method": "mixmatch"}, "'method' .* must be one of fixmatch"),
        (ConsistencyTraining, {"fairness": 0.1}, "belongs to method='freematch'. Got method='soft"),
        (ConsistencyTraining, {"strong": "hard"}, "must be one of none, weak, mild, strong"),
        (ConsistencyTraining, {"flip": "maybe"}, "'flip' must be True, False or 'auto'"),
        (ConsistencyTraining, {"learning_rate": 0}, "'learning_rate' parameter of Consistency"),
    ],
)
def test_parameters_out_of_range_are_named(kind, settings, message, few):
    X, y, _, _ = few
    if kind is TeacherStudent:
        settings = {"members": SMALL, "n_members": 1} | settings
    with pytest.raises(UsageError, match=message):
        kind(**settings).fit(_as_images(X) if kind is ConsistencyTraining else X, y)
