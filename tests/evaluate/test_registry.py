"""The contract of candidates, and the registry that finds them by name."""

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel, image_set_from_array
from fewlabel.errors import UsageError
from fewlabel.evaluate import registry
from fewlabel.evaluate.candidate import Candidate, Fitted, Problem
from fewlabel.evaluate.registry import candidate_names, make_candidates, register


class Constant(Fitted):
    def predict_proba(self, rows):
        return np.tile(self.proba[0], (len(rows), 1))

    def to_state(self):
        return {"proba": self.proba[:1]}, {"name": self.name}


class Frequencies(Candidate):
    name, summary = "frequencies", "How often each class is among the labels"
    tasks = (SingleLabel(),)

    def fit(self, problem):
        shares = problem.once("shares", lambda: np.bincount(problem.y[problem.y >= 0]))
        proba = np.tile(shares / shares.sum(), (len(problem.y), 1))
        rows = problem.task.labeled(problem.y)
        return Constant(
            name=self.name,
            proba=proba,
            tested=rows,
            oof_proba=proba[rows],
            extractor=problem.extractor,
        )

    @classmethod
    def from_state(cls, arrays, meta):
        none = np.empty(0, int)
        proba = arrays["proba"]
        return Constant(name=cls.name, proba=proba, tested=none, oof_proba=none, extractor=None)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "REGISTRY", {})
    return register(Frequencies)


def _problem():
    images = image_set_from_array(np.zeros((4, 2, 2), np.uint8))
    y = np.array([0, 1, 1, -1])
    return Problem(SingleLabel(), images, None, np.zeros((4, 2), np.float32), y, n_classes=2)


def test_a_registered_candidate_is_found_for_its_tasks(registered):
    assert candidate_names() == candidate_names(SingleLabel()) == ("frequencies",)
    assert candidate_names(MultiLabel()) == ()
    (made,) = make_candidates(SingleLabel())
    assert isinstance(made, registered)
    assert make_candidates(SingleLabel(), ["frequencies", "frequencies"])[0].name == "frequencies"


def test_a_fitted_candidate_predicts_and_is_made_of_its_state_again(registered):
    problem = _problem()
    assert problem.time_left() == np.inf
    fitted = registered().fit(problem)
    again = registered.from_state(*fitted.to_state())
    np.testing.assert_array_equal(again.predict_proba(problem.rows), fitted.proba)


def test_what_candidates_share_is_computed_once(registered):
    problem, calls = _problem(), []
    for _ in range(2):
        assert problem.once("graph", lambda: calls.append(1) or "solved") == "solved"
    assert calls == [1]


def test_a_name_that_does_not_exist_is_refused_with_the_nearest(registered):
    with pytest.raises(UsageError, match=r"one of frequencies\. .* Did you mean frequencies\?"):
        make_candidates(SingleLabel(), ["frequency"])
    with pytest.raises(UsageError, match="Got 'frequencies' instead"):
        make_candidates(MultiLabel(), ["frequencies"])
    with pytest.raises(ValueError, match="two candidates of the name"):
        register(Frequencies)
