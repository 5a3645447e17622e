"""What the metrics share: the part of the picture that counts, clips of one form, distances to lines."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool

from iclora.clip import Clip, Film
from iclora.errors import RequestError

Where: TypeAlias = Bool[np.ndarray, "f h w"]
"""The part of the picture that counts, frame by frame."""


def check_where(where: Where, shape: tuple[int, ...]) -> Where:
    """Refuse a part of another shape than the picture.

    Args:
        where: The part that counts.
        shape: Frames, height and width of the picture.

    Returns:
        The part.

    Raises:
        RequestError: If the shapes differ.
    """
    if where.shape != shape:
        raise RequestError(
            f"The mask has the shape {where.shape} and what is compared {shape} (frames, height, width); "
            "bring it there first (adherence.fit_where)."
        )
    return where


def fit_where(where: Where, shape: tuple[int, ...]) -> Bool[np.ndarray, "f y x"]:
    """Bring a part of the picture to the size of numbers of that picture.

    Args:
        where: The part that counts.
        shape: Frames, height and width wanted, as many frames as there are.

    Returns:
        The part at that size, each place as the nearest one was.
    """
    height, width = shape[1:]
    return np.stack(
        [
            cv2.resize(frame.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
            for frame in where
        ]
    )


def check_alike(clip: Clip | Film, other: Clip | Film, what: str) -> None:
    """Refuse two clips of different size or length.

    Args:
        clip: One.
        other: The other.
        what: What to call that.

    Raises:
        RequestError: If they differ.
    """
    shapes = [(one.num_frames, one.height, one.width) for one in (clip, other)]
    if shapes[0] != shapes[1]:
        texts = [f"{frames} frames of {width}x{height}" for frames, height, width in shapes]
        raise RequestError(
            f"The clip has {texts[0]} and the {what} {texts[1]}; bring both to one form first."
        )


def distance_px(lines: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """Exact Euclidean distance of every pixel to the nearest line pixel."""
    return np.asarray(cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def mean_of(numbers: tuple[float | None, ...]) -> float:
    """The mean of those that are there, of which there is at least one."""
    there = [number for number in numbers if number is not None]
    return float(np.mean(there))
