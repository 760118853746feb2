import pytest

from fewlabel.errors import UsageError
from fewlabel.labelling.store import Answer, open_store


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


def test_merged_classes_of_several_labels(images, table):
    with open_store(images, table, several=True) as store:
        store.add([Answer(0, ("cat", "dog")), Answer(1, ("dog",))])
        store.rename_class("dog", "cat")
        assert store.current() == {0: ("cat",), 1: ("cat",)}


def test_two_annotators_an_image(images, table):
    with open_store(images, table, repeats=2) as store:
        store.add([Answer(0, ("cat",), "Ann"), Answer(1, ("cat",), "Ann"), Answer(2, None, "Ann")])
        assert store.lease("Ann", range(3), 3) == []
        assert store.lease("Bob", range(3), 3) == [0, 1, 2]
        store.add([Answer(0, ("dog",), "Bob"), Answer(1, ("cat",), "Bob")])
        assert store.current() == {0: ("dog",), 1: ("cat",)}
        assert store.lease("Cat", range(3), 3) == []
        store.add([Answer(0, ("cat",), "Cat")])
        assert store.current()[0] == ("cat",)
        store.add([Answer(0, ("cat",), "Bob"), Answer(0, ("dog",), "Cat")])
        assert store.current()[0] == ("cat",)
        # Whoever reviews has the last word, in the page or in the table.
        store.add([Answer(0, ("fox",), "Ann", origin="review")])
        store.add([Answer(0, ("cat",), "Bob")])
        assert store.current()[0] == ("fox",)


def test_votes_of_several_labels_are_of_each_label(images, table):
    with open_store(images, table, several=True, repeats=3) as store:
        store.add([Answer(0, ("a", "b"), "Ann"), Answer(0, ("b", "c"), "Bob")])
        assert store.current()[0] == ("b", "c")
        store.add([Answer(0, ("a",), "Cat")])
        assert store.current()[0] == ("a", "b")
