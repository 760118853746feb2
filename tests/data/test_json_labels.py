import json

import pandas as pd
import pytest

from fewlabel.data.tables import _read_table
from fewlabel.errors import LabelError


def read(path):
    columns = ("path", "label")
    _, rows = _read_table(path, required=columns, what="label table", error=LabelError)
    return [(row.place, row.cells["path"], row.cells["label"]) for row in rows]


@pytest.fixture
def write(tmp_path):
    def made(content):
        text = content if isinstance(content, str) else json.dumps(content)
        path = tmp_path / "labels.json"
        path.write_text(text, encoding="utf-8")
        return path

    return made


def coco(**changes):
    content = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in (7, "x", 9)],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": [0, 0, 1, 1]}
            for image, category in ((7, 1), ("x", 3), ("x", 1), ("x", 1))
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
    }
    return content | changes


def test_coco(write):
    assert read(write(coco())) == [
        ("image 1", "7.png", "cat"),
        ("image 2", "x.png", "dog|cat"),
        ("image 3", "9.png", ""),
    ]


def choices(*names, control="choice", **more):
    result = {"from_name": control, "to_name": "image", "type": "choices"}
    return {"result": [result | {"value": {"choices": list(names)}}], **more}


def task(image, *annotations, **data):
    return {"id": 1, "annotations": list(annotations), "data": {"image": image, **data}}


def test_label_studio(write):
    comment = {"from_name": "why", "type": "textarea", "value": {"text": ["blurred"]}}
    noted = choices("cat")
    noted["result"] += [comment, {"type": "relation", "from_id": "x", "to_id": "y"}]
    found = read(
        write(
            [
                task("/data/upload/1/0a1b2c3d-a.png", noted, note="x"),
                task("b.png", choices("cat", "dog"), choices("dog", was_cancelled=True)),
                task("c.png"),
                task("d.png", {"result": []}),
                {"completions": [choices("dog")], "data": {"image": "e.png"}},
            ]
        )
    )
    assert [row for row in found if row[2]] == [
        ("task 1", "/data/upload/1/0a1b2c3d-a.png", "cat"),
        ("task 2", "b.png", "cat|dog"),
        ("task 5", "e.png", "dog"),
    ]
    assert {row[1] for row in found if not row[2]} >= {"c.png", "d.png"}


def test_label_studio_with_names_of_the_project(write):
    tasks = [{"data": {"photo": "a.png"}, "annotations": [choices("cat", control="species")]}]
    assert ("task 1", "a.png", "cat") in read(write(tasks))
    both = [task("a.png", choices("cat", control="species"), choices("bad", control="quality"))]
    with pytest.raises(LabelError, match=r"the label under one name\. Got `quality` and `species`"):
        read(write(both))
    both[0]["annotations"].append(choices("dog", control="label"))
    assert ("task 1", "a.png", "dog") in read(write(both))
    with pytest.raises(LabelError, match=r"the path under one name\. Got `image` and `img`"):
        read(write([task("a.png", choices("cat"), img="b.png")]))
    boxes = {"from_name": "b", "type": "rectanglelabels", "value": {"rectanglelabels": ["cat"]}}
    with pytest.raises(LabelError, match="Got no choices for whole images"):
        read(write([task("a.png", {"result": [boxes]})]))


MIN = [
    {"image": "a.png", "id": 1, "species": "cat", "annotator": 1, "annotation_id": 3},
    {"image": "b.png", "id": 2, "species": {"choices": ["cat", "dog"]}, "annotation_id": 4},
    {"image": "c.png", "id": 3, "annotation_id": 5, "lead_time": 1.5},
]


def test_label_studio_exports_of_one_row_an_annotation(write, tmp_path):
    expected = [("a.png", "cat"), ("b.png", "cat|dog"), ("c.png", "")]
    with pytest.warns(UserWarning, match="took the column `image` as the path and `species` as"):
        assert [row[1:] for row in read(write(MIN))] == expected
    cells = [record | {"species": json.dumps(record.get("species", ""))} for record in MIN]
    cells[0]["species"], cells[2]["species"] = "cat", ""
    pd.DataFrame(cells).to_csv(tmp_path / "min.csv", index=False)
    with pytest.warns(UserWarning, match="`species` as the label"):
        assert [row[1:] for row in read(tmp_path / "min.csv")] == expected
    with pytest.raises(LabelError, match="`species` and `quality` may each be the label"):
        read(write([MIN[0] | {"quality": "good"}]))


ROWS = [
    {"path": "a.png", "label": "cat", "note": {"x": [1]}},
    {"label": None, "path": "b.png"},
    {"path": "c.png", "label": ["cat", "dog"]},
    {"path": "d.png", "label": 1},
]
READ = [("a.png", "cat"), ("b.png", ""), ("c.png", "cat|dog"), ("d.png", "1")]


def test_objects_in_a_list_or_in_lines(write, tmp_path):
    assert [row[1:] for row in read(write(ROWS))] == READ
    lines = "\n".join(map(json.dumps, ROWS))
    assert read(write(f"\n{lines}\n\n"))[0] == ("line 2", "a.png", "cat")
    assert [row[1:] for row in read(write(lines))] == READ
    assert read(write(json.dumps(ROWS[0]))) == [("line 1", "a.png", "cat")]
    for form in ({}, {"lines": True}):
        pd.DataFrame(ROWS).to_json(tmp_path / "rows.json", orient="records", **form)
        assert [row[1:] for row in read(tmp_path / "rows.json")] == READ


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", ", line 1: not JSON .Expecting property name"),
        ('[{"path": "a"},\n}]', ", line 2: not JSON"),
        ('{"path": "a"}\n{"path": \n', ", line 2: not JSON"),
        ("[" * 100_000, ", line 1: not JSON .*recursion"),
        ("[" + "9" * 5000 + "]", ", line 1: not JSON"),
        ("[]", " is empty"),
        ("[1]", " is neither JSON of Label Studio or COCO nor a list of objects .*TypeError"),
        ('[["a.png", "cat"]]', " is neither JSON"),
        ('{"a.png": "cat"}', ", line 1: the header has no column `path`; .*found `a.png`"),
        ([{"path": "a\0", "label": "x"}], " holds 'a.x00', which is no text"),
        ('[{"path": "a", "label": "\\ud800"}]', " holds '.ud800', which is no text"),
        (coco(annotations=None), " is neither JSON .*TypeError"),
        (coco(categories=[]), ", annotation 1: there is no category 1 "),
        (coco(images=[{"id": "7", "file_name": "a"}]), ", annotation 1: there is no image 7 "),
        (coco(images=[{"id": 7, "file_name": n} for n in "ab"]), " has two images with the same"),
        (coco(categories=[{"id": 1, "name": n} for n in "ab"]), " has two categories with the"),
        (coco(images=7), " is neither JSON .*TypeError"),
        (coco(images=[{"id": []}]), " is neither JSON .*TypeError"),
        (coco(categories=[{"id": 1, "name": "a|b"}, {"id": 3, "name": "c"}]), " 'a.b' is no label"),
        ([task("a.png", 3)], " is neither JSON .*AttributeError"),
        ([task("a.png", {"result": [{"value": None}]})], " is neither JSON .*TypeError"),
        ([{"data": 3, "annotations": []}], " is neither JSON .*TypeError"),
    ],
)
def test_wrong_json_is_named(write, content, message):
    with pytest.raises(LabelError, match=f"labels.json.*{message}"):
        read(write(content))


def test_json_is_bounded(write, monkeypatch):
    monkeypatch.setenv("FEWLABEL_MAX_BYTES", "4k")
    with pytest.raises(LabelError, match="holds more than the 4 lists and objects that are read"):
        read(write("[[],[],[],[]]"))
