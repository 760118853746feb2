"""Pillow's resize as a graph of ONNX operators, exact for any height and width."""

# mypy: ignore-errors
# The functions are read by onnxscript and never run: `x + 0.5` adds two tensors of the file.
from __future__ import annotations

from typing import Any

import PIL
from onnxscript import DOUBLE, FLOAT, INT64, UINT8, script
from onnxscript import opset18 as op

# Not ONNX's own Resize: it rounds nothing between the two passes, cuts no box within pixels, and
# knows no reduction before them. Weights are matrices, made in the file from the shape of its input
# as Pillow makes them (Resample.c, Reduce.c, Image.resize); products with them are quick anywhere.

# From 13 on, Pillow scales first along the axis by which an image gets smaller.
_LEAST = 0 if int(PIL.__version__.partition(".")[0]) >= 13 else 2**62


@script(default_opset=op)
def _positions(length: INT64[...]) -> DOUBLE[...]:
    """Return 0, 1, … below a length."""
    return op.Cast(op.Range(0, length, 1), to=11)


@script(default_opset=op)
def _bicubic(start: DOUBLE[...], end: DOUBLE[...], length: INT64[...], size: INT64[...]) -> DOUBLE:
    """Return the weights (size, length) that bring pixels between two places to a size."""
    scale = (end - start) / op.Cast(size, to=11)
    centers = start + (_positions(size) + 0.5) * scale
    pixels = _positions(length) + 0.5
    apart = op.Unsqueeze(pixels, 0) - op.Unsqueeze(centers, 1)
    x = op.Abs(apart / op.Max(scale, op.CastLike(1.0, scale)))
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0
    weights = op.Where(x < 1.0, near, op.Where(x < 2.0, far, op.CastLike(0.0, x)))
    # Of 22 bits, as Pillow's: sums are exact then, and a half is rounded alike.
    fixed = weights / op.ReduceSum(weights, [1]) * 4194304.0
    return op.Sign(fixed) * op.Floor(op.Abs(fixed) + 0.5) / 4194304.0


@script(default_opset=op)
def _window(length: DOUBLE[...], shown: DOUBLE[...], size: DOUBLE[...]):
    """Return along one axis what is read, in pixels, and how many of them become one at first."""
    zero, one = op.CastLike(0.0, length), op.CastLike(1.0, length)
    start = op.Max((length - shown) / 2.0, zero)
    end = op.Min(start + shown, length)
    scale = (end - start) / size
    # Pillow averages a large image down to three times the size first (`reducing_gap`).
    factor = op.Max(op.Floor(scale / 3.0), one)
    margin = op.Where(factor > one, 1.5 * scale, length)
    first = op.Floor(op.Max(start - margin, zero))
    last = op.Min(op.Ceil(end + margin), length)
    return start, end, first, last, factor


@script(default_opset=op)
def _counts(first: DOUBLE[...], last: DOUBLE[...], factor: DOUBLE[...]):
    """Return how many pixels each block along one axis holds: the last one may hold fewer."""
    blocks = op.Cast(op.Ceil((last - first) / factor), to=7)
    counts = op.Min(last - first - _positions(blocks) * factor, factor)
    return op.Cast(counts, to=1), blocks


@script(default_opset=op)
def _rounded(x: DOUBLE[...]) -> DOUBLE[...]:
    """Round as an image of bytes does."""
    return op.Clip(op.Floor(x + 0.5), op.CastLike(0.0, x), op.CastLike(255.0, x))


@script(default_opset=op)
def _cover(
    images: UINT8[...], height: INT64[...], width: INT64[...], least: INT64[...]
) -> FLOAT[...]:
    """Scale images (n, H, W, C) so that they cover a size, and crop the center: (n, C, h, w)."""
    shape = op.Cast(op.Shape(images), to=11)
    high, wide = op.Gather(shape, 1), op.Gather(shape, 2)
    h, w = op.Cast(height, to=11), op.Cast(width, to=11)
    scale = op.Min(wide / w, high / h)
    top, bottom, y0, y1, fy = _window(high, h * scale, h)
    left, right, x0, x1, fx = _window(wide, w * scale, w)
    ny, rows = _counts(y0, y1, fy)
    nx, columns = _counts(x0, x1, fx)
    cut = op.Slice(
        images,
        op.Cast(op.Concat(op.Unsqueeze(y0, 0), op.Unsqueeze(x0, 0), axis=0), to=7),
        op.Cast(op.Concat(op.Unsqueeze(y1, 0), op.Unsqueeze(x1, 0), axis=0), to=7),
        [1, 2],
    )
    down, across = op.Cast(fy, to=7), op.Cast(fx, to=7)
    below = op.Unsqueeze(rows * down - op.Cast(y1 - y0, to=7), 0)
    beside = op.Unsqueeze(columns * across - op.Cast(x1 - x0, to=7), 0)
    pads = op.Concat([0, 0, 0, 0, 0], below, beside, [0], axis=0)
    blocks = op.Reshape(
        op.Pad(op.Cast(cut, to=1), pads),
        op.Concat(
            [0],
            op.Unsqueeze(rows, 0),
            op.Unsqueeze(down, 0),
            op.Unsqueeze(columns, 0),
            op.Unsqueeze(across, 0),
            [-1],
            axis=0,
        ),
    )
    sums = op.ReduceSum(blocks, [2, 4], keepdims=0)
    count = op.Unsqueeze(op.Unsqueeze(ny, 1) * op.Unsqueeze(nx, 0), 2)
    # A product with the inverse in 24 bits, cut off: a mean that ends in .5 is rounded down but for
    # counts that are powers of two.
    inverse = op.Floor(16777216.0 / count) / 16777216.0
    reduced = op.Floor((sums + op.Floor(count / 2.0)) * inverse)
    planes = op.Cast(op.Transpose(reduced, perm=[0, 3, 1, 2]), to=11)
    horizontal = op.Transpose(_bicubic((left - x0) / fx, (right - x0) / fx, columns, width))
    vertical = _bicubic((top - y0) / fy, (bottom - y0) / fy, rows, height)
    # The pass that leaves less to the other comes first, which the rounding between them shows.
    fewer_rows, fewer_columns = rows - height, columns - width
    if op.And(fewer_rows > least, fewer_rows > 2 * fewer_columns):
        scaled = op.MatMul(_rounded(op.MatMul(vertical, planes)), horizontal)
    else:
        scaled = op.MatMul(vertical, _rounded(op.MatMul(planes, horizontal)))
    return op.Cast(_rounded(scaled), to=1)


def _reading_model(height: int, width: int, channels: int) -> Any:
    """Return a model from uint8 images (n, H, W, 1 or 3) to levels (n, channels, h, w), float32."""

    @script(default_opset=op)
    def read(images: UINT8[...]) -> FLOAT[...]:
        """Read images at the size of a model."""
        shape = op.Shape(images)
        if op.And(op.Gather(shape, 1) == height, op.Gather(shape, 2) == width):
            planes = op.Transpose(op.Cast(images, to=1), perm=[0, 3, 1, 2])
        else:
            planes = _cover(images, height, width, _LEAST)
        return op.Expand(planes, [1, 3, 1, 1])

    @script(default_opset=op)
    def read_gray(images: UINT8[...]) -> FLOAT[...]:
        """Read images as gray, with Pillow's weights: exact, since all sums are below 2 ** 24."""
        weights = op.Constant(value_floats=[19595.0, 38470.0, 7471.0])
        colors = read(images) * op.Reshape(weights, [1, 3, 1, 1])
        return op.Floor((op.ReduceSum(colors, [1]) + 32768.0) / 65536.0)

    return (read_gray if channels == 1 else read).to_model_proto()
