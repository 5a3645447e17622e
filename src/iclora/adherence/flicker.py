"""How much of a clip comes and goes, along its motion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from iclora.adherence.parts import check_alike, distance_px
from iclora.clip import Clip, Film
from iclora.controls.flow import Motion, moved


def flicker(clip: Clip | Film, *, flow_of: Clip | Film | None = None) -> float:
    """Measure how much a clip changes that does not move.

    Each frame is compared with the one before, brought along the optical flow, where that flow is sure: what
    moves steadily counts nothing, and what comes and goes counts in full.

    Args:
        clip: Any clip, such as a control.
        flow_of: The film it was made from, with as many frames of the same size; None: the clip itself.

    Returns:
        Mean absolute difference in percent of the range 0..255; 0 for one frame, or where no flow is sure.

    Raises:
        RequestError: If the two differ in size or length.
    """
    total, count = 0.0, 0
    for brought, shown, sure in _along_motion(clip, flow_of):
        total += float(np.abs(brought - shown)[sure].sum(dtype=np.float64))
        count += 3 * int(sure.sum())
    return 100 * total / (255 * count) if count else 0.0


def line_flicker(
    clip: Clip | Film, *, flow_of: Clip | Film | None = None, tolerance_px: float = 2.0
) -> float:
    """Measure how many lines come and go, whatever single pixels do.

    Args:
        clip: Lines (above 127) on black.
        flow_of: The film they were made from, with as many frames of the same size; None: the clip itself.
        tolerance_px: How far a line may lie from where the motion brings it, in pixels, >= 0.

    Returns:
        Of the line pixels of each frame and of the one before, the percentage that has no line of the other
        within the tolerance, where the optical flow is sure; 0 where there are none.

    Raises:
        RequestError: If the two differ in size or length.
    """
    alone, count = 0, 0
    for brought, shown, sure in _along_motion(clip, flow_of):
        pair = [picture.max(axis=2) > 127 for picture in (brought, shown)]
        for lines, others in (pair, pair[::-1]):
            alone += int((lines & sure & (distance_px(others) > tolerance_px)).sum())
            count += int((lines & sure).sum())
    return 100 * alone / count if count else 0.0


def _along_motion(
    clip: Clip | Film, flow_of: Clip | Film | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, from the second frame on, the one before moved along, the frame, and what is sure."""
    filmed = clip if flow_of is None else flow_of
    check_alike(clip, filmed, "film it was made from")
    motion: Motion | None = None
    before = np.empty(0, np.uint8)
    for frame, shown in zip(filmed.frames, clip.frames, strict=True):
        if motion is None:
            motion = Motion(frame)
        else:
            place, sure = motion.step(frame)
            yield moved(before, place), shown, sure
        before = shown
