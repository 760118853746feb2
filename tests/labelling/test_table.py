import pytest

from fewlabel.data import read_labels
from fewlabel.errors import LabelError, UsageError
from fewlabel.labelling.exchange import export_labels
from fewlabel.labelling.store import Answer, open_store
from tests.labelling.conftest import edit


def test_a_table_that_is_there_is_taken_in_and_keeps_what_only_a_person_knows(images, table):
    edit(table, "path;cluster_size;label;note\n./b.png;7;cat;=1+1\na.png;;;mine\nc.png;2;dog\n")
    with open_store(images, table) as store:
        assert store.current() == {1: ("cat",), 2: ("dog",)}
        assert [a.origin for a in store.history(1)] == ["table"]
        store.ask([0, 5], ["random", "train"])
        store.add([Answer(4, ("cat",))])
        assert store.purposes() == {0: "random", 5: "train"}
        # What the table said is not this annotator's to take back.
        store.undo("")
        assert store.undo("") is None
    assert table.read_text().splitlines() == [
        "path,cluster_size,label,note,purpose",
        'b.png,7,cat,=1+1,""',
        'a.png,"","",mine,random',
        'c.png,2,dog,"",""',
        'f.png,"","","",train',
    ]


def test_rows_of_select_are_taken_with_their_purpose(images, table):
    edit(table, "path,label,purpose,cluster_size\nb.png,,train,3\nd.png,cat,random,0\n")
    with open_store(images, table) as store:
        assert store.purposes() == {1: "train", 3: "random"}
        assert store.current() == {3: ("cat",)}
        assert store.labels().purpose == ("", "train", "", "random", "", "")


def test_groups_of_the_table_are_those_of_the_labels(images, table, tmp_path):
    edit(table, "path,label,group\na.png,cat,Ann\nb.png,,Ann\nc.png,dog,Bob\n")
    with open_store(images, table) as store:
        store.add([Answer(1, ("cat",)), Answer(4, ("dog",))])
        export_labels(store, tmp_path / "out.csv")
        assert read_labels(tmp_path / "out.csv", images).groups == store.labels().groups
        assert store.labels().groups == read_labels(table, images).groups
        assert store.labels().groups == ("Ann", "Ann", "Bob", "", "", "")


def test_edits_by_hand_are_taken_and_answers_since_are_not_lost(images, table):
    with open_store(images, table) as store, open_store(images, table) as other:
        store.add([Answer(0, ("cat",)), Answer(1, ("cat",)), Answer(2, ("cat",)), Answer(3, None)])
        text = table.read_text()
        edit(table, text.replace("b.png,cat", "b.png,dog").replace("c.png,cat", 'c.png,""'))
        # The other one has not seen the table yet, nor has the person seen this answer.
        other.add([Answer(0, ("fox",)), Answer(4, ("dog",))])
        expected = {0: ("fox",), 1: ("dog",), 4: ("dog",)}
        assert store.current() == other.current() == expected
        assert read_labels(table, images).names() == ["fox", "dog", "", "", "dog", ""]
        assert store.take_table() == 0
        assert [a.origin for a in store.history(1)] == ["typed", "table"]
        # A row that is gone is written again: perhaps a program has lost it.
        edit(table, "path,label\na.png,owl\n")
        assert store.take_table() == 1
        assert read_labels(table, images).names() == ["owl", "dog", "", "", "dog", ""]
        table.unlink()
        assert other.take_table() == 0
        assert read_labels(table, images).names() == ["owl", "dog", "", "", "dog", ""]
        assert store.current() == {**expected, 0: ("owl",)}


def test_edits_while_nobody_was_there_are_taken_on_opening(images, table):
    with open_store(images, table) as store:
        store.add([Answer(0, ("cat",)), Answer(1, ("cat",))])
    edit(table, table.read_text().replace("b.png,cat", "b.png,dog"))
    with open_store(images, table) as store:
        assert store.current() == {0: ("cat",), 1: ("dog",)}
        assert len(store.history(0)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,cat\nz.png,dog\n", "line 3: z.png is not among the 6 images"),
        ('path,label\na.png,"cat\n', "a quote does not end"),
        ("path\na.png\n", "no column `label`"),
        ("path,label\na.png,cat\na.png,dog\n", "labeled 'dog', but 'cat'"),
        ("path,label\na.png,cat|dog\n", "take the bars out"),
        ("path,label,purpose\na.png,cat,fun\n", "purpose must be one of"),
    ],
)
def test_a_wrong_table_is_reported_and_neither_it_nor_answers_are_lost(
    text, message, images, table
):
    with open_store(images, table) as store:
        store.add([Answer(1, ("dog",))])
        edit(table, text)
        store.add([Answer(2, ("fox",))])
        assert message in store.table_error
        assert table.read_text() == text
        assert store.take_table() == 0
        assert store.current() == {1: ("dog",), 2: ("fox",)}
        edit(table, "path,label\na.png,cat\n")
        assert store.take_table() == 1
        assert store.table_error is None
        assert read_labels(table, images).names() == ["cat", "dog", "fox", "", "", ""]
    edit(table, text)
    with pytest.raises(LabelError, match=r"labels\.csv"):
        open_store(images, table)
    assert table.read_text() == text


def test_an_edit_is_not_lost_with_a_change_that_is_refused(images, table):
    with open_store(images, table) as store:
        store.add([Answer(1, ("dog",))])
        edit(table, "path,label\na.png,cat\nb.png,dog\n")
        with pytest.raises(UsageError, match="no class"):
            store.rename_class("owl", "fox")
        assert store.take_table() == 1
        assert store.current() == {0: ("cat",), 1: ("dog",)}


def test_a_table_that_is_being_written_is_left_until_it_is_whole(images, table):
    with open_store(images, table) as store:
        store.add([Answer(1, ("dog",))])
        table.write_text("path,label\na.png,ca")
        store.add([Answer(2, ("fox",))])
        assert table.read_text() == "path,label\na.png,ca"
        edit(table, "path,label\na.png,cat\n")
        assert store.take_table() == 1
        assert store.current() == {0: ("cat",), 1: ("dog",), 2: ("fox",)}


def test_an_edit_just_behind_a_write_is_taken(images, table, monkeypatch):
    with open_store(images, table) as store:
        write = store._sync.table.write

        def and_edit(*content, **options):
            found = write(*content, **options)
            edit(table, table.read_text().replace("dog", "fox"))
            return found

        monkeypatch.setattr(store._sync.table, "write", and_edit)
        store.add([Answer(1, ("dog",))])
        monkeypatch.undo()
        assert store.take_table() == 1
        assert store.current() == {1: ("fox",)}


def test_a_table_that_cannot_be_written_is_reported(images, table):
    with open_store(images, table) as store:
        table.mkdir()
        store.add([Answer(1, ("dog",))])
        assert str(table) in store.table_error
        table.rmdir()
        store.take_table()
        assert store.table_error is None
        assert read_labels(table, images, min_classes=0).names()[1] == "dog"


@pytest.mark.parametrize("several", [True, False])
def test_several_labels(several, images, table):
    edit(table, "path,label\na.png,cat|dog\nb.png,cat\nc.png,|\nd.png,cat|?dog\n")
    with open_store(images, table, several=several) as store:
        assert not store.task.exclusive
        expected = {0: ("cat", "dog"), 1: ("cat",), 2: (), 3: ("cat", "?dog")}
        assert store.current() == expected
        store.add([Answer(4, ("dog", "cat", "dog")), Answer(5, ())])
        assert store.classes() == ["cat", "dog"]
        assert store.current() == {**expected, 4: ("cat", "dog"), 5: ()}
        read = read_labels(table, images)
        assert read.names() == ["cat|dog", "cat", "|", "cat|?dog", "cat|dog", "|"]
        assert (store.labels().y == read.y).all()
    with open_store(images, table) as store:
        assert not store.task.exclusive
        assert store.current()[5] == ()


def test_a_table_of_another_format_is_refused(images, tmp_path):
    with pytest.raises(UsageError, match=r"labels\.csv instead"):
        open_store(images, tmp_path / "labels.xlsx")
