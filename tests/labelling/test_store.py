import pytest

from fewlabel.data import read_labels
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


def test_classes_are_added_renamed_and_merged(images, table):
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
        with pytest.raises(UsageError, match="no class 'owl'"):
            store.rename_class("owl", "dog")
        with pytest.raises(UsageError, match="cannot be the name"):
            store.add_class("?")


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
