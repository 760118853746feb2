import dataclasses
import math
import re

import numpy as np
import pytest

from fewlabel.data import Labels, Skipped
from fewlabel.evaluate import estimate_accuracy
from fewlabel.fit_settings import FitSettings
from fewlabel.report import next_steps

from .examples import (
    SEVERAL,
    TASKS,
    Page,
    curve,
    fit_result,
    images,
    page_of,
    words,
)
from .test_evaluation import evaluation_page

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def pages():
    return {
        "one label": page_of(fit_result()),
        "several labels": page_of(fit_result(SEVERAL)),
        "many classes": page_of(fit_result(n_classes=25)),
        "evaluation": evaluation_page(),
        "evaluation, several": evaluation_page(SEVERAL),
    }


KINDS = ("one label", "several labels", "many classes", "evaluation", "evaluation, several")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_loaded_nothing_runs_and_all_is_accessible(pages, kind):
    parsed = Page(pages[kind])
    assert all(address.startswith(("data:", "#")) for address in parsed.addresses)
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in parsed.tags}
    assert not re.search(r"https?://|@import|url\((?!#)", pages[kind])
    policies = [a for t, a in parsed.tags if t == "meta" and "http-equiv" in a]
    assert [p["http-equiv"] for p in policies] == ["Content-Security-Policy"]
    assert policies[0]["content"].startswith("default-src 'none'; img-src data:;")
    assert "script-src" not in policies[0]["content"]
    # What follows is for readers who do not see it, or see it in the dark.
    assert len(set(parsed.ids)) == len(parsed.ids)
    targets = [a[1:] for a in parsed.addresses if a.startswith("#")]
    assert targets
    assert set(targets) <= set(parsed.ids)
    count = [tag for tag, _ in parsed.tags].count
    assert count("h1") == 1
    assert count("table") == count("caption") > 0
    assert all(a.get("alt") for t, a in parsed.tags if t == "img")
    assert all(a.get("role") == "img" and a.get("aria-label") for t, a in parsed.tags if t == "svg")
    assert ("html", {"lang": "en"}) in parsed.tags
    assert "prefers-color-scheme: dark" in pages[kind]
    assert "@media print" in pages[kind]


def test_sections_follow_what_there_is(pages):
    assert page_of(fit_result()) == pages["one label"]
    assert evaluation_page() == pages["evaluation"]
    one, several = words(pages["one label"]), words(pages["several labels"])
    for text in ("Confusion matrix", "Map of the images", "most frequent confusions"):
        assert text in one
        assert text not in several
    for text in (
        "Exact match on the unlabeled images, estimated",
        "Class by class",
        "every known label",
    ):
        assert text in several
        assert text not in one
    for text in ("What to label next", "Graph and supervised baseline disagree", "1 min 1 s"):
        assert text in one
        assert text in several
    assert "1 warning" in one
    assert "<code>fewlabel select</code>" in pages["one label"]


@pytest.mark.parametrize("task", TASKS)
def test_names_from_files_are_escaped(task):
    classes = [EVIL, "$\\frac$ & \"co\" 'x'", "日本 `b`\x00\x1b[31m\udcff\n"]
    pictures = images()
    pictures.source, pictures.skipped = EVIL, (Skipped(EVIL + "\udc80", EVIL),)
    seconds = {EVIL: 1.0}
    result = fit_result(task, classes=classes, warnings=[EVIL], seconds=seconds)
    pages = [
        page_of(result, pictures, command=EVIL),
        evaluation_page(task, pictures=pictures, classes=classes),
    ]
    for text in pages:
        assert "<script" not in text
        assert text.count("&lt;script&gt;") > 8
        assert "日本" in text
        Page(text)
        # Control characters and file names that are not UTF-8 leave a page that is.
        text.encode("utf-8")
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


@pytest.mark.usefixtures("no_figures")
def test_headline_of_an_estimate_or_without_one():
    estimate = estimate_accuracy([True] * 45 + [False] * 5)
    text = words(page_of(fit_result(estimate=estimate)))
    assert "unlabeled images, estimated 90.0 % 95 % interval 78.6 % – 95.7 %" in text
    assert "Rests on 50 labels, none known to be drawn at random." in text
    assert "None of the labeled images is known to be drawn at random" in text
    assert "Measured on 60 labeled images" in text
    found = dataclasses.replace(estimate, is_random_sample=True, method="posterior")
    text = words(page_of(fit_result(estimate=found)))
    assert "Rests on 50 labels drawn at random and the confidence in 140 images." in text
    nothing = dataclasses.replace(estimate, value=math.nan, low=0.0, high=1.0, n=0)
    text = page_of(fit_result(estimate=nothing))
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower()
    assert "Rests on 0 labels" in words(text)
    assert "Nothing could be measured: of none of the 60 labeled images" in words(text)
    for card in ("Other measures on the same", "Did the unlabeled images help", "confusions, of"):
        assert card not in words(text)
    for title in ("Confusion matrix", "Can its confidence be trusted", "Class by class"):
        assert title not in words(text)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("task", TASKS)
def test_an_audit_takes_the_headline_and_the_charts(task):
    result = fit_result(task)
    y = result.labels.y.copy()
    y[60:80] = task.predict(result.proba[60:80])
    purpose = ("train",) * 60 + ("audit",) * 20 + ("",) * 120
    audit = estimate_accuracy([True] * 15 + [False] * 5, is_random_sample=True)
    labels = Labels(y, result.classes, purpose)
    fit = dataclasses.replace(result, labels=labels, audit=audit, audited=np.arange(60, 80))
    text = words(page_of(fit))
    assert "unlabeled images, audited 75.0 %" in text
    assert "Rests on an audit of 20 random images." in text
    assert f"{100 * result.estimate.value:.1f} %" not in text.split("images: ")[0]
    assert "Measured on 20 images of the audit" in text
    assert "check the accuracy on" not in text.lower()


@pytest.mark.usefixtures("no_figures")
def test_the_learning_curve_or_why_there_is_none():
    with_curve = page_of(fit_result(curve=curve()))
    assert "Would more labels help?" in with_curve
    assert "With 200 labels" in with_curve
    assert "Too few labels." in page_of(fit_result(no_curve="Too few labels."))
    assert "Would more labels help?" not in page_of(fit_result())


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("my table.csv", "--labels 'my table.csv' --out more.csv"),
        ("old/more.csv", "--labels old/more.csv --out old/more-2.csv"),
        ("folders", "--labels folders --out more.csv"),
    ],
)
def test_the_next_steps_name_the_table_of_labels(source, options):
    result = fit_result()
    labels = dataclasses.replace(result.labels, source=source)
    text = words(page_of(dataclasses.replace(result, labels=labels)))
    assert text.count(options) == 2


@pytest.mark.parametrize(
    ("table", "is_there"), [("b c.csv", True), ("b c.csv", False), ("folders", True)]
)
def test_the_page_for_labels_is_named_where_it_is_installed(monkeypatch, table, is_there):
    result = fit_result()
    labels = dataclasses.replace(result.labels, source=table, y=result.labels.y[:9])
    monkeypatch.setattr(next_steps, "is_installed", lambda name: is_there)
    steps = next_steps._next_steps(dataclasses.replace(result, labels=labels), "photos", "run")
    found = [s.command for s in steps if s.why == "label more in the browser"]
    expected = ["fewlabel label photos --labels 'b c.csv'"]
    assert found == (expected if is_there and table != "folders" else [])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ["fewlabel fit photos --labels labels.csv --out runs/one-finer --time 9m"]),
        ({"time_budget": 60.0}, []),
        ({"method": "graph"}, []),
    ],
)
def test_finer_features_are_offered_to_whoever_has_not_tried_them(monkeypatch, changed, expected):
    monkeypatch.setattr(next_steps, "_has_finer", lambda extractor, n: True)
    settings = dataclasses.replace(FitSettings(), **changed)
    result = dataclasses.replace(fit_result(), settings=settings)
    steps = next_steps._next_steps(result, "photos", "runs/one")
    assert [step.command for step in steps if "finer" in step.why] == expected


@pytest.mark.usefixtures("no_figures")
def test_the_verdict_comes_first_with_a_step_that_fits_it():
    wide = dataclasses.replace(fit_result(), estimate=estimate_accuracy([True] * 9 + [False]))
    sure = dataclasses.replace(wide, estimate=estimate_accuracy([True] * 95 + [False] * 5))
    for result, verdict, step in [
        (wide, "Between 60 % and 98 % of the unlabeled images are right: that is not", "select"),
        (sure, "Between 89 % and 98 % of the unlabeled images are right", "predict"),
    ]:
        first = words(page_of(result)).split("on the unlabeled images")[0]
        assert verdict in first
        assert f"fewlabel {step} " in first.split("Next, ")[1]


def test_size_of_a_large_report():
    assert len(page_of(fit_result(n_classes=43, n=4000)).encode()) < 1_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_enlarge_without_a_second_copy_and_galleries_are_filtered(pages, kind):
    page, parsed = pages[kind], Page(pages[kind])
    opened = {a["id"] for _, a in parsed.tags if "popover" in a}
    # Each is opened by a button inside it, and those of the map by a point as well.
    asked_for = [a["popovertarget"] for tag, a in parsed.tags if tag == "button"]
    assert set(asked_for) == opened
    assert len(asked_for) == len(opened) + (200 if "Map of the images" in page else 0)
    assert len(opened) > (200 if "evaluation" not in kind else 10)
    tiles = {name for name in opened if re.fullmatch(r"t\d+", name)}
    assert len(opened - tiles) == [tag for tag, _ in parsed.tags].count("img")
    assert all(text.startswith("data:") for text in re.findall(r'image-set\("([^"]*)', page))
    options = [a["value"] for tag, a in parsed.tags if tag == "option" and a["value"]]
    marked = {m for _, a in parsed.tags for m in (a.get("class") or "").split()}
    assert len(set(options)) == len(options)
    assert marked & set(options) >= {"c0", "c1", "b0"}
    for mark in options:
        assert f".filtered:has([value={mark}]:checked) .f:not(.{mark}, :popover-open) " in page


def test_paths_are_listed_and_saved_by_class(pages):
    lists = re.findall(r"<pre [^>]*>(.*?)</pre>", pages["one label"], re.DOTALL)
    rows = re.findall(r">(\d+)\n<", lists[-1])
    assert sorted(map(int, rows)) == list(range(200))
    links = re.findall(r'href="data:text/plain;charset=utf-8,([^"]*)" download', pages["one label"])
    assert len(links) == 3
    assert sorted(int(n) for link in links for n in link.split("%0A")[:-1]) == [*range(60, 200)]


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("right", "verdict"),
    [(10, "too confident for"), (45, "within the interval of"), (60, "modest")],
)
def test_the_confidence_stands_beside_the_accuracy_that_is_shown(right, verdict):
    found = estimate_accuracy(np.arange(60) < right)
    result = fit_result(estimate=found)
    mean = 100 * result.confidence[60:].mean()
    text = words(page_of(result)).split("In the 140 unlabeled images it is ")[1][:120]
    assert text.startswith(f"{mean:.1f} % sure on average")
    assert verdict in text
    assert f"the accuracy above ({100 * found.value:.1f} %)." in text


@pytest.mark.parametrize(
    ("n", "n_tested", "is_said"), [(None, 60, True), (None, 2, False), (6, 60, False)]
)
def test_fewer_explanations_are_said_to_cost_too_much_only_where_they_do(
    n, n_tested, is_said, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "why.png").touch()
    monkeypatch.setattr("fewlabel.report.page._how_many_explained", lambda *_: 6)
    monkeypatch.setattr("fewlabel.report.page._explain_fit", lambda *_, **__: [None, None])
    monkeypatch.setattr("fewlabel.report.page._explained_galleries", lambda *_: [])
    result = fit_result()
    kept = {"tested": np.arange(n_tested), "tested_proba": result.tested_proba[:n_tested]}
    page = words(page_of(dataclasses.replace(result, **kept), n_explained=n))
    assert ("--out why-2.png" in page) == is_said
