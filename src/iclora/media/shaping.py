"""Sizes: scale, crop and pad the frames of a clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from iclora.clip import Clip
from iclora.errors import RequestError

Fit = Literal["cover", "contain", "stretch"]


def resize(clip: Clip, height: int, width: int, *, fit: Fit = "cover") -> Clip:
    """Give every frame another size.

    Args:
        clip: The source.
        height: Height of the result in pixels, at least 1.
        width: Width of the result in pixels, at least 1.
        fit: `cover` crops the middle of the frame to the new aspect ratio, `contain` keeps the whole
            frame on black, `stretch` changes the aspect ratio.

    Returns:
        A clip of the asked size. Axes that shrink are averaged over areas, axes that grow are
        interpolated (Lanczos).

    Raises:
        RequestError: A size is below 1 or the fit is unknown.
    """
    if height < 1 or width < 1:
        raise RequestError(f"Cannot resize to {width}x{height} pixels; both must be at least 1.")
    if fit == "stretch":
        frames = _scale(clip.frames, height, width)
    elif fit == "cover":
        frames = _scale(_crop_to_aspect(clip.frames, height, width), height, width)
    elif fit == "contain":
        frames = _contain(clip.frames, height, width)
    else:
        raise RequestError(f"Unknown fit {fit!r}; choose cover, contain or stretch.")
    return replace(clip, frames=frames)


def scale_picture(picture: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "y x 3"]:
    """Scale one picture, whatever its aspect ratio.

    Args:
        picture: RGB, uint8 0..255, `h w 3`.
        height: New height in pixels.
        width: New width in pixels.

    Returns:
        RGB, uint8 0..255, `height width 3`.
    """
    old_height, old_width = picture.shape[:2]
    smaller = (min(width, old_width), min(height, old_height))
    if smaller != (old_width, old_height):
        picture = cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    if smaller != (width, height):
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LANCZOS4).astype(
            np.uint8, copy=False
        )
    return picture


def _scale(frames: UInt8[np.ndarray, "f h w 3"], height: int, width: int) -> UInt8[np.ndarray, "f y x 3"]:
    if frames.shape[1:3] == (height, width):
        return frames
    return np.stack([scale_picture(np.ascontiguousarray(frame), height, width) for frame in frames])


def _crop_to_aspect(
    frames: UInt8[np.ndarray, "f h w 3"], height: int, width: int
) -> UInt8[np.ndarray, "f y x 3"]:
    old_height, old_width = frames.shape[1:3]
    crop_height = max(1, min(old_height, round(old_width * height / width)))
    crop_width = max(1, min(old_width, round(old_height * width / height)))
    top, left = (old_height - crop_height) // 2, (old_width - crop_width) // 2
    return frames[:, top : top + crop_height, left : left + crop_width]


def _contain(frames: UInt8[np.ndarray, "f h w 3"], height: int, width: int) -> UInt8[np.ndarray, "f y x 3"]:
    old_height, old_width = frames.shape[1:3]
    factor = min(height / old_height, width / old_width)
    inner_height = max(1, min(height, round(old_height * factor)))
    inner_width = max(1, min(width, round(old_width * factor)))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas = np.zeros((len(frames), height, width, 3), dtype=np.uint8)
    canvas[:, top : top + inner_height, left : left + inner_width] = _scale(frames, inner_height, inner_width)
    return canvas
