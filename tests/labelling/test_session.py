from pathlib import Path

import pytest

from fewlabel.data import ImageSet
from fewlabel.labelling.answers import Answer
from fewlabel.labelling.cards import _class_keys
from fewlabel.labelling.session import _Session
from fewlabel.labelling.store import open_store
from tests.labelling.conftest import edit
from tests.web.stand_ins import InOrder, Told


@pytest.mark.parametrize(
    ("names", "keys", "initials"),
    [
        (list("0123456789"), list("0123456789"), [""] * 10),
        # What was there first keeps its key.
        (["bird", "2", "fox"], ["1", "2", "3"], ["b", "", "f"]),
        # For keys of commands another letter; initials that two have stand for no class.
        (["snow", "moth", "cat", "Cow", "É"], ["1", "2", "3", "4", "é"], ["o", "t", "", "", ""]),
        # A class that is added takes no letter of an older one, nor one that was given up.
        (["moth", "owl", "oak"], ["1", "2", "3"], ["o", "w", "a"]),
        (["cat", "scone", "cow"], ["1", "2", "3"], ["", "o", ""]),
        (["zoo", "gnu", "un"], ["1", "2", "3"], ["o", "", ""]),
        (["u", "a", "A"], ["1", "2", "3"], ["", "", ""]),
        ([f"class {i}" for i in range(11)], [*"1234567890", ""], [""] * 11),
    ],
)
def test_keys_of_classes(names: list[str], keys: list[str], initials: list[str]) -> None:
    assert _class_keys(names) == (keys, initials)


@pytest.fixture
def session(images: ImageSet, table: Path) -> _Session:
    store = open_store(images, table)
    return _Session(store, InOrder(len(images)), Told(["cat"] * 6), table=str(table))


def test_suggestions_follow_the_classes(session: _Session) -> None:
    # A class that the store does not know would come back by a key.
    assert session.card(0).suggestion is None
    session.answer("", [Answer(1, ("cat",))])
    assert session.card(0).suggestion.labels == ("cat",)
    session.rename_class(0, "cat", "lynx")
    assert session.card(0).suggestion.labels == ("lynx",)
    # Somebody's page still has the old name.
    assert session.answer("", [Answer(2, ("cat",))])[0].labels == ("lynx",)
    assert session.store.classes() == ["lynx"]


def test_edits_of_the_table_are_counted(
    session: _Session, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewlabel.labelling.session._POLL_S", 0.0)
    session.answer("", [Answer(1, ("cat",))])
    edit(table, "path,label\nb.png,cat\nc.png,dog\n")
    assert session.state()["n_labeled"] == 2
    assert session.card(2).labels == ("dog",)
    assert session.refitter.n_answered == 2


def test_the_pace_is_of_one_annotator(session: _Session, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("fewlabel.labelling.session.time.monotonic", lambda: now[0])
    for image in range(3):
        session.answer("ann", [Answer(image, ("cat",))])
        now[0] += 4
    assert session.state("ann")["pace"] == pytest.approx(15)
    assert session.state("ben")["pace"] is None
    now[0] += 1_000
    assert session.state("ann")["pace"] is None
