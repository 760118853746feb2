"""Drawings that stand inside a page: its colours, unique identifiers, nothing from outside."""

from __future__ import annotations

import re
import threading
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np

from fewlabel.report.svg import ACCENT, HALO, INK, draw, printable


def paint(figure):
    axes = figure.add_subplot()
    axes.plot([0, 1], [1, 0], "o", color=ACCENT)
    axes.scatter([0, 1], [0, 1], rasterized=True)
    axes.text(0.5, 0.5, "<b> $x$ #010004 日本", color=INK, gid=HALO)


def drawing(name="one"):
    return draw(paint, width=300, height=200, name=name, alt="a <line>")


def test_colours_are_the_pages():
    svg = drawing()
    styles = " ".join(re.findall(r'style="([^"]*)"', svg))
    assert "var(--accent)" in styles
    assert "currentColor" in styles
    assert "#0100" not in styles
    assert "font-family" not in styles


def test_text_stays_text():
    root = ET.fromstring(drawing())
    texts = [element.text for element in root.iter("text")]
    assert "<b> $x$ #010004 日本" in texts
    assert any(element.get("class") == HALO for element in root.iter("g"))
    assert root.get("aria-label") == "a <line>"


def test_identifiers_are_the_figures_own():
    svg = drawing("mine")
    own = set(re.findall(r' id="([^"]*)"', svg))
    assert own
    assert all(identifier.startswith("mine-") for identifier in own)
    assert own == set(re.findall(r'(?:href="|url\()#([^")]+)', svg))


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
    assert printable("a\x00b\udcffc\td") == "a\ufffdb\ufffdc d"
    assert printable(3) == "3"
    long = "x" * 50 + "y" * 50
    for limit in (2, 9, 10, 99):
        assert len(printable(long, limit=limit)) == limit
    assert printable(long, limit=100) == long
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0, 0x11000, 2000)))
    printable(text).encode("utf-8")
