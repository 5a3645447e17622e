"""`Depths`: how near everything in a clip is, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from iclora.errors import MediaError, RequestError

_FARTHEST = 1e9
"""Renderers write distances from here on for the sky."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Depths:
    """How near everything is, frame by frame.

    Args:
        nearness: Larger is nearer, on one scale for all frames: 1 over distance, up to a scale and a shift.
            Finite. Its size need not be the clip's.
        fps: Frames per second, above 0.

    Raises:
        RequestError: If there is no frame, or a number is not finite.
    """

    nearness: Float32[np.ndarray, "f h w"]
    fps: float

    def __post_init__(self) -> None:
        if self.nearness.ndim != 3 or 0 in self.nearness.shape:
            raise RequestError(f"Depth has the shape {self.nearness.shape}; give frames, height and width.")
        if not np.isfinite(self.nearness).all():
            raise RequestError(
                "Depth holds numbers that are not finite; give the sky the lowest nearness, 0."
            )

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return int(self.nearness.shape[0])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.nearness.shape[1])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.nearness.shape[2])


def from_distances(distances: Float[np.ndarray, "f h w"], *, fps: float) -> Depths:
    """Turn distances, as renderers write them, into nearness.

    Args:
        distances: In any unit, larger is farther. What is not finite, not above 0, or from 1e9 up is sky.
        fps: Frames per second.

    Returns:
        1 over distance; 0 is sky.

    Raises:
        MediaError: If everything is sky.
    """
    known: Bool[np.ndarray, "f h w"] = np.isfinite(distances) & (distances > 0) & (distances < _FARTHEST)
    if not known.any():
        raise MediaError("The render holds no distance between 0 and 1e9; render its depth again.")
    nearness = np.zeros(distances.shape, np.float32)
    nearness[known] = 1 / distances[known].astype(np.float64)
    return Depths(nearness=nearness, fps=fps)
