"""Masks of the command line: files whose white part counts, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from iclora import media
from iclora.clip import Clip

Level = Float32[np.ndarray, "y x"]


def mask_levels(path: Path, *, fps: float, num_frames: int) -> Iterator[Level]:
    """Go through the frames of a mask.

    Args:
        path: A picture or a video.
        fps: Frames per second of the result.
        num_frames: Its frames.

    Yields:
        White 1 and black 0, as large as they are in the file: one frame of a picture, else all of the result.

    Raises:
        MediaError: If it cannot be read.
    """
    film = media.film(path, fps=fps, max_frames=num_frames)
    if film.num_frames > 1:
        film = media.resample(film, fps=fps, num_frames=num_frames)
    for frame in film.frames:
        yield frame.mean(axis=2, dtype=np.float32) / np.float32(255)


def where_of(levels: Iterable[Level], result: Clip) -> Bool[np.ndarray, "f h w"]:
    """Make of a mask the part of a result's picture that counts.

    Args:
        levels: Frames of the mask, 0..1; the last one is held.
        result: The result.

    Returns:
        Truth values, as large and long as the result: where the mask is 0.5 or more.
    """
    size = (result.width, result.height)
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) >= 0.5 for frame in levels]
    return np.stack([frames[min(index, len(frames) - 1)] for index in range(result.num_frames)])


def read_where(path: Path, result: Clip) -> Bool[np.ndarray, "f h w"]:
    """Read the white part of a mask, as large and long as a result.

    Args:
        path: A picture or a video.
        result: The result.

    Returns:
        As `where_of`.

    Raises:
        MediaError: If it cannot be read.
    """
    return where_of(mask_levels(path, fps=result.fps, num_frames=result.num_frames), result)
