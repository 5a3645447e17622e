"""Controls of a line or two: grey, blur, blocks of colour, and green where something is to be put in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

import cv2
import numpy as np
from jaxtyping import UInt8

from iclora import media
from iclora.clip import Clip, Film, Footage, redraw
from iclora.errors import RequestError

GREEN = (0, 255, 0)
"""What the In-Outpainting adapter fills in. Source: its released workflows."""
MAX_BLACK = 8
"""Channels up to here are black: what is transparent, or beyond a letterboxed picture, up to video noise."""

Progress = Callable[[int, int | None], None]


def grey(clip: Footage, *, progress: Progress | None = None) -> Footage:
    """Take the colour away, as the Colorization adapter wants it.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        progress: Called with (frames done, frames in all).

    Returns:
        The luma (Rec. 601), three equal channels, with the clip's size, rate and sound.
    """
    return redraw(clip, lambda frames: map(_luma, frames), progress=progress)


def blur(clip: Footage, *, radius: float = 4.0, progress: Progress | None = None) -> Footage:
    """Blur a clip, such as a test for the Deblur adapter, or layout without detail.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        radius: Standard deviation of the Gaussian in pixels, above 0 and at most 512.
        progress: Called with (frames done, frames in all).

    Returns:
        The blurred clip with its size, rate and sound.

    Raises:
        RequestError: If the radius is out of its range.
    """
    if not 0 < radius <= 512:
        raise RequestError(
            f"The blur's radius is {radius} pixels; give more than 0 and at most 512, such as 4."
        )

    def blurred(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return np.asarray(cv2.GaussianBlur(frame, (0, 0), radius), np.uint8)

    return redraw(clip, lambda frames: map(blurred, frames), progress=progress)


def blocks(clip: Footage, *, block: int = 16, progress: Progress | None = None) -> Footage:
    """Fill squares with their mean colour: where things are and of what colour, and no more.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        block: Side of a square in pixels, >= 1; those at the edges stretch so that they fit.
        progress: Called with (frames done, frames in all).

    Returns:
        Blocks of colour with the clip's size, rate and sound.

    Raises:
        RequestError: If the side is below 1.
    """
    if not (block >= 1 and block % 1 == 0):
        raise RequestError(
            f"The side of a block is {block} pixels; give a whole number from 1 up, such as 16."
        )
    whole = (clip.width, clip.height)
    few = (max(1, round(clip.width / block)), max(1, round(clip.height / block)))

    def blocked(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        means = cv2.resize(frame, few, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(means, whole, interpolation=cv2.INTER_NEAREST), np.uint8)

    return redraw(clip, lambda frames: map(blocked, frames), progress=progress)


def green(
    clip: Footage,
    *,
    mask: Clip | Film | None = None,
    progress: Progress | None = None,
) -> Footage:
    """Paint green what the In-Outpainting adapter is to fill in.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        mask: White (above 127) where it is to be filled in, of the clip's size: a still, or a frame for each
            of the clip's. None: where the clip is black, as transparent pictures and black bars are read.
        progress: Called with (frames done, frames in all).

    Returns:
        The clip with pure green there, and its size, rate and sound.

    Raises:
        RequestError: If the mask is of another size or length.
    """
    if mask is not None and (
        (mask.height, mask.width) != (clip.height, clip.width) or mask.num_frames not in (1, clip.num_frames)
    ):
        raise RequestError(
            f"The mask has {mask.num_frames} frames of {mask.width}x{mask.height}, but the clip "
            f"{clip.num_frames} of {clip.width}x{clip.height}; give a still or a clip of the same form."
        )

    def draw(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        masks: Iterable[np.ndarray | None] = repeat(None)
        if mask is not None:
            masks = repeat(next(iter(mask.frames))) if mask.num_frames == 1 else mask.frames
        for frame, over in zip(frames, masks, strict=False):
            painted = frame.copy()
            painted[frame.max(axis=2) <= MAX_BLACK if over is None else over.max(axis=2) > 127] = GREEN
            yield painted

    return redraw(clip, draw, progress=progress)


def fit_mask(mask: Footage, source: Clip | Film, size: tuple[int, int]) -> Footage:
    """Bring a mask to the size of a picture, as the clip it is for is brought there.

    Args:
        mask: Of the shape of the clip as filmed, or of the picture; of any size.
        source: The clip as filmed.
        size: Height and width of the picture.

    Returns:
        The mask at that size, covered as `media.resize` covers.

    Raises:
        RequestError: If the mask has another shape than both: where it lies could only be guessed.
    """
    height, width = size
    shape = mask.width / mask.height
    if all(abs(shape / one - 1) > 0.02 for one in (source.width / source.height, width / height)):
        raise RequestError(
            f"The mask is {mask.width}x{mask.height}, another shape than the clip, {source.width}x"
            f"{source.height}; give one of the clip's shape, of any size."
        )
    return media.resize(mask, height, width)


def _luma(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.repeat(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)[..., None], 3, axis=2)
