"""Sizes: scale, crop and pad the frames of a clip."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from iclora.clip import Clip, Footage, redraw
from iclora.errors import RequestError
from iclora.media.room import MAX_SIDE_PX, check_room

Fit = Literal["cover", "contain", "stretch"]


def resize(clip: Footage, height: int, width: int, *, fit: Fit = "cover") -> Footage:
    """Give every frame another size.

    Args:
        clip: The source, a clip or a film.
        height: Height of the result in pixels, 1 to 16384.
        width: Width of the result in pixels, 1 to 16384.
        fit: `cover` crops the middle of the frame to the new aspect ratio, `contain` keeps the whole
            frame on black, `stretch` changes the aspect ratio.

    Returns:
        The same kind of the asked size. Axes that shrink are averaged over areas, axes that grow are
        interpolated (Lanczos).

    Raises:
        RequestError: A size is out of its range, the fit is unknown, or a clip would not fit into memory.
    """
    if not (1 <= height <= MAX_SIDE_PX and 1 <= width <= MAX_SIDE_PX):
        raise RequestError(
            f"Cannot resize to {width}x{height} pixels; both sides must be from 1 to {MAX_SIDE_PX}."
        )
    if fit not in ("cover", "contain", "stretch"):
        raise RequestError(f"Unknown fit {fit!r}; choose cover, contain or stretch.")
    if (clip.height, clip.width) == (height, width):
        return clip

    check_room(clip.num_frames if isinstance(clip, Clip) else 1, height, width)

    def fitted(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "y x 3"]:
        if fit == "contain":
            return _contain(frame, height, width)
        frame = _crop_to_aspect(frame, height, width) if fit == "cover" else frame
        return scale_picture(np.ascontiguousarray(frame), height, width)

    step = f"{fit} {width}x{height}"
    return redraw(clip, lambda frames: map(fitted, frames), size=(height, width), step=step)


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


def _crop_to_aspect(frame: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "y x 3"]:
    old_height, old_width = frame.shape[:2]
    crop_height = max(1, min(old_height, round(old_width * height / width)))
    crop_width = max(1, min(old_width, round(old_height * width / height)))
    top, left = (old_height - crop_height) // 2, (old_width - crop_width) // 2
    return frame[top : top + crop_height, left : left + crop_width]


def _contain(frame: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "y x 3"]:
    old_height, old_width = frame.shape[:2]
    factor = min(height / old_height, width / old_width)
    inner_height = max(1, min(height, round(old_height * factor)))
    inner_width = max(1, min(width, round(old_width * factor)))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    inner = scale_picture(np.ascontiguousarray(frame), inner_height, inner_width)
    canvas[top : top + inner_height, left : left + inner_width] = inner
    return canvas
