"""Depth drawn as a control clip, on one scale for the whole clip.

nearness ─► steadied, if asked for ─► far..near percentile of the clip to 0..1 ─► size ─► convention
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from iclora.clip import Clip, Film, Frames
from iclora.controls.depths.conventions import NEAR_WHITE, check_convention, coloured
from iclora.controls.depths.value import DepthFilm, Depths
from iclora.controls.flow import check_stabilise, stabilised
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


def depth_range(
    depths: Depths | DepthFilm, *, near: int | float = NEAR, far: int | float = FAR
) -> tuple[float, float]:
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
    step = max(1, depths.num_frames * depths.height * depths.width // _MAX_SAMPLES)
    while step > 1 and any(side % step == 0 for side in (depths.height, depths.width)):
        step += 1  # so that samples do not all lie in a few columns
    samples, ends, offset = [], [], 0
    for frame in depths.frames:
        samples.append(frame.ravel()[offset::step].copy())
        ends.append((float(frame.min()), float(frame.max())))
        offset = (offset - frame.size) % step
    low, high = (float(value) for value in np.percentile(np.concatenate(samples), (far, near)))
    if not high > low:
        low, high = min(lowest for lowest, _ in ends), max(highest for _, highest in ends)
    if not high > low:
        raise RequestError("Everything in the clip is equally near; there is no depth to draw.")
    return low, high


def steadied_depths(depths: DepthFilm, clip: Clip | Film, amount: float) -> DepthFilm:
    """Steady depth along the motion of what it was found in, without lag; see `flow.stabilised`.

    Args:
        depths: As found in the clip.
        clip: What it was found in.
        amount: 0 (nothing is changed) .. 1.

    Returns:
        The depth, steadied as it is gone through, which goes through the clip too.

    Raises:
        RequestError: If the amount is out of 0..1.
    """
    check_stabilise(amount)
    if amount == 0:
        return depths
    return replace(depths, frames=Frames(lambda: stabilised(clip.frames, depths.frames, amount)))


def draw_depths(
    depths: Depths | DepthFilm,
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
    between = depth_range(depths, near=near, far=far)
    film = film_drawn(depths, between=between, size=size, convention=convention, progress=progress)
    check_room(film.num_frames, film.height, film.width)
    return film.read()


def film_drawn(
    depths: Depths | DepthFilm,
    *,
    between: tuple[float, float],
    size: tuple[int, int] | None = None,
    convention: str = NEAR_WHITE,
    progress: Callable[[int, int | None], None] | None = None,
) -> Film:
    """Draw depth frame by frame as it is needed.

    Args:
        depths: What to draw.
        between: The nearness drawn as farthest and as nearest, from `depth_range`.
        size: As for `draw_depths`.
        convention: As for `draw_depths`.
        progress: Called with (frames done, frames in all), whenever they are gone through.

    Returns:
        The control as a film.
    """
    height, width = (depths.height, depths.width) if size is None else size
    low, high = (np.float32(value) for value in between)

    def drawn() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for index, nearness in enumerate(depths.frames):
            scaled = (nearness - low) / (high - low)
            if scaled.shape != (height, width):
                shrunk = height * width < scaled.size
                method = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
                scaled = cv2.resize(scaled, (width, height), interpolation=method)
            yield coloured(np.clip(scaled, 0, 1, dtype=np.float32), convention)
            if progress is not None:
                progress(index + 1, depths.num_frames)

    return Film(
        frames=Frames(drawn), height=height, width=width, num_frames=depths.num_frames, fps=depths.fps
    )
