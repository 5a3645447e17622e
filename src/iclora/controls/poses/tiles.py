"""Where small people are looked for: overlapping squares of the picture, a few of them in each frame.

A network that sees the whole picture in 224 pixels misses whoever is smaller than a quarter of it. Squares of
two sizes are shown to it as well. All of them take many times as long as one picture, so the first frame is
gone through wholly, and each later one looks at the few squares that have changed most since they were looked
at last: where nothing changed nobody came, and whoever was found once is followed without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

SIDES = (0.25, 0.45)
"""Sides of the squares as shares of the shorter side of the picture."""
MIN_SIDE_PX = 128
"""Squares of fewer pixels are left out: people in them are smaller than can be read."""
PER_FRAME = 2
"""Most squares looked at in a frame after the first."""
MIN_CHANGE = 1.0
"""Mean change in grey levels, of a square made small, below which it is taken for the same."""
_SHRINK = 8


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A square of a picture.

    Attributes:
        left: Pixels from the left of the picture.
        top: Pixels from the top.
        side: Its side in pixels.
    """

    left: int
    top: int
    side: int

    def of(self, picture: np.ndarray, shrunk: int = 1) -> np.ndarray:
        """The part of a picture, or of one that is so many times smaller, that it shows; a view."""
        top, left, side = self.top // shrunk, self.left // shrunk, self.side // shrunk
        return picture[top : top + side, left : left + side]


def tiles(height: int, width: int) -> list[Tile]:
    """Cover a picture with squares that overlap by half or more.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        The smaller squares first, row by row; none of a picture that is too small for them.
    """
    sides = [round(share * min(height, width)) for share in SIDES]
    return [
        Tile(left=left, top=top, side=side)
        for side in sides
        if side >= MIN_SIDE_PX
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


class Watch:
    """Says frame by frame which squares are worth a look."""

    def __init__(self) -> None:
        self._tiles: list[Tile] = []
        self._looked: dict[Tile, tuple[int, np.ndarray]] = {}
        self._index = -1

    def due(self, frame: UInt8[np.ndarray, "h w 3"], wanted: Callable[[Tile], bool]) -> list[Tile]:
        """Choose the squares to look at in the next frame.

        Args:
            frame: RGB 0..255, of the same size as those before.
            wanted: Whether a square may be chosen.

        Returns:
            All wanted squares of the first frame; later at most `PER_FRAME` of those that changed by
            `MIN_CHANGE`, the greatest change times frames of waiting first.
        """
        self._index += 1
        height, width = frame.shape[:2]
        if self._index == 0:
            self._tiles = tiles(height, width)
        if not self._tiles:
            return []
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        size = (max(1, width // _SHRINK), max(1, height // _SHRINK))
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.int16)
        urgency = {tile: self._urgency(tile, small) for tile in self._tiles if wanted(tile)}
        chosen = sorted((tile for tile in urgency if urgency[tile] > 0), key=lambda tile: -urgency[tile])
        if self._index > 0:
            chosen = chosen[:PER_FRAME]
        for tile in chosen:
            self._looked[tile] = self._index, tile.of(small, _SHRINK)
        return chosen

    def _urgency(self, tile: Tile, small: np.ndarray) -> float:
        before = self._looked.get(tile)
        if before is None:
            return float("inf")
        change = float(np.abs(tile.of(small, _SHRINK) - before[1]).mean())
        return change * (self._index - before[0]) if change >= MIN_CHANGE else 0.0


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread starts of squares along a side of the picture, at most half a square apart."""
    num_steps = -(-2 * (length - side) // side)
    return [round(step * (length - side) / max(1, num_steps)) for step in range(num_steps + 1)]
