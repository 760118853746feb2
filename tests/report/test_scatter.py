import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from fewlabel.report.scatter import PALETTE, _class_color, _map_figure, _places


def clusters(n_classes, n_each=20, seed=0):
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(n_classes) / n_classes
    centers = 10 * np.c_[np.cos(angle), np.sin(angle)]
    predictions = np.repeat(np.arange(n_classes), n_each)
    return centers[predictions] + rng.normal(size=(len(predictions), 2)), predictions


def draw_map(xy, predictions, classes, labeled=None):
    labeled = np.arange(len(xy)) % 5 == 0 if labeled is None else labeled
    return _map_figure(xy, predictions, np.full(len(xy), 0.7), labeled, classes)


def placed(svg):
    """Return where each text stands."""
    places = {}
    for element in ET.fromstring(svg).iter("text"):
        where = element.get("x"), element.get("y")
        if None in where:
            where = re.findall(r"-?[\d.]+", element.get("transform"))[:2]
        places[element.text] = tuple(map(float, where))
    return places


def pictures(svg):
    data = re.findall(r'href="data:image/png;base64,([^"]*)"', svg)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(d))).convert("RGBA")) for d in data]


def test_class_names_stand_at_their_images():
    xy, predictions = clusters(4)
    places = placed(draw_map(xy, predictions, ["east", "north", "west", "south"]))
    assert places["west"][0] < places["north"][0] < places["east"][0]
    # SVG counts from the top.
    assert places["north"][1] < places["east"][1] < places["south"][1]


def test_names_of_many_classes_do_not_overlap():
    xy, predictions = clusters(43)
    places = placed(draw_map(xy, predictions, [f"class {k}" for k in range(43)]))
    assert len(places) > 35
    spots = np.array(list(places.values()))
    close = np.abs(spots[:, None] - spots[None]).reshape(-1, 2)
    same_line = close[(close[:, 1] < 9) & (close.sum(axis=1) > 0)]
    assert (same_line[:, 0] > 30).all()


def test_points_and_stars_are_drawn_in_their_colors():
    xy, predictions = clusters(2)
    every = draw_map(xy, predictions, ["a", "b"], np.zeros(40, bool))
    pixels = np.concatenate([p.reshape(-1, 4) for p in pictures(every)])
    solid = {tuple(p[:3]) for p in pixels[pixels[:, 3] > 150]}
    for color in PALETTE[:2]:
        rgb = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
        assert any(np.abs(np.subtract(rgb, other)).max() < 8 for other in solid)
    starred = np.concatenate([p.reshape(-1, 4) for p in pictures(draw_map(xy, predictions, "ab"))])
    black = (starred[:, :3] < 30).all(axis=1) & (starred[:, 3] > 200)
    assert black.sum() > 100


def test_size_does_not_grow_with_the_points_nor_the_colors_with_the_classes():
    assert _class_color(3) == _class_color(23) != _class_color(4)
    xy, predictions = clusters(10, n_each=400)
    assert len(draw_map(xy, predictions, [str(k) for k in range(10)])) < 200_000


@pytest.mark.parametrize("labeled", [True, False])
def test_one_place_and_only_labeled_or_none(labeled):
    svg = draw_map(np.zeros((5, 2)), np.zeros(5, int), ["a", "b"], np.full(5, labeled))
    assert f"{5 if labeled else 0} labeled ones as stars" in svg
    assert "a" in placed(svg)


def test_links_lie_on_their_points():
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 5.0], [10.0, 5.0]])
    left, top = _places(xy).T
    np.testing.assert_allclose(left[[0, 1]], 1 - left[[3, 2]])
    assert left[0] == left[2] < 0.1 < 0.9 < left[1]
    assert top[2] == top[3] < 0.1 < 0.9 < top[0]
