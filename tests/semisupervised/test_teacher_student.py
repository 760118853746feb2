"""Teacher and student: bagging, pseudo-labels, rounds, one student, and notes."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from fewlabel import NetworkClassifier, TeacherStudent
from fewlabel.errors import UsageError
from fewlabel.semisupervised.models import _Models
from fewlabel_experiments.combo.task import GroupedLabels
from tests.semisupervised.conftest import SMALL, made, sums_of_digits, train

# What small networks reach on 300 rows depends on the rounding of their products.
pytestmark = pytest.mark.usefixtures("float32_module")

SEVERAL = NetworkClassifier(
    options={"widths": (64,)}, n_epochs=1, min_steps=120, learning_rate=1e-2, random_state=0
)
# More rows are passed over as often in more steps.
STUDENT = clone(SEVERAL).set_params(min_steps=300)
ONE = {"max_rounds": 1, "n_members": 2}
TWO = GroupedLabels(((0, 5), (5, 10)))


def test_rounds_are_measured_on_labels_that_are_held_out(few):
    (model, _), (_, y, _, _) = train("teacher"), few
    assert len(model.val_rows_) == pytest.approx(30, abs=3)
    assert (y[model.val_rows_] >= 0).all()
    first, *rest = model.rounds_
    assert (first.round, first.n_accepted, first.extra) == (0, 0, {})
    assert [record.extra["teacher"] for record in rest] == ["ensemble", "student"]
    assert all(record.n_accepted == record.extra["n_present"] for record in rest)
    assert len(model.member_accuracy_) == 3
    assert model.ensemble_accuracy_ >= np.mean(model.member_accuracy_)


def test_members_disagree_most_where_the_one_student_that_predicts_is_wrong(few):
    (model, _), (_, _, truth, test) = train("teacher"), few
    assert isinstance(model.student_, NetworkClassifier)
    np.testing.assert_array_equal(model.student_.predict(test), model.predict(test))
    wrong = model.predict(test) != truth[1_200:]
    disagreement = model.uncertainty(test)
    assert disagreement.min() >= 0
    assert disagreement[wrong].mean() > 1.3 * disagreement[~wrong].mean()
    np.testing.assert_allclose(model.ensemble_proba(test).sum(axis=1), 1, atol=1e-5)


def test_several_architectures_take_turns(few):
    X, y, truth, test = few
    members = [SMALL, LogisticRegression(max_iter=200)]
    model = made("teacher", members, n_members=None, max_rounds=1).fit(X, y)
    assert len(model.member_accuracy_) == 2
    assert model.score(test, truth[1_200:]) > 0.8
    other = made("teacher", members, student=members[1], max_rounds=1).fit(X, y)
    assert isinstance(other.student_, LogisticRegression)


def test_several_labels_a_row():
    X, few, Y, test = sums_of_digits()
    several = made("teacher", SEVERAL, student=STUDENT, sample="bootstrap").fit(X, few)
    alone = clone(SEVERAL).fit(X, few)
    assert several.score(test, Y[1_200:]) > alone.score(test, Y[1_200:]) - 0.03
    record = several.rounds_[1]
    assert record.extra["n_present"] > record.n_accepted  # up to two a row
    assert record.extra["n_absent"] > record.extra["n_present"]
    entries = several.ledger_.columns()
    assert entries["row"].min() >= 200
    held = entries["revoked"] < 0
    assert Y[entries["row"][held], entries["label"][held]].mean() > 0.85
    assert several.thresholds_.positive.shape == several.thresholds_.negative.shape == (10,)


def test_a_mask_is_never_a_target(monkeypatch):
    drawn, fit = [], NetworkClassifier.fit_soft

    def watched(self, X, targets, mask=None, sample_weight=None, classes=None):
        drawn.append((targets, mask, sample_weight))
        return fit(self, X, targets, mask, sample_weight, classes)

    monkeypatch.setattr(NetworkClassifier, "fit_soft", watched)
    made("teacher", SEVERAL, sample="bootstrap", **ONE).fit(*sums_of_digits()[:2])
    targets, mask, weights = drawn[3]
    assert set(weights) == {1, 0.7}
    unknown = mask == 0
    assert unknown.any()
    assert set(np.unique(mask)) == {0.0, 1.0}
    # Soft labels lie on the side that is accepted.
    accepted = targets[~unknown]
    assert ((accepted > 0.59) | (accepted < 0.41)).all()


def test_all_labels_for_each_member_hard_targets_and_labels_that_count_alike(monkeypatch):
    trained, fit = {}, _Models.fit

    def watched(self, training, **settings):
        trained[training.name] = training
        return fit(self, training, **settings)

    monkeypatch.setattr(_Models, "fit", watched)
    accept = {"positive": 1e-6, "negative": 1 - 1e-6, "agreement": 1e-6, "val_fraction": 0.0}
    shared = {"bagging": False, "sample": "all", **accept, **ONE}
    spreads = []
    for balance in (False, True):
        made("teacher", SEVERAL, soft=False, balance=balance, **shared).fit(*sums_of_digits()[:2])
        assert trained["member-1"].rows.tolist() == trained["member-2"].rows.tolist()
        assert len(set(trained["member-1"].rows)) == len(trained["member-1"].rows) == 200
        student = trained["student-1"]
        assumed = student.rows >= 200
        assert set(np.unique(student.targets)) == {0, 1}
        assert student.mask.all()
        assert assumed.sum() == 1_000
        counts = (student.targets * student.weights[:, None])[assumed].sum(axis=0)
        spreads.append(counts.max() / counts.min() - 1)
        assert student.weights[assumed].mean() == pytest.approx(0.7)
    assert spreads[1] < 0.7 * spreads[0]


def test_the_structure_of_the_student_is_kept():
    X, few, Y, test = sums_of_digits()
    model = made("teacher", clone(SEVERAL).set_params(task=TWO), **ONE).fit(X, few)
    predicted = model.predict(test)
    assert (predicted[:, :5].sum(axis=1) == 1).all()
    assert model.score(test, Y[1_200:]) > 0.6


def test_all_labeled_and_nothing_held_out(few):
    X, y, _, _ = few
    labeled = y >= 0
    model = made("teacher", n_members=2).fit(X[labeled], y[labeled])
    assert "No row is unlabeled" in model.notes_[0]
    assert not model.helped_
    model = made("teacher", val_fraction=0, **ONE).fit(X, y)
    assert (model.n_rounds_, model.rounds_[0].accuracy) == (1, None)


def test_labels_that_cannot_be_learned_are_named_and_bare_rows_counted():
    X, few = (part.copy() for part in sums_of_digits()[:2])
    few[:200, 3] = 0
    few[:, 7] = -1
    few[:4] = [0] * 7 + [-1, 0, 0]
    few[:2, 7] = 0
    with pytest.warns(UserWarning, match="No image has"):
        model = made("teacher", SEVERAL, max_rounds=0, n_members=1).fit(X, few)
    assert "No image has any of the labels 3, 7 (always 0)." in model.notes_
    assert any("2 labeled rows have none of the labels" in note for note in model.notes_)
    # Columns of a structure that say other than exactly one are refused by row.
    with pytest.raises(UsageError, match="exactly one of the labels 0 to 4, but row 0 has 0"):
        TeacherStudent(clone(SEVERAL).set_params(task=TWO)).fit(X, few)


def test_tables_that_do_not_fit_are_refused():
    X, few, _, _ = sums_of_digits()
    with pytest.raises(UsageError, match="give a NetworkClassifier"):
        TeacherStudent(LogisticRegression()).fit(X, few)
    with pytest.raises(UsageError, match="at least one known label"):
        TeacherStudent(SEVERAL).fit(X, np.full_like(few, -1))
    with pytest.raises(UsageError, match="'labels' must name 10 labels"):
        TeacherStudent(clone(SEVERAL).set_params(labels=["a"])).fit(X, few)
