"""Depth that was rendered, taken as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from iclora import media
from iclora.controls.depths.value import Depths, from_distances
from iclora.errors import MediaError, RequestError

VALUES = ("near", "distance")


def read_depths(
    path: str | Path,
    *,
    values: str | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Depths:
    """Read a depth render.

    Args:
        path: An `.exr`, a grey `.png` or `.tif` of 8 or 16 bits, a folder of them, or a grey video (8 bits
            are read).
        values: What its numbers are: `near` (larger is nearer, as depth is drawn) or `distance` (larger
            is farther, as renderers and depth cameras count). None: distance in `.exr`, near elsewhere.
        fps: As for `media.read`.
        max_frames: As for `media.read`.
        progress: Called with the frames read so far and the total.

    Returns:
        The depth, of the size of the pictures.

    Raises:
        MediaError: If it cannot be read, is coloured, or holds no depth.
        RequestError: If `values` is neither, or as for `media.read`.
    """
    check_values(values)
    numbers, rate = media.read_values(path, fps=fps, max_frames=max_frames, progress=progress)
    if values is None:
        values = "distance" if _is_exr(Path(path)) else "near"
    if values == "distance":
        return from_distances(numbers, fps=rate)
    if not np.isfinite(numbers).all():
        raise MediaError(
            f"{path} holds numbers that are not finite; render its depth again, or say distance."
        )
    return Depths(nearness=numbers, fps=rate)


def check_values(values: str | None) -> None:
    """Refuse a word for what numbers of depth mean that is none.

    Args:
        values: As for `read_depths`.

    Raises:
        RequestError: If it is neither of `VALUES`.
    """
    if values is not None and values not in VALUES:
        raise RequestError(f"Values of depth cannot be {values!r}; say {' or '.join(VALUES)}.")


def _is_exr(path: Path) -> bool:
    first = next(path.glob("*.[eE][xX][rR]"), path) if path.is_dir() else path
    return first.suffix.lower() == ".exr"
