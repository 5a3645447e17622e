"""Controls in shades: soft edges, line art, normals of depth; each at one scale for the whole clip."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.clip import Clip, Film, Footage, redraw
from iclora.controls.flow import check_stabilise, steadied
from iclora.errors import RequestError

WHITE_PERCENTILE = 99.5
"""Share of all pixels of the clip, in percent, that are less than white."""
_FEWEST_LEVELS = 8.0
"""White is never less than so much, so that the grain of a flat clip stays dark."""
_HISTOGRAM_BINS = 4096
_COLOURLESS = 24
"""A depth picture's channels differ by no more than this, but for noise:"""
_MOST_COLOURED = 0.02

Progress = Callable[[int, int | None], None]
Shade = Callable[[UInt8[np.ndarray, "h w 3"]], Float32[np.ndarray, "h w"]]


def soft_edges(
    clip: Footage, *, blur: float = 2.0, stabilise: float = 0.0, progress: Progress | None = None
) -> Footage:
    """Draw edges as soft as they are: the strength of the gradient.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        blur: Standard deviation of the Gaussian blur before the gradient, in pixels, above 0 and at most 64.
        stabilise: How much the past is mixed in along the motion, 0 (not at all) .. 1.
        progress: Called with (frames done, frames in all).

    Returns:
        White where gradients are strongest over the whole clip, on black, three equal channels, with the
        clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range.
    """
    _check_blur(blur)

    def strength(frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
        soft = cv2.GaussianBlur(_grey(frame), (0, 0), blur)
        sides = [cv2.Sobel(soft, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))]
        return np.asarray(cv2.magnitude(*sides))

    return _shaded(clip, strength, stabilise, progress)


def line_art(
    clip: Footage, *, width: float = 1.5, stabilise: float = 0.0, progress: Progress | None = None
) -> Footage:
    """Draw as lines what is darker than what lies around it: pen strokes, creases, outlines.

    Args:
        clip: The filmed or drawn clip or film, RGB 0..255.
        width: Width of the strokes in pixels, above 0 and at most 64.
        stabilise: How much the past is mixed in along the motion, 0 (not at all) .. 1.
        progress: Called with (frames done, frames in all).

    Returns:
        White lines on black, three equal channels, with the clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range.
    """
    _check_blur(width)

    def ink(frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
        grey = _grey(frame)
        inside, around = (cv2.GaussianBlur(grey, (0, 0), factor * width / 2) for factor in (1, 3))
        return np.asarray(np.maximum(around - inside, 0), np.float32)

    return _shaded(clip, ink, stabilise, progress)


def normals(
    clip: Footage,
    *,
    relief: float = 1.0,
    blur: float = 1.0,
    stabilise: float = 0.0,
    progress: Progress | None = None,
) -> Footage:
    """Draw which way surfaces face, from a depth picture.

    Args:
        clip: Depth, grey, near is white, 0..255.
        relief: How deep the picture is taken to be: from black to white it is so many times its height. Above
            0, at most 100.
        blur: Standard deviation of the Gaussian blur before the gradient, in pixels, above 0 and at most 64.
        stabilise: How much the past is mixed in along the motion of the depth, 0 (not at all) .. 1.
        progress: Called with (frames done, frames in all).

    Returns:
        Normals as colours: red to the right, green upwards, blue towards the eye, each -1..1 as 0..255
        (OpenGL), with the clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range, or the picture has colours and so is no depth.
    """
    _check_blur(blur)
    check_stabilise(stabilise)
    if not 0 < relief <= 100:
        raise RequestError(f"The relief is {relief}; give more than 0 and at most 100, such as 1.")
    first = next(iter(clip.frames))
    if (np.ptp(first, axis=2) > _COLOURLESS).mean() > _MOST_COLOURED:
        raise RequestError(
            "Normals are made of a depth picture, and this clip has colours; make its depth first, such as "
            "with: iclora control depth IN -o depth.mp4"
        )
    slope = relief * clip.height / 255 / 8  # a 3x3 Sobel is 8 times the difference from pixel to pixel

    def facing(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        depth = cv2.GaussianBlur(_grey(frame), (0, 0), blur)
        right, down = (cv2.Sobel(depth, cv2.CV_32F, *order, scale=slope) for order in ((1, 0), (0, 1)))
        towards = np.dstack([-right, down, np.ones_like(right)])
        length = np.linalg.norm(towards, axis=2, keepdims=True)
        return np.asarray(np.rint((towards / length + 1) * 127.5), np.uint8)

    return redraw(
        clip,
        lambda frames: steadied(frames, lambda source: map(facing, source), stabilise),
        progress=progress,
    )


def _shaded(clip: Footage, shade: Shade, stabilise: float, progress: Progress | None) -> Footage:
    """Draw a shade of each frame, white at a level that holds for the whole clip."""
    check_stabilise(stabilise)
    white = _white_level(clip, shade)

    def drawn(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        level = np.rint(np.minimum(shade(frame) * (255 / white), 255)).astype(np.uint8)
        return np.repeat(level[..., None], 3, axis=2)

    return redraw(
        clip,
        lambda frames: steadied(frames, lambda source: map(drawn, source), stabilise),
        progress=progress,
    )


def _white_level(clip: Clip | Film, shade: Shade) -> float:
    """The shade below which nearly all pixels of the clip lie, to within one unit."""
    counts = np.zeros(_HISTOGRAM_BINS, np.int64)
    for frame in clip.frames:
        levels = shade(frame).astype(np.int64).ravel().clip(0, _HISTOGRAM_BINS - 1)
        counts += np.bincount(levels, minlength=_HISTOGRAM_BINS)
    below = np.cumsum(counts) / counts.sum() * 100
    return max(_FEWEST_LEVELS, float(np.searchsorted(below, WHITE_PERCENTILE)))


def _grey(frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.float32)


def _check_blur(blur: float) -> None:
    if not 0 < blur <= 64:
        raise RequestError(f"The width or blur is {blur} pixels; give more than 0 and at most 64, such as 2.")
