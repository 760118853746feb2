"""The pages: whole, self-contained, safe, and saying the right thing first."""

from __future__ import annotations

import dataclasses
import html.parser
import math
import re

import numpy as np
import pytest
from markupsafe import Markup

from fewlabel.evaluate import audit_estimate, estimate_accuracy
from fewlabel.report import render_evaluation, render_report

from .examples import (
    candidates,
    evaluation_inputs,
    gallery,
    report_inputs,
    scored,
)

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use", "rect", "image"}


class Page(html.parser.HTMLParser):
    """Tags, attributes, identifiers and text of a page; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.ids, self.text, self.open = [], [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._note(tag, attrs)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def _note(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.text += " " if tag in ("td", "th") else ""
        loading = ("src", "href", "xlink:href", "srcset", "action", "poster", "data")
        self.addresses += [value for key, value in attrs if key in loading]
        self.ids += [value for key, value in attrs if key == "id"]
        assert not any(key.startswith("on") for key in attributes)


@pytest.fixture(scope="module")
def report_page():
    return render_report(report_inputs())


@pytest.fixture(scope="module")
def evaluation_page():
    return render_evaluation(evaluation_inputs())


@pytest.fixture(scope="module", params=["report", "many classes", "evaluation"])
def page(request, report_page, evaluation_page):
    many = render_report(report_inputs(n_classes=25)) if request.param == "many classes" else ""
    return many or {"report": report_page, "evaluation": evaluation_page}[request.param]


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the charts out, which have tests of their own, to be quick."""
    for module in ("plots", "scatter"):
        monkeypatch.setattr(f"fewlabel.report.{module}.draw", lambda *_, **__: Markup("<svg/>"))


def words(text):
    return re.sub(r"\s+", " ", Page(text).text.replace("\u202f", " "))


def test_nothing_is_loaded_and_nothing_runs(page):
    parsed = Page(page)
    assert all(address.startswith(("data:", "#")) for address in parsed.addresses)
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in parsed.tags}
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    policies = [a for t, a in parsed.tags if t == "meta" and "http-equiv" in a]
    assert [p["http-equiv"] for p in policies] == ["Content-Security-Policy"]
    assert policies[0]["content"].startswith("default-src 'none'; img-src data:;")
    assert "script-src" not in policies[0]["content"]


def test_structure_is_accessible(page):
    parsed = Page(page)
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
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_same_inputs_same_page(report_page, evaluation_page):
    assert render_report(report_inputs()) == report_page
    assert render_evaluation(evaluation_inputs()) == evaluation_page


def test_names_from_files_are_escaped():
    classes = [EVIL, "$\\frac$ & \"co\" 'x'", "日本 `b`\x00\x1b[31m\udcff\n"]
    items = gallery(name=f"{EVIL}.jpg", label=EVIL, note=EVIL)
    changes = {
        "title": EVIL,
        "source": EVIL,
        "classes": classes,
        "galleries": [items],
        "warnings": [EVIL],
        "skipped": [(EVIL + "\udc80", EVIL)],
        "settings": {EVIL: EVIL},
        "seconds": {EVIL: 1.0},
        "command": EVIL,
    }
    pages = [
        render_report(report_inputs(next_steps=[EVIL], feature_reason=EVIL, **changes)),
        render_evaluation(evaluation_inputs(names=[EVIL] * 90, **changes)),
    ]
    for text in pages:
        assert "<script" not in text
        assert text.count("&lt;script&gt;") > 10
        assert "日本" in text
        Page(text)
        # Control characters and file names that are not UTF-8 leave a page that is.
        text.encode("utf-8")
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


@pytest.mark.usefixtures("no_figures")
def test_headline_of_an_estimate():
    text = words(
        render_report(report_inputs(estimate=estimate_accuracy([True] * 45 + [False] * 5)))
    )
    assert "estimated from 50 labelled images 90.0 % 95 % interval 78.6 % – 95.7 %" in text
    assert "not a random sample" in text
    assert "Measured on 60 labelled images by cross-fitting" in text


@pytest.mark.usefixtures("no_figures")
def test_headline_of_a_test_set_names_it():
    y, proba = scored(n=80, seed=3)
    text = words(render_report(report_inputs(test_y=y, test_proba=proba)))
    share = 100 * np.mean(proba.argmax(axis=1) == y)
    assert f"measured on 80 test images {share:.1f} %" in text
    assert "From the 60 labels alone, by cross-fitting" in text
    assert "Measured on 80 test images with known labels" in text


@pytest.mark.usefixtures("no_figures")
def test_headline_of_an_audit_wins_over_the_estimate():
    audit = audit_estimate(np.r_[np.zeros(20, int), -1], np.r_[np.zeros(15, int), np.ones(6, int)])
    text = words(render_report(report_inputs(audit=audit)))
    assert "from a random audit of 20 images 75.0 %" in text
    assert "1 of 21 audited images were left blank" in text


@pytest.mark.usefixtures("no_figures")
def test_headline_without_a_value():
    nothing = dataclasses.replace(report_inputs().estimate, value=math.nan, low=0.0, high=1.0, n=0)
    text = render_report(report_inputs(estimate=nothing))
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower()
    assert "from 0 labelled images –" in words(text)


@pytest.mark.usefixtures("no_figures")
def test_weights_and_level_of_the_estimate_are_said():
    estimate = estimate_accuracy([True, False], weights=[1.0, 3.0], level=0.8)
    text = words(render_report(report_inputs(estimate=estimate)))
    assert "80 % interval" in text
    assert "each weighted by how many images it stands for" in text
    assert "every label counts once, unlike in the headline" in text


@pytest.mark.usefixtures("no_figures")
def test_baseline_that_wins_is_said_plainly():
    lost = candidates(graph=0.6, supervised=0.7, chosen="supervised")
    text = words(render_report(report_inputs(candidates=lost)))
    assert "No: the supervised baseline, on the labels alone, wins by 10.0 points." in text
    assert "The baseline was kept." in text


def test_empty_parts_are_left_out(report_page):
    bare = report_inputs(
        candidates=(), supervised_name="", map_xy=None, map_index=None, galleries=[], warnings=[],
        skipped=[], n_duplicates=0, ledger_summary=[], next_steps=[], settings={}, seconds={},
        feature_reason="", peak_rss_mb=None, command="",
    )  # fmt: skip
    text = words(render_report(bare))
    for missing in ("warning", "Map of", "Did the unlabelled", "next", "duplicates", "set aside"):
        assert missing not in text
    assert "<code>next.csv</code>" in report_page
    full = words(report_page)
    assert "1 warning" in full
    assert "Map of the images" in full
    assert "What to do next" in full
    assert "truncated JPEG" in full
    assert "1 min 1 s" in full


@pytest.mark.usefixtures("no_figures")
def test_evaluation_compares_with_what_fit_expected():
    y, proba = scored(n=90)
    value = np.mean(proba.argmax(axis=1) == y)
    good = estimate_accuracy(np.arange(100) < 100 * value)
    text = words(render_evaluation(evaluation_inputs(expected=good)))
    assert "As expected: inside the interval" in text
    bad = estimate_accuracy([True] * 3 + [False] * 97)
    text = words(render_evaluation(evaluation_inputs(expected=bad)))
    assert "Above the interval" in text


@pytest.mark.usefixtures("no_figures")
def test_evaluation_lists_the_most_confident_mistakes():
    y = np.array([0, 0, 1, 1])
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.997, 0.003], [0.4, 0.6]])
    text = words(
        render_evaluation(
            evaluation_inputs(classes=["cat", "dog"], y=y, proba=proba, names=list("abcd"))
        )
    )
    assert text.index("c dog cat > 99 %") < text.index("b cat dog 80 %")
    assert "a cat" not in text


def test_size_of_a_large_report():
    rng = np.random.default_rng(0)
    # Smooth noise packs about as badly as a busy photo.
    photos = gallery(n=40, side=144, channels=3)
    photos = dataclasses.replace(
        photos,
        items=[
            dataclasses.replace(
                item,
                image=np.kron(
                    rng.integers(0, 256, (36, 36, 3), dtype=np.uint8),
                    np.ones((4, 4, 1), np.uint8),
                ),
            )
            for item in photos.items
        ],
    )
    text = render_report(
        report_inputs(
            n_images=5000, n_classes=43, galleries=[photos] * 5,
            map_xy=rng.normal(size=(4000, 2)), map_index=np.arange(4000),
        )
    )  # fmt: skip
    assert len(text.encode()) < 4_000_000


@pytest.mark.usefixtures("no_figures")
def test_explained_predictions_have_a_section_of_their_own():
    beside = np.full((28, 28, 3), 7, np.uint8)
    explained = gallery(n=2, beside=beside, note="true: Coat, stability 0.90")
    page = render_report(report_inputs(explained=[explained], galleries=[]))
    section = page.split('<h2 id="why">')[1].split("<h2")[0]
    assert section.count('<div class="pair">') == 2
    assert section.count("<img") == 4
    assert "stability 0.90" in section
    assert '<a href="#why">Why it decided so</a>' in page
    assert 'id="why"' not in render_report(report_inputs())
