"""One scale for a whole set of images: which pixel value becomes 0, and which 255."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np

Range: TypeAlias = tuple[float, float]

GROUNDS = (255, 0, 128)
"""Grays that transparent images are laid on: the first is kept unless another shows more."""

MAX_SAMPLE = 4096
"""Pixels of one image that the quantiles of a set are taken from, at most."""

# Cameras store 10, 12 or 14 bits in 16: dividing those by 65,535 would leave them black.
_WHITE_LEVELS = (255, 1023, 4095, 16383, 65535)
# What programs write where nothing was measured. NaN and what GDAL's tag names need no guess.
_PLACEHOLDERS = (-999.0, -9999.0, -99999.0, -32767.0, -32768.0, -(2.0**31) + 1, -(2.0**31))
_NOTHING_MEASURES = 1e20
_QUANTILES = (0.001, 0.999)
# Floats up to 255 with fractions that span fewer levels, such as degrees Celsius, would lose
# what they show if they were rounded to whole ones.
_FEW_LEVELS = 32
_HIDDEN = 16
_MANY = 5
_BLOCK = 1 << 20


class _Measured(NamedTuple):
    """What the values of one image, or of an array of them, are like."""

    kind: str
    low: float
    high: float
    # The lowest that cannot mean "not measured".
    lowest: float
    sample: np.ndarray


@dataclass(frozen=True)
class PixelScale:
    """Which pixel values become 0 and 255, the same for all images of a set.

    Images of 8 bits are kept as they are. A range is None where no image needed it.

    Parameters
    ----------
    integer : (float, float) or None
        Values of unsigned integers of 16 bits that become 0 and 255.
    large : (float, float) or None
        The same of integers with a sign or of more bits.
    floating : (float, float) or None
        The same of floats.
    ground : int
        Gray that transparent images are laid on.
    """

    integer: Range | None = None
    large: Range | None = None
    floating: Range | None = None
    ground: int = 255

    @property
    def _is_usual(self) -> bool:
        """Whether values mean the same in every set: from 0 to 1, 255, or what 16 bits hold."""
        ends = {(0.0, float(level)) for level in (1, *_WHITE_LEVELS)}
        return set(self._ranges.values()) <= {None, *ends}

    def _apply(
        self, values: np.ndarray, *, nodata: float | None = None, inverted: bool = False
    ) -> np.ndarray:
        """Bring (H, W, ...) values to uint8; what was not measured becomes 0."""
        low, high = self._range_of(_kind(values.dtype))
        out = np.empty(values.shape, np.uint8)
        for where in _row_blocks(values):
            block = values[where]
            with np.errstate(invalid="ignore", over="ignore"):
                # Doubles: a range far from zero, such as of kelvins, needs their digits.
                scaled = np.subtract(block, low, dtype=np.float64)
            scaled *= 255.0 / (high - low)
            if inverted:
                np.subtract(255.0, scaled, out=scaled)
            missing = _missing(block, nodata)
            if missing is not None:
                np.copyto(scaled, 0.0, where=missing)
            out[where] = np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled)
        return out

    def _to_dict(self) -> dict[str, Any]:
        """Return the scale in a form that JSON takes."""
        found = {kind: None if r is None else list(r) for kind, r in self._ranges.items()}
        return found | {"ground": self.ground}

    @classmethod
    def _from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the scale that `_to_dict` wrote."""
        found = [state.get(kind) for kind in ("integer", "large", "float")]
        ranges = [None if each is None else (float(each[0]), float(each[1])) for each in found]
        return cls(ranges[0], ranges[1], ranges[2], state.get("ground", 255))

    def _level(self, kind: str, value: float) -> float:
        """Return what a value of some kind of sample becomes, without rounding."""
        low, high = self._range_of(kind)
        return min(max((value - low) * 255.0 / (high - low), 0.0), 255.0)

    def _range_of(self, kind: str) -> Range:
        return self._ranges.get(kind) or (0.0, 255.0)

    @property
    def _ranges(self) -> dict[str, Range | None]:
        return {"integer": self.integer, "large": self.large, "float": self.floating}


def _kind(dtype: np.dtype) -> str:
    """Return what kind of sample a type of numbers is: each has a range of its own."""
    if dtype.kind == "f":
        return "float"
    if dtype.kind == "i" or dtype.itemsize > 2:
        return "large"
    return "byte" if dtype.itemsize == 1 else "integer"


def _row_blocks(values: np.ndarray) -> Iterator[slice]:
    """Cut an array into parts of which a copy as doubles is small."""
    rows = max(1, _BLOCK * len(values) // max(1, values.size))
    for start in range(0, len(values), rows):
        yield slice(start, start + rows)


def _missing(block: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Return where nothing was measured, or None if that is nowhere."""
    missing = None
    if block.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            missing = ~(np.abs(block) < _NOTHING_MEASURES)
    if nodata is not None:
        with np.errstate(over="ignore"):
            same = block == (block.dtype.type(nodata) if block.dtype.kind == "f" else nodata)
        if same.ndim == 3:
            # One channel of a color may have that value and mean it.
            same = np.broadcast_to(same.all(axis=2, keepdims=True), same.shape)
        missing = same if missing is None else missing | same
    return missing if missing is not None and missing.any() else None


def _measure(
    values: np.ndarray, nodata: float | None = None, n_sampled: int = MAX_SAMPLE
) -> _Measured | None:
    """Look at the values of an image; None if nothing was measured in all of it."""
    low, high, lowest = math.inf, -math.inf, math.inf
    for where in _row_blocks(values):
        block = _valid(values[where], nodata)
        if block.size:
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            if low in _PLACEHOLDERS:
                block = block[~np.isin(block, _PLACEHOLDERS)]
            if block.size:
                lowest = min(lowest, float(block.min()))
    if low > high:
        return None
    kind, sample = _kind(values.dtype), np.empty(0)
    if kind in ("large", "float"):
        if values.size > n_sampled:
            # The same pixels every time: the scale must not depend on chance.
            chosen = np.random.default_rng(0).integers(values.size, size=n_sampled)
            values = values[np.unravel_index(chosen, values.shape)]
        sample = _valid(values, nodata).ravel().astype(np.float64)
    return _Measured(kind, low, high, lowest, sample)


def _valid(values: np.ndarray, nodata: float | None) -> np.ndarray:
    missing = _missing(values, nodata)
    return values if missing is None else values[~missing]


def _find_scale(
    measured: Sequence[_Measured], *, ground: int = 255, given: PixelScale | None = None
) -> PixelScale:
    """Find the scale of a set; what another set had given stays."""
    parts = {k: [m for m in measured if m.kind == k] for k in ("integer", "large", "float")}
    given = given or PixelScale(ground=ground)
    integer, large, floating = given.integer, given.large, given.floating
    low, high, sample = _without_placeholders(parts["large"])
    fits = low >= 0 and high <= 65535
    ends = [(m.low, m.high) for m in parts["integer"]]
    ends += [(low, high)] if fits and parts["large"] else []
    if ends and integer is None:
        integer = _integer_range(min(e[0] for e in ends), max(e[1] for e in ends))
    if large is None:
        large = integer if fits else _robust(low, high, sample)
    if parts["float"] and floating is None:
        floating = _float_range(*_without_placeholders(parts["float"]))
    scale = PixelScale(integer, large, floating, given.ground)
    for kind, known in given._ranges.items():
        if known and parts[kind]:
            _warn_of_others(parts[kind], *known)
    return scale


def _warn_of_others(parts: Sequence[_Measured], low: float, high: float) -> None:
    """Warn where most images of a set lie far from the range that others had."""
    bottom, top = np.median([(m.lowest, m.high) for m in parts], axis=0)
    if bottom < 2 * low - high or top > 2 * high - low:
        warnings.warn(
            f"Pixel values such as {bottom:g} to {top:g} are read by the scale of the images that "
            f"were learned from, {low:g} to {high:g}: check that both have the same unit.",
            UserWarning,
            stacklevel=5,
        )


def _without_placeholders(parts: Sequence[_Measured]) -> tuple[float, float, np.ndarray]:
    """Return extremes and a sample of a set, without what stands for no data far below it."""
    if not parts:
        return 0.0, 0.0, np.empty(0)
    low, lowest = min(m.low for m in parts), min(m.lowest for m in parts)
    high, sample = max(m.high for m in parts), np.concatenate([m.sample for m in parts])
    if low < 0 and low / 2 < lowest < math.inf:
        low, sample = lowest, sample[sample >= lowest]
    return low, high, sample


def _robust(low: float, high: float, sample: np.ndarray) -> Range:
    """Return the extremes, but for those that lie far beyond nearly all the others."""
    if len(sample):
        bottom, top = np.quantile(sample, _QUANTILES)
        beyond = (top - bottom) / 4
        if beyond > 0:
            low, high = max(low, float(bottom - beyond)), min(high, float(top + beyond))
    return (low, high) if low < high else (low, low + max(1.0, abs(low) * 1e-9))


def _integer_range(low: float, high: float) -> Range:
    """Return the white level that holds integers, or their ends where all lie near to it."""
    level = float(_white_level_of(int(high)))
    # Counts of a thermal camera, such as 28,000 to 30,000, would be a few levels of gray.
    is_offset = level > 255 and 0 < (high - low) * 255 < _FEW_LEVELS * level
    return (low, high) if is_offset else (0.0, level)


def _float_range(low: float, high: float, sample: np.ndarray) -> Range:
    """Return what floats mean by 0 and 255: mostly their range says it."""
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        bottom, top = np.quantile(sample, _QUANTILES) if len(sample) else (0.0, 255.0)
        if not 0 < top - bottom < _FEW_LEVELS or not (sample % 1).any():
            return 0.0, 255.0
    return _robust(low, high, sample)


def _alpha_to_bytes(alpha: np.ndarray) -> np.ndarray:
    """Bring opacity to 0..255 by a scale of its own: colors may need another."""
    peak = float(np.nanmax(alpha, initial=0))
    largest = math.inf if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    top = largest if peak > largest / 2 else _white_level_of(int(peak))
    ends = (0.0, 1.0 if peak <= 1 else float(top))
    return PixelScale(ends, ends, ends)._apply(alpha)


def _white_level_of(peak: int) -> int:
    """Return the largest value of 8, 10, 12, 14 or 16 bits, the smallest that holds the peak."""
    return next((level for level in _WHITE_LEVELS if peak <= level), _WHITE_LEVELS[-1])


def _find_ground(spans: np.ndarray) -> int:
    """Choose the ground by the spans of each transparent image on each of ``GROUNDS``, (n, 3)."""
    hidden = (spans < _HIDDEN).sum(axis=0)
    many = hidden[0] > 0 and hidden[0] * _MANY >= len(spans)
    return GROUNDS[int(hidden.argmin())] if many else GROUNDS[0]
