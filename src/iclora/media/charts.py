"""Curves as a picture, with Pillow alone: mean and spread over a dial, or a score frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from iclora.errors import RequestError

WIDTH, HEIGHT = 720, 420
_SCALE = 2
"""Drawn so many times larger and made smaller, so that lines are smooth."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 24.0, 46.0, 52.0
_PAPER, _INK, _SOFT, _GRID = (255, 255, 255), (29, 29, 31), (107, 107, 112), (227, 225, 220)
_COLOURS = (
    *((47, 125, 91), (178, 72, 48), (52, 101, 164), (140, 96, 165), (120, 110, 40), (90, 90, 96)),
    *((214, 146, 20), (0, 148, 168), (204, 64, 130), (96, 56, 28), (52, 40, 120), (134, 176, 60)),
)
_NUM_STEPS = 5
_LINE, _GAP = 16.0, 18.0
"""Of the legend: from one line to the next, and between two names."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One curve.

    Args:
        name: What it is, for the legend.
        x: Where its points lie, ascending or not.
        y: How high; None: there is no point.
        spread: How far the points scatter to either side, drawn as a band; None: not at all.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    spread: tuple[float, ...] | None = None


def line_chart(
    curves: Sequence[Curve], *, title: str, x_title: str, ticks: Sequence[tuple[float, str]] | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw curves over one axis.

    Args:
        curves: At least one, with at least one point.
        title: Stands above.
        x_title: Stands below the axis.
        ticks: Places on the axis and what to write there, as far as there is room; None: round numbers.

    Returns:
        RGB 0..255, 720 wide, and 420 high where the names of the curves fit into one line; each further line
        makes it 16 higher. The axis upwards goes from 0 to 1 where all points lie there.

    Raises:
        RequestError: If there is no point.
    """
    points = [(x, y) for curve in curves for x, y in zip(curve.x, curve.y, strict=True) if y is not None]
    if not points:
        raise RequestError("There is no point to draw a curve through; give at least one.")
    names, more = _legend([curve.name for curve in curves])
    frame = _Frame(across=_span([x for x, _ in points]), up=_upwards(curves), top=_TOP + more)
    size = WIDTH, HEIGHT + round(more)
    picture = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), _PAPER)
    draw = ImageDraw.Draw(picture, "RGBA")
    _draw_axes(draw, frame, ticks if ticks is not None else [(x, f"{x:g}") for x in _steps(*frame.across)])
    for number, curve in enumerate(curves):
        _draw_curve(draw, frame, curve, _COLOURS[number % len(_COLOURS)])
    _write(draw, (_LEFT, 8.0), title, _INK)
    _write(draw, ((_LEFT + WIDTH - _RIGHT) / 2, frame.bottom + 32), x_title, _SOFT, anchor="ma")
    for number, (place, name) in enumerate(names):
        _write(draw, place, name, _COLOURS[number % len(_COLOURS)])
    return np.asarray(picture.resize(size, Image.Resampling.BOX), np.uint8)


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What part of both axes is drawn."""

    across: tuple[float, float]
    up: tuple[float, float]
    top: float

    @property
    def bottom(self) -> float:
        """Row of the axis across."""
        return self.top + HEIGHT - _TOP - _BOTTOM

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies on the large picture."""
        (left, right), (low, high) = self.across, self.up
        column = _LEFT + (x - left) / (right - left) * (WIDTH - _LEFT - _RIGHT)
        row = self.bottom - (y - low) / (high - low) * (self.bottom - self.top)
        return column * _SCALE, row * _SCALE


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _upwards(curves: Sequence[Curve]) -> tuple[float, float]:
    reached = []
    for curve in curves:
        around = curve.spread or (0.0,) * len(curve.y)
        for y, wide in zip(curve.y, around, strict=True):
            reached += [] if y is None else [y - wide, y + wide]
    middles = [y for curve in curves for y in curve.y if y is not None]
    if 0 <= min(middles) and max(middles) <= 1:
        return 0.0, 1.0
    low, high = _span(reached)
    steps = _steps(low, high)
    step = steps[1] - steps[0] if len(steps) > 1 else high - low
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step)


def _steps(low: float, high: float) -> list[float]:
    """Round numbers from one end of an axis to the other."""
    rough = (high - low) / _NUM_STEPS
    unit = 10.0 ** np.floor(np.log10(rough))
    step = unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    count = int(np.floor((high - np.ceil(low / step) * step) / step + 1e-9)) + 1
    return [float(round((np.ceil(low / step) + number) * step, 10)) for number in range(max(1, count))]


def _draw_axes(draw: ImageDraw.ImageDraw, frame: _Frame, ticks: Sequence[tuple[float, str]]) -> None:
    for y in _steps(*frame.up):
        start, end = frame.place(frame.across[0], y), frame.place(frame.across[1], y)
        draw.line([start, end], fill=_GRID, width=_SCALE)
        _write(draw, (_LEFT - 8, start[1] / _SCALE), f"{y:g}", _SOFT, anchor="rm")
    taken = -np.inf
    for x, text in sorted(ticks):
        column, row = frame.place(x, frame.up[0])
        draw.line([(column, row), (column, row + 4 * _SCALE)], fill=_SOFT, width=_SCALE)
        half = _width(text) / 2
        if column / _SCALE - half > taken:
            _write(draw, (column / _SCALE, frame.bottom + 7), text, _SOFT, anchor="ma")
            taken = column / _SCALE + half + 6


def _draw_curve(draw: ImageDraw.ImageDraw, frame: _Frame, curve: Curve, colour: tuple[int, int, int]) -> None:
    around = curve.spread or (0.0,) * len(curve.y)
    rows = sorted((x, y, wide) for x, y, wide in zip(curve.x, curve.y, around, strict=True) if y is not None)
    if curve.spread is not None and len(rows) > 1:
        upper = [frame.place(x, min(frame.up[1], y + wide)) for x, y, wide in rows]
        lower = [frame.place(x, max(frame.up[0], y - wide)) for x, y, wide in rows]
        draw.polygon([*upper, *lower[::-1]], fill=(*colour, 48))
    places = [frame.place(x, y) for x, y, _ in rows]
    draw.line(places, fill=colour, width=2 * _SCALE, joint="curve")
    if len(places) <= 40:
        for column, row in places:
            reach = 3 * _SCALE
            draw.ellipse([column - reach, row - reach, column + reach, row + reach], fill=colour)


def _legend(names: Sequence[str]) -> tuple[list[tuple[tuple[float, float], str]], float]:
    """Where each name stands, cut to what a line holds, and the rows that lines beyond the first one take."""
    placed = []
    x, y, end = _LEFT, 26.0, WIDTH - _RIGHT
    for name in names:
        text = name
        while text and _width(text) > end - _LEFT:
            text = f"{text.removesuffix('...')[:-1]}..."
        if x > _LEFT and x + _width(text) > end:
            x, y = _LEFT, y + _LINE
        placed.append(((x, y), text))
        x += _GAP + _width(text)
    return placed, y - 26.0


def _width(text: str) -> float:
    return float(_font().getlength(text)) / _SCALE


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=12 * _SCALE)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    *,
    anchor: str = "la",
) -> None:
    draw.text((place[0] * _SCALE, place[1] * _SCALE), text, font=_font(), fill=colour, anchor=anchor)
