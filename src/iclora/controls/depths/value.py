"""`Depths`: how near everything in a clip is, as plain numbers; and its twin, read as needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from jaxtyping import Bool, Float, Float32

from iclora.clip import Frames
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
    def frames(self) -> Iterable[Float32[np.ndarray, "h w"]]:
        """The nearness, frame by frame."""
        return self.nearness

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return int(self.nearness.shape[0])

    @property
    def height(self) -> int:
        """Height of a frame."""
        return int(self.nearness.shape[1])

    @property
    def width(self) -> int:
        """Width of a frame."""
        return int(self.nearness.shape[2])


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthFilm:
    """How near everything is in a film, gone through as often as need be without being held in memory.

    Args:
        frames: As for `Depths`, of one frame after the other; going through them again begins anew.
        height: Height of a frame.
        width: Width of a frame.
        num_frames: How many there are, at least 1.
        fps: Frames per second, above 0.
    """

    frames: Iterable[Float32[np.ndarray, "h w"]]
    height: int
    width: int
    num_frames: int
    fps: float

    def start(self, num_frames: int) -> DepthFilm:
        """Leave out what comes after the first frames.

        Args:
            num_frames: How many there shall be, from 1 to as many as there are.

        Returns:
            The first ones.
        """
        frames = Frames(lambda: islice(iter(self.frames), num_frames))
        return replace(self, frames=frames, num_frames=num_frames)

    def read(self) -> Depths:
        """Take all frames into memory.

        Returns:
            The same numbers.
        """
        return Depths(nearness=np.stack(list(self.frames)), fps=self.fps)


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
    nearness = nearness_of(distances)
    check_not_all_sky([nearness])
    return Depths(nearness=nearness, fps=fps)


def nearness_of(distances: Float[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Turn distances into nearness, as `from_distances`, but take nothing but sky too.

    Args:
        distances: In any unit, larger is farther.

    Returns:
        1 over distance; 0 is sky.
    """
    known: Bool[np.ndarray, "*shape"] = np.isfinite(distances) & (distances > 0) & (distances < _FARTHEST)
    nearness = np.zeros(distances.shape, np.float32)
    nearness[known] = 1 / distances[known].astype(np.float64)
    return nearness


def check_not_all_sky(frames: Iterable[np.ndarray]) -> None:
    """Refuse a render without anything in it, going no farther than need be.

    Args:
        frames: Its nearness.

    Raises:
        MediaError: If everything is sky.
    """
    if not any(frame.any() for frame in frames):
        raise MediaError("The render holds no distance between 0 and 1e9; render its depth again.")
