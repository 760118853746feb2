import pytest

from fewlabel.data import read_labels
from fewlabel.errors import UsageError
from fewlabel.labelling.store import Answer, open_store


def test_answers_stand_in_the_store_and_in_the_table(images, table):
    with open_store(images, table) as store:
        (kept,) = store.add([Answer(2, ("cat",), "Ann", 1.5, "confirmed", ("cat",), 0.75, 3)])
        store.add([Answer(0, ("dog",)), Answer(1, None)])
        assert (kept.id, kept.image, kept.seconds, kept.suggested) == (1, 2, 1.5, ("cat",))
        assert kept.at.utcoffset().total_seconds() == 0
        assert store.current() == {2: ("cat",), 0: ("dog",)}
        assert store.skipped() == {1}
    assert read_labels(table, images).names() == ["dog", "", "cat", "", "", ""]
    with open_store(images, table) as store:
        assert store.history(2) == [kept]
        assert store.current() == {2: ("cat",), 0: ("dog",)}
        assert store.labels().names() == read_labels(table, images).names()


def test_undo_brings_back_what_stood_before(images, table):
    with open_store(images, table) as store:
        store.add([Answer(0, ("cat",), "Ann"), Answer(0, ("dog",), "Bob")])
        store.add([Answer(0, ("cat",), "Bob")])
        version = store.version()
        assert store.undo("Bob").labels == ("cat",)
        assert store.current() == {0: ("dog",)}
        assert store.version() > version
        assert store.undo("Bob").labels == ("dog",)
        assert store.undo("Bob") is None
        assert store.current() == {0: ("cat",)}
        assert [a.revoked for a in store.history(0)] == [False, True, True]
        assert store.undo("Ann").labels == ("cat",)
        assert "cat" not in table.read_text()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(6, ("cat",)),
        Answer(-1, ("cat",)),
        Answer(0, ("cat", "dog")),
        Answer(0, ()),
        Answer(0, ("a|b",)),
        Answer(0, (" ",)),
        Answer(0, ("nan",)),
        Answer(0, ("[1]",)),
        Answer(0, ("cat",), "A\x00nn"),
        Answer(0, ("cat",), seconds=float("nan")),
        Answer(0, ("cat",), origin="guessed"),
    ],
)
def test_what_is_no_answer_is_refused_whole(answer, images, table):
    with open_store(images, table) as store:
        with pytest.raises(UsageError):
            store.add([Answer(1, ("cat",)), answer])
        assert store.current() == {}
        assert store.version() == 0
