"""Write characters anew, put two of them into an image, and add noise: whole batches at once."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .settings import LARGEST, SIDE, ComboLayout, ComboNoise
from .warp import affine_about, warp

_PATCH = 32
_INK = 0.25
_FAR = 4 * SIDE

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def write(pixels: NDArray[np.uint8], layout: ComboLayout, rng: np.random.Generator) -> Floats:
    """Write glyphs anew: another pen, size, angle and slant."""
    n = len(pixels)
    ink = _thicken(pixels * np.float32(1 / 255), rng.uniform(*layout.stroke, n))
    columns, rows = _extent(ink, axis=1), _extent(ink, axis=2)
    sides = np.stack([columns[1] - columns[0], rows[1] - rows[0]], axis=1) + 1.0
    middle = np.stack([columns.sum(axis=0), rows.sum(axis=0)], axis=1) / 2
    angle = np.deg2rad(rng.uniform(-layout.rotate, layout.rotate, n))
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(n, 2, 2)
    turn[:, :, 1] -= rng.uniform(-layout.slant, layout.slant, (n, 1)) * turn[:, :, 0]
    scale = rng.uniform(*layout.size, n) / sides.max(axis=1)
    widest = (np.abs(turn) @ sides[:, :, None]).max(axis=(1, 2))
    scale = np.minimum(scale, LARGEST / widest)
    back = np.linalg.inv(turn * scale[:, None, None])
    center = (_PATCH - 1) / 2
    return warp(ink, affine_about(back, middle, (center, center)), (_PATCH, _PATCH))


def place(left: Floats, right: Floats, layout: ComboLayout, rng: np.random.Generator) -> Floats:
    """Put two characters side by side, at random places, and sometimes touching."""
    n = len(left)
    columns = np.stack([_extent(left, axis=1), _extent(right, axis=1)])
    rows = np.stack([_extent(left, axis=2), _extent(right, axis=2)])
    height, width = (part[:, 1] - part[:, 0] + 1 for part in (rows, columns))
    line = rng.uniform(0, SIDE, n)
    middles = line + rng.uniform(-layout.lines, layout.lines, (2, n))
    ink_top = np.clip(np.rint(middles - height / 2), 0, SIDE - height).astype(np.int64)
    top = ink_top - rows[:, 0]
    reach = _reach(left, right, top) - columns[0, 0] + columns[1, 0]
    room = SIDE - reach - width[1]
    apart = np.rint(rng.uniform(2, np.maximum(2, np.minimum(room, 14)))).astype(np.int64)
    gap = np.where(rng.random(n) < layout.touching, rng.integers(-1, 1, n), apart)
    step = np.clip(reach + gap, width[0] // 2, SIDE - width[1])
    whole = np.maximum(width[0], step + width[1])
    start = np.rint(rng.random(n) * (SIDE - whole)).astype(np.int64)
    return _paste((left, right), top, np.stack([start, start + step]) - columns[:, 0])


def add_noise(ink: Floats, noise: ComboNoise, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn ink into gray pixels on an uneven background, with noise."""
    n, height, width = ink.shape

    def draw(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    half = noise.gradient / 2
    ramp_x = draw(-half, half) * np.linspace(-1, 1, width, dtype=np.float32)
    ramp_y = draw(-half, half) * np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    gray = ink * draw(*noise.contrast) + (ramp_x + (ramp_y + draw(*noise.background)))
    np.clip(gray, 0, 1, out=gray)
    # Two independent normal variables add up to one of the summed variance: one draw is enough.
    spread = np.sqrt(draw(*noise.gaussian) ** 2 + (gray * draw(*noise.speckle)) ** 2)
    gray += spread * rng.standard_normal(gray.shape, dtype=np.float32)
    share = draw(*noise.salt_pepper)
    hit = rng.random(gray.shape, dtype=np.float32)
    gray[hit < share / 2] = 0
    gray[hit > 1 - share / 2] = 1
    return np.rint(np.clip(gray, 0, 1) * 255).astype(np.uint8)


def _thicken(ink: Floats, by: NDArray[np.float64]) -> Floats:
    """Blend with the ink that is a pixel wider, or thinner, on each side."""
    around = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    crossed = [
        around[:, 1:-1, 1:-1],
        around[:, :-2, 1:-1],
        around[:, 2:, 1:-1],
        around[:, 1:-1, :-2],
        around[:, 1:-1, 2:],
    ]
    wide, thin = np.maximum.reduce(crossed), np.minimum.reduce(crossed)
    # Area over outline: a pen of this width. Broad ones would fill the holes of letters, and
    # fine ones break.
    outline = np.maximum((ink - thin).sum(axis=(1, 2)), 1)
    pen = 2 * ink.sum(axis=(1, 2)) / outline
    wider = np.maximum(by, 0) * np.clip((5 - pen) / 2, 0, 1)
    thinner = np.minimum(by, 0) * np.clip((pen - 1.5) / 1.5, 0, 1)
    wider, thinner = (s.astype(np.float32)[:, None, None] for s in (wider, thinner))
    return ink + wider * (wide - ink) + thinner * (ink - thin)


def _extent(ink: Floats, axis: int) -> Ints:
    """First and last column (axis 1) or row (axis 2) that holds ink, shape (2, n)."""
    inked = np.any(ink > _INK, axis=axis)
    size = inked.shape[1]
    last = size - 1 - inked[:, ::-1].argmax(axis=1)
    # Without any ink, the whole counts: argmax is 0 and last is the end.
    return np.stack([inked.argmax(axis=1), last]).astype(np.int64)


def _reach(left: Floats, right: Floats, top: Ints) -> Ints:
    """Return the steps from patch to patch at which the inks become neighbors."""
    ends = _last_column(left, top[0])
    starts = -_last_column(right[:, :, ::-1], top[1])
    starts += _PATCH - 1
    # Pixels that meet at a corner are neighbors too.
    beside = np.pad(ends, ((0, 0), (1, 1)), constant_values=-_FAR)
    ends = np.maximum.reduce([beside[:, :-2], beside[:, 1:-1], beside[:, 2:]])
    reach = (ends - starts).max(axis=1) + 1
    one_above_the_other = reach < -SIDE
    boxes = _extent(left, axis=1)[1] - _extent(right, axis=1)[0] + 1
    return np.where(one_above_the_other, boxes, reach)


def _last_column(patches: Floats, top: Ints) -> Ints:
    """Last inked column of each row of the image that patches come to, shape (n, 56)."""
    inked = patches > _INK
    last = np.where(inked.any(axis=2), _PATCH - 1 - inked[:, :, ::-1].argmax(axis=2), -_FAR)
    row = np.arange(SIDE) - top[:, None]
    placed = np.take_along_axis(last, np.clip(row, 0, _PATCH - 1), axis=1)
    return np.where((row >= 0) & (row < _PATCH), placed, -_FAR)


def _paste(patches: tuple[Floats, Floats], top: Ints, start: Ints) -> Floats:
    n = len(patches[0])
    canvas = np.zeros((n, SIDE + 2 * _PATCH, SIDE + 2 * _PATCH), dtype=np.float32)
    windows = sliding_window_view(canvas, (_PATCH, _PATCH), axis=(1, 2), writeable=True)
    every = np.arange(n)
    for patch, y, x in zip(patches, top + _PATCH, start + _PATCH, strict=True):
        windows[every, y, x] = np.maximum(windows[every, y, x], patch)
    inside = slice(_PATCH, _PATCH + SIDE)
    return canvas[:, inside, inside]
