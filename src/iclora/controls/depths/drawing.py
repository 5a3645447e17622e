"""Depth drawn as a control clip, on one scale for the whole clip.

nearness ─► far..near percentile of the clip to 0..1 ─► size ─► convention
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from iclora.clip import Clip
from iclora.controls.depths.conventions import NEAR_WHITE, check_convention, coloured
from iclora.controls.depths.value import Depths
from iclora.errors import RequestError
from iclora.media.room import check_room

NEAR, FAR = 99.5, 0.5
"""Percentiles of all pixels of the clip that are drawn as nearest and as farthest."""
_MAX_SAMPLES = 4_000_000


def check_drawing(*, convention: str, near: int | float, far: int | float) -> None:
    """Refuse dials out of their range.

    Args:
        convention: One of `CONVENTIONS`.
        near: Percentile drawn as nearest.
        far: Percentile drawn as farthest.

    Raises:
        RequestError: If there is no such convention, or not 0 <= far < near <= 100.
    """
    check_convention(convention)
    if not 0 <= far < near <= 100:
        raise RequestError(
            f"The percentiles are far {far} and near {near}; they must lie in 0..100, far below near. "
            f"{FAR} and {NEAR} suit most."
        )


def depth_range(depths: Depths, *, near: int | float = NEAR, far: int | float = FAR) -> tuple[float, float]:
    """Find the nearness drawn as farthest and as nearest, once for the whole clip.

    Args:
        depths: Any.
        near: Percentile of all pixels of the clip, 0..100.
        far: Likewise, below `near`.

    Returns:
        The nearness at `far` and at `near`.

    Raises:
        RequestError: If everything is equally near.
    """
    values = depths.nearness.ravel()
    step = max(1, values.size // _MAX_SAMPLES)
    while step > 1 and any(side % step == 0 for side in depths.nearness.shape[1:]):
        step += 1  # so that samples do not all lie in a few columns
    low, high = (float(value) for value in np.percentile(values[::step], (far, near)))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    if not high > low:
        raise RequestError("Everything in the clip is equally near; there is no depth to draw.")
    return low, high


def draw_depths(
    depths: Depths,
    *,
    size: tuple[int, int] | None = None,
    convention: str = NEAR_WHITE,
    near: int | float = NEAR,
    far: int | float = FAR,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Draw depth on one scale for the whole clip.

    Args:
        depths: What to draw.
        size: Height and width of the result in pixels; None: as depth is.
        convention: `near-white`, `near-black` or `inferno`.
        near: Percentile of the clip drawn as nearest, 0..100.
        far: Percentile drawn as farthest, below `near`.
        progress: Called with (frames done, frames in all).

    Returns:
        The control clip, without sound.

    Raises:
        RequestError: If a dial is out of its range, or everything is equally near.
    """
    check_drawing(convention=convention, near=near, far=far)
    low, high = depth_range(depths, near=near, far=far)
    height, width = depths.nearness.shape[1:] if size is None else size
    check_room(depths.num_frames, height, width)
    drawn = np.empty((depths.num_frames, height, width, 3), np.uint8)
    for index, nearness in enumerate(depths.nearness):
        scaled = (nearness - np.float32(low)) / np.float32(high - low)
        if scaled.shape != (height, width):
            shrunk = height * width < scaled.size
            method = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
            scaled = cv2.resize(scaled, (width, height), interpolation=method)
        drawn[index] = coloured(np.clip(scaled, 0, 1, dtype=np.float32), convention)
        if progress is not None:
            progress(index + 1, depths.num_frames)
    return Clip(frames=drawn, fps=depths.fps)
