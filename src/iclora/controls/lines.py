"""Pictures of white lines on black: thinned, thickened, made smaller without fading."""

import dataclasses
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import UInt8

from iclora.clip import Clip, Film, Footage, redraw
from iclora.errors import RequestError

_BEYOND_BORDER = 16
"""Pixels by which lines are continued past the picture while thinned, so that their ends are not worn off."""
_BROAD = 13
"""A bright area in which a square of so many pixels fits is no line."""


def is_lines(clip: Clip | Film) -> bool:
    """Whether a clip or a film is white lines on black, as an edge control is.

    Args:
        clip: Any clip; its first frame is looked at.

    Returns:
        True where the picture is mostly black, hardly grey, and what is bright is colourless and thin.
    """
    frame = next(iter(clip.frames))
    mostly_black = (frame < 64).all(axis=2).mean() >= 0.5
    hardly_grey = ((frame > 63) & (frame < 192)).mean() <= 0.1
    bright = frame.max(axis=2) > 127
    broad = cv2.erode(bright.astype(np.uint8), np.ones((_BROAD, _BROAD), np.uint8))
    thin_lines = broad.sum() <= 0.1 * bright.sum()
    colourless = (np.ptp(frame, axis=2)[bright] <= 48).mean() >= 0.9 if bright.any() else True
    return bool(mostly_black and hardly_grey and thin_lines and colourless)


def resize_lines(clip: Footage, height: int, width: int, *, thickness: int = 1) -> Footage:
    """Bring a clip or a film of white lines to a smaller size with its lines as thick and as white as before.

    A plain resize from 1080 to 256 rows turns one-pixel lines into a faint grey; here a pixel is white when a
    line passes through it. The picture is scaled to cover the new size and the middle is kept.

    Args:
        clip: White lines on black, at least as large as the new size.
        height: New height in pixels.
        width: New width in pixels.
        thickness: Width of the lines afterwards, in pixels, >= 1.

    Returns:
        The clip at `height` x `width`, white (255) on black (0).

    Raises:
        RequestError: If the new size is larger than the clip.
    """
    if height > clip.height or width > clip.width:
        raise RequestError(
            f"Lines of {clip.width}x{clip.height} cannot be enlarged to {width}x{height} and stay thin; "
            "extract the control at the size it is needed in."
        )
    scale = min(clip.height / height, clip.width / width)
    crop_height, crop_width = round(height * scale), round(width * scale)
    top, left = (clip.height - crop_height) // 2, (clip.width - crop_width) // 2

    def draw(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            part = frame[top : top + crop_height, left : left + crop_width].max(axis=2) > 127
            rows, columns = (np.asarray(place) / scale for place in np.nonzero(part))
            rows, columns = (rows.astype(int).clip(0, height - 1), columns.astype(int).clip(0, width - 1))
            small = np.zeros((height, width), np.uint8)
            small[rows, columns] = 255
            yield np.repeat(thicken(thin(small), thickness)[..., None], 3, axis=2)

    return redraw(clip, draw, size=(height, width))


def redraw_lines(clip: Clip, thickness: int) -> Clip:
    """Draw lines at a thickness where they are thinner than that; thicker ones stay as they are.

    Args:
        clip: White lines on black.
        thickness: Width of the lines afterwards, in pixels, >= 1.

    Returns:
        The clip; the very same where its lines are that thick already, as those of `canny` at that thickness.
    """
    bright = (clip.frames.max(axis=3) > 127).astype(np.uint8) * np.uint8(255)
    brush = _brush(thickness)
    # What was drawn with a brush is still all there after the brush has gone over its inside.
    kept = sum(int((cv2.morphologyEx(frame, cv2.MORPH_OPEN, brush) > 0).sum()) for frame in bright)
    if 2 * kept >= int((bright > 0).sum()):
        return clip
    frames = np.stack([thicken(thin(frame), thickness) for frame in bright])
    return dataclasses.replace(clip, frames=np.repeat(frames[..., None], 3, axis=3))


def thin(lines: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Reduce lines of any thickness to their one-pixel middle.

    Args:
        lines: Lines (> 127) on black.

    Returns:
        255 on the middle of each line, 0 elsewhere.

    Source: T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning digital patterns",
        Communications of the ACM 27 (1984).
    """
    picture = np.pad((lines > 127).astype(np.uint8), _BEYOND_BORDER, mode="edge")
    while True:
        before = picture.copy()
        for odd in (False, True):
            picture[1:-1, 1:-1][_removable(picture, odd=odd)] = 0
        if np.array_equal(before, picture):
            inside = slice(_BEYOND_BORDER, -_BEYOND_BORDER)
            return np.asarray(picture[inside, inside] * np.uint8(255))


def _removable(picture: UInt8[np.ndarray, "rows columns"], *, odd: bool) -> np.ndarray:
    """Pixels that one half pass of Zhang and Suen takes away: outer pixels whose removal breaks no line."""
    up, middle, down = picture[:-2], picture[1:-1], picture[2:]
    north, south, west, east = up[:, 1:-1], down[:, 1:-1], middle[:, :-2], middle[:, 2:]
    ring = np.stack([north, up[:, 2:], east, down[:, 2:], south, down[:, :-2], west, up[:, :-2]])
    num_neighbours = ring.sum(axis=0)
    num_rises = ((ring == 0) & (np.roll(ring, -1, axis=0) == 1)).sum(axis=0)
    if odd:
        free = (north * east * west == 0) & (north * south * west == 0)
    else:
        free = (north * east * south == 0) & (east * south * west == 0)
    outer = (middle[:, 1:-1] == 1) & (num_neighbours >= 2) & (num_neighbours <= 6) & (num_rises == 1)
    return np.asarray(outer & free)


def thicken(lines: UInt8[np.ndarray, "h w"], thickness: int) -> UInt8[np.ndarray, "h w"]:
    """Draw one-pixel lines with a round brush.

    Args:
        lines: Lines (255) on black.
        thickness: Diameter of the brush in pixels, >= 1.

    Returns:
        The lines at that thickness.
    """
    return lines if thickness == 1 else np.asarray(cv2.dilate(lines, _brush(thickness)), dtype=np.uint8)


def _brush(thickness: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thickness, thickness))
