import re
import threading
import xml.etree.ElementTree as ET

import matplotlib

from fewlabel.report.svg import ACCENT, HALO, INK, VARIABLES, _draw

from .examples import texts


def paint(figure):
    axes = figure.add_subplot()
    axes.plot([0, 1], [1, 0], "o", color=ACCENT)
    axes.scatter([0, 1], [0, 1], rasterized=True)
    axes.text(0.5, 0.5, "<b> $x$ 日本", color=INK, gid=HALO)


def drawing(name="one"):
    return _draw(paint, width=300, height=200, name=name, alt="a <line>")


def test_text_stays_text_and_every_color_has_one_of_the_page():
    colors = set(re.findall(r"(?:fill|stroke): (#\w+)", drawing()))
    assert {ACCENT, INK} <= colors <= VARIABLES.keys() | {"#1f77b4"}  # that of matplotlib's points
    root = ET.fromstring(drawing())
    assert "<b> $x$ 日本" in texts(drawing())
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


def test_threads_draw_the_same_and_settings_of_the_process_are_left_alone():
    results, before = [], dict(matplotlib.rcParams)
    threads = [threading.Thread(target=lambda: results.append(drawing())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [drawing()] * 2
    assert dict(matplotlib.rcParams) == before
