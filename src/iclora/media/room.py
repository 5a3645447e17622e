"""Memory: what frames take, compared with what is free before they are made."""

from __future__ import annotations

import os
from pathlib import Path

from iclora.clip import Clip, Film
from iclora.errors import RequestError

MAX_SIDE_PX = 16_384
"""Longest side of a picture: what encoders of video take."""
HELD_BYTES = 2**29
"""Films of up to so many bytes are held where they are gone through several times."""
_MEMINFO = Path("/proc/meminfo")


def check_room(num_frames: int, height: int, width: int, *, bytes_per_pixel: int = 3) -> None:
    """Refuse frames that memory cannot hold.

    Args:
        num_frames: How many are held at a time.
        height: Their height in pixels.
        width: Their width in pixels.
        bytes_per_pixel: 3 for RGB.

    Raises:
        RequestError: If they take more than is free.
    """
    needed, free = num_frames * height * width * bytes_per_pixel, free_bytes()
    if free is not None and needed > free:
        raise RequestError(
            f"{num_frames} frames of {width}x{height} take {needed / 2**30:.3g} GiB of memory, and "
            f"{free / 2**30:.3g} GiB are free; ask for a smaller size or fewer frames."
        )


def hold(clip: Clip | Film) -> Clip:
    """Take a film into memory.

    Args:
        clip: A film, or a clip, which is there already.

    Returns:
        The same frames.

    Raises:
        RequestError: If memory cannot hold them.
    """
    if isinstance(clip, Clip):
        return clip
    check_room(clip.num_frames, clip.height, clip.width)
    return clip.read()


def hold_small(clip: Clip | Film) -> Clip | Film:
    """Take a film into memory where it is small, so that it is decoded once.

    Args:
        clip: A film or a clip.

    Returns:
        A clip where the frames take `HELD_BYTES` at most, else what was given.
    """
    small = clip.num_frames * clip.height * clip.width * 3 <= HELD_BYTES
    return hold(clip) if small else clip


def free_bytes() -> int | None:
    """Tell how much memory is free, or would be made free by the system; None where it does not say."""
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return total_bytes()


def total_bytes() -> int | None:
    """Tell how much memory the computer has; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
