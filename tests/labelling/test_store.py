import numpy as np
import pytest

from fewlabel.data import image_set_from_array, read_labels
from fewlabel.errors import StorageError, UsageError
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


def test_a_group_is_taken_back_as_a_whole(images, table):
    with open_store(images, table) as store:
        store.add([Answer(5, ("cat",), "Ann")])
        store.add([Answer(i, ("cat",), "Ann", origin="group") for i in (0, 1, 2)])
        store.add([Answer(1, ("dog",), "Bob")])
        store.add([Answer(i, ("dog",), "Ann", origin="group") for i in (3, 4)])
        assert store.undo("Ann").image == 3
        assert sorted(store.current()) == [0, 1, 2, 5]
        assert store.undo("Ann").image == 0
        assert store.current() == {1: ("dog",), 5: ("cat",)}
        assert store.undo("Ann").image == 5


def test_classes_are_added_renamed_and_merged_and_that_is_taken_back(images, table):
    with open_store(images, table) as store:
        store.add_class("ape")
        store.add([Answer(0, ("cat",)), Answer(1, ("dog",)), Answer(2, ("dogs",))])
        store.rename_class("dog", "hound")
        assert store.classes() == ["ape", "cat", "hound", "dogs"]
        store.rename_class("dogs", "hound")
        assert store.classes() == ["ape", "cat", "hound"]
        assert store.current() == {0: ("cat",), 1: ("hound",), 2: ("hound",)}
        assert "c.png,hound" in table.read_text()
        # Everybody sees it alike, and what was said stays as it was said.
        with open_store(images, table) as other:
            assert other.current() == store.current()
            assert other.classes() == store.classes()
            assert other.history(2)[0].labels == ("dogs",)
        store.add([Answer(3, ("dog",))])
        assert store.classes() == ["ape", "cat", "hound", "dog"]
        assert store.undo_class_change() == ("dogs", "hound")
        assert store.current()[2] == ("dogs",)
        assert store.undo_class_change() == ("dog", "hound")
        assert store.undo_class_change() == ("ape",)
        assert store.undo_class_change() is None
        assert store.classes() == ["cat", "dog", "dogs"]
        with pytest.raises(UsageError, match="no class 'owl'"):
            store.rename_class("owl", "dog")
        with pytest.raises(UsageError, match="cannot be the name"):
            store.add_class("?")


def test_merged_classes_of_several_labels(images, table):
    with open_store(images, table, several=True) as store:
        store.add([Answer(0, ("cat", "dog")), Answer(1, ("dog",))])
        store.rename_class("dog", "cat")
        assert store.current() == {0: ("cat",), 1: ("cat",)}


def test_leases(images, table):
    everything = range(len(images))
    with open_store(images, table) as store, open_store(images, table) as other:
        store.add([Answer(0, ("cat",)), Answer(1, None, "Ann")])
        # Ann has skipped one, which others may have; the first has its label.
        assert store.lease("Ann", everything, 2) == [2, 3]
        assert other.lease("Bob", everything, 3) == [1, 4, 5]
        assert store.lease("Ann", everything, 3) == [2, 3]
        other.add([Answer(4, ("cat",), "Bob"), Answer(2, ("late",), "Bob")])
        other.release("Bob")
        assert store.lease("Ann", everything, 9, seconds=-1) == [3, 5]
        assert other.lease("Bob", reversed(everything), 1) == [5]
        assert store.skipped() == {1}


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


def test_images_in_memory(table):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8), np.uint8)
    with open_store(image_set_from_array(pixels), table) as store:
        store.add([Answer(1, ("cat",)), Answer(2, ("dog",))])
    images = image_set_from_array(pixels[::-1].copy())
    with open_store(images, table) as store:
        assert store.current() == {2: ("cat",), 1: ("dog",)}
        assert read_labels(table, images).names() == ["", "dog", "cat", ""]


def test_an_answer_that_cannot_be_kept_is_refused(images, table):
    with open_store(images, table) as store:
        store.add([Answer(0, ("cat",))])
        with store._journal.database.write() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        with pytest.raises(StorageError, match=r"\(full\): nothing of this step"):
            store.add([Answer(1, ("cat",))])
        assert store.current() == {0: ("cat",)}
        assert store.version() == 1
