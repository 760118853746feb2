"""Drawings that stand inside a page: its colours, unique identifiers, nothing from outside."""

from __future__ import annotations

import re
import threading
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np

from fewlabel.explain.texts import _printable
from fewlabel.report.svg import ACCENT, HALO, INK, VARIABLES, _draw


def paint(figure):
    axes = figure.add_subplot()
    axes.plot([0, 1], [1, 0], "o", color=ACCENT)
    axes.scatter([0, 1], [0, 1], rasterized=True)
    axes.text(0.5, 0.5, "<b> $x$ 日本", color=INK, gid=HALO)


def drawing(name="one"):
    return _draw(paint, width=300, height=200, name=name, alt="a <line>")


def test_every_color_of_a_figure_has_one_of_the_page():
    colors = set(re.findall(r"(?:fill|stroke): (#\w+)", drawing()))
    assert {ACCENT, INK} <= colors <= VARIABLES.keys() | {"#1f77b4"}  # that of matplotlib's points


def test_text_stays_text():
    root = ET.fromstring(drawing())
    texts = [element.text for element in root.iter("text")]
    assert "<b> $x$ 日本" in texts
    assert any(element.get("class") == HALO for element in root.iter("g"))
    assert root.get("aria-label") == "a <line>"


def test_identifiers_are_the_figures_own():
    def own(svg):
        return set(re.findall(r' id="([^"]*)"', svg))

    assert own(drawing("mine"))
    assert own(drawing("mine")).isdisjoint(own(drawing("other")))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', drawing())) <= own(drawing())


def test_nothing_from_outside_and_no_date():
    svg = drawing()
    assert "http" not in svg
    assert "metadata" not in svg
    assert svg == drawing()
    assert 'href="data:image/png;base64,' in svg


def test_settings_of_the_process_are_left_alone():
    before = dict(matplotlib.rcParams)
    drawing()
    assert dict(matplotlib.rcParams) == before


def test_threads_draw_the_same():
    results = []
    threads = [threading.Thread(target=lambda: results.append(drawing())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [drawing()] * 2


def test_printable():
    assert _printable("a\x00b\udcffc\td") == "a\ufffdb\ufffdc d"
    assert _printable(3) == "3"
    long = "x" * 50 + "y" * 50
    for limit in (2, 9, 10, 99):
        assert len(_printable(long, limit=limit)) == limit
    assert _printable(long, limit=100) == long
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0, 0x11000, 2000)))
    _printable(text).encode("utf-8")
