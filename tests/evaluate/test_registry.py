"""Candidates are found by their names, for the tasks that they can learn."""

import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import find_candidate, registry
from fewlabel.evaluate.registry import candidate_names, make_candidates, register


class Frequencies:
    name, tasks = "frequencies", (SingleLabel(),)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "REGISTRY", {})
    return register(Frequencies)


def test_a_registered_candidate_is_found_for_its_tasks(registered):
    assert candidate_names() == candidate_names(SingleLabel()) == ("frequencies",)
    assert candidate_names(MultiLabel()) == ()
    (made,) = make_candidates(SingleLabel())
    assert isinstance(made, registered)
    (made,) = make_candidates(SingleLabel(), ["frequencies", "frequencies"])
    assert find_candidate("frequencies") is type(made)


def test_a_name_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"one of frequencies\. .* Did you mean frequencies\?"):
        make_candidates(SingleLabel(), ["frequency"])
    with pytest.raises(UsageError, match=r"Got 'frequencies' instead\. It is for single-label"):
        make_candidates(MultiLabel(), ["frequencies"])
    with pytest.raises(ValueError, match="two candidates of the name"):
        register(Frequencies)
    with pytest.raises(ModelFormatError, match="'frequency' is not known: upgrade fewlabel"):
        find_candidate("frequency")
