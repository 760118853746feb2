import contextlib

from fewlabel.data import read_labels
from fewlabel.labelling.store import Answer, open_store


def test_leases(images, table):
    everything = range(len(images))
    with open_store(images, table) as store, open_store(images, table) as other:
        store.add([Answer(0, ("cat",)), Answer(1, None, "Ann")])
        # Ann has skipped one, which others may have; the first has its label.
        assert store.lease("Ann", everything, 2) == [2, 3]
        assert other.lease("Bob", everything, 3) == [1, 4, 5]
        assert store.lease("Ann", everything, 3) == [2, 3]
        other.add([Answer(4, ("cat",), "Bob"), Answer(2, ("late",), "Bob")])
        assert other.lease("Bob", everything, 9, seconds=-1) == [1, 5]
        assert store.lease("Ann", everything, 9, seconds=-1) == [3, 5]
        assert other.lease("Bob", reversed(everything), 1) == [5]
        assert store.skipped() == {1}


def test_an_image_that_is_wanted_twice_is_given_once(images, table):
    with open_store(images, table) as store:
        assert store.lease("Ann", [3, 3, 1, 3, 2], 2) == [3, 1]
        assert store.lease("Ann", [1, 1], 5) == [1]


def test_several_labels_begin_for_every_process(images, table):
    with open_store(images, table) as one, open_store(images, table, several=True) as other:
        other.add([Answer(0, ("cat", "dog"))])
        assert one.current() == {0: ("cat", "dog")}
        one.add([Answer(1, ())])
        assert read_labels(table, images).names() == ["cat|dog", "|", *[""] * 4]


def test_what_could_not_be_kept_did_not_begin_several_labels(images, table):
    with open_store(images, table) as store:
        with contextlib.suppress(ZeroDivisionError), store._journal.writing() as connection:
            store._journal.change(connection, several=True)
            raise ZeroDivisionError
        assert store.current() == {}
        assert store.task.exclusive
