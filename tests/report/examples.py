"""A small fit without a training, from which each test changes what it is about."""

import html.parser
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, Labels, MultiLabel, SingleLabel, image_set_from_array
from fewlabel.evaluate import CandidateScore, Choice, estimate_accuracy, fit_learning_curve
from fewlabel.features.extract import Features
from fewlabel.fit_result import FitResult
from fewlabel.fit_settings import FitSettings
from fewlabel.model import Model
from fewlabel.report.page import _render_report
from fewlabel.report.quality import _Scored

ONE, SEVERAL = SingleLabel(), MultiLabel()
TASKS = (ONE, SEVERAL)
CLASS_ROW = {
    f"{name}{end}": value
    for name in ("precision", "recall")
    for end, value in (("", 0.6), ("_low", 0.5), ("_high", 0.7))
}
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Tags, attributes, identifiers and text of a page; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.ids, self.text, self.open = [], [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.text += " " if tag in ("td", "th") else ""
        loading = ("src", "href", "xlink:href", "srcset", "action", "poster", "data")
        self.addresses += [value for key, value in attrs if key in loading]
        self.ids += [value for key, value in attrs if key == "id"]
        assert not any(key.startswith("on") for key in attributes)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def words(page):
    return re.sub(r"\s+", " ", Page(page).text.replace("\u202f", " "))


def texts(svg):
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


def images(n=200) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return image_set_from_array(pixels)


def scored(task=ONE, n=60, n_classes=3, sharpness=2.0, seed=0) -> _Scored:
    """Labels, and probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)]
    if task == SEVERAL:
        y = rng.integers(0, 2, (n, n_classes))
    present, _ = task.evidence(y, n_classes)
    logits = rng.normal(size=(n, n_classes)) + sharpness * (present - 0.5)
    return _Scored(task, y, task.activate(logits))


def candidates(graph=0.8, supervised=0.7, chosen="graph", se=0.05, n_se=2.0) -> Choice:
    best = max(graph, supervised)
    table = tuple(
        CandidateScore(name, value, 0.0 if value == best else se, 0.6, 1.1, name == chosen, "why")
        for name, value in (("graph", graph), ("supervised", supervised))
    )
    return Choice(chosen, table, n_se)


def curve(n_now=100, random=True, shares=(0.6, 0.7, 0.75, 0.8)):
    right = np.arange(n_now)[:, None] < np.array(shares) * n_now
    sizes = np.array([0.2, 0.4, 0.6, 0.8]) * n_now
    return fit_learning_curve(sizes, right, n_now=n_now, is_random_sample=random)


def fit_result(task=ONE, n_classes=3, n=200, classes=None, **changes: Any) -> FitResult:
    """Return a fit of 60 labeled images, the first ones, of ``n``."""
    tested = scored(task, n_classes=n_classes)
    rng = np.random.default_rng(0)
    y = np.concatenate([tested.y, task.empty(n - 60, n_classes)])
    proba = task.keep_given(scored(task, n, n_classes, seed=1).proba, y)
    rows = rng.normal(size=(n, 5))
    fitted = SimpleNamespace(name="graph", settings={"alpha": 0.9}, proba=proba)
    baseline = SimpleNamespace(proba=scored(task, n, n_classes, seed=2).proba)
    names = tuple(classes or (f"class {k}" for k in range(n_classes)))
    origin = np.where(rng.random(n) < 0.5, "propagated", "model").astype(object)
    origin[:60] = "label"
    features = Features(SimpleNamespace(size=(8, 8)), rows, "Pixels: the images are tiny.")
    extractor, columns = features.extractor, range(n_classes)
    fields: dict[str, Any] = {
        "labels": Labels(y, names),
        "model": Model(task, extractor, fitted, task.calibration(), names, columns),
        "features": features,
        "main": fitted,
        "baseline": baseline,
        "propagated": proba,
        "proba": proba,
        "origin": origin,
        "choice": candidates(),
        "tested": np.arange(60),
        "tested_proba": tested.proba,
        "estimate": estimate_accuracy(tested.correct),
        "supervised_accuracy": 0.7,
        "scores": {},
        "by_class": [CLASS_ROW] * n_classes,
        "audit": None,
        "settings": FitSettings(),
        "seconds": {"features": 61.0, "fit": 70.0},
        "warnings": ["Class 2 has one label; see `fewlabel select`."],
        "n_duplicates": 4,
        "n_pool": 140,
        "peak_rss_mb": 512.0,
    }
    return FitResult(**(fields | changes))


def page_of(result: FitResult, pictures: ImageSet | None = None, **settings: Any) -> str:
    command = "fewlabel fit photos --labels labels.csv --out run"
    made = {"command": command, "created": "2025-01-31T12:00"} | settings
    return _render_report(result, pictures or images(len(result.proba)), **made)
