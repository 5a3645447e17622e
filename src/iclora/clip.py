"""The one video value: frames, a rate, and sound if there is any."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from iclora.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Audio:
    """Sound as samples.

    Args:
        samples: Float32 in [-1, 1], one row per channel, shape `channels samples`.
        sample_rate: Samples per second and channel, above 0.

    Raises:
        InputError: The samples are not rows of finite float32, or the rate is not positive.
    """

    samples: Float[np.ndarray, "channels samples"]
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32 or self.samples.shape[0] == 0:
            raise InputError(
                f"Audio samples have shape {self.samples.shape} and type {self.samples.dtype}; "
                "give float32 in [-1, 1] of shape (channels, samples)."
            )
        if not np.isfinite(self.samples).all():
            raise InputError("Audio samples hold values that are not finite; give float32 in [-1, 1].")
        if self.sample_rate <= 0:
            raise InputError(f"The audio sample rate is {self.sample_rate}; give one above 0, such as 48000.")

    @property
    def duration_seconds(self) -> float:
        """Length of the sound in seconds."""
        return float(self.samples.shape[1] / self.sample_rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A video held in memory.

    Args:
        frames: RGB pictures, uint8 0..255, shape `f h w 3`, at least one frame of at least one pixel.
        fps: Frames per second, above 0.
        audio: The sound that starts with the first frame, or None.

    Raises:
        InputError: The frames are not uint8 RGB pictures, there are none, or the rate is not positive.
    """

    frames: UInt8[np.ndarray, "f h w 3"]
    fps: float
    audio: Audio | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.frames.shape, self.frames.dtype
        if self.frames.ndim != 4 or shape[-1] != 3 or dtype != np.uint8:
            raise InputError(
                f"Clip frames have shape {shape} and type {dtype}; "
                "give uint8 RGB pictures of shape (frames, height, width, 3)."
            )
        if 0 in shape:
            raise InputError(
                f"Clip frames have shape {shape}; give at least one frame of at least one pixel."
            )
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"The clip's frame rate is {self.fps}; give a number above 0, such as 24.")

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return int(self.frames.shape[0])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.frames.shape[2])

    @property
    def duration_seconds(self) -> float:
        """How long the frames last: their number over the rate."""
        return self.num_frames / self.fps

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the clip to a file; the same as `media.save`.

        Args:
            path: `.mp4`, `.webm`, `.gif`, `.png` (one frame), or a folder for a PNG sequence.
            overwrite: Whether a result that exists may be replaced.

        Returns:
            The path written.

        Raises:
            OutputError: The path exists, is of an unknown kind, or cannot be written.
        """
        # The one upward import of the package: a convenience, so that a Clip holds no file code itself.
        from iclora import media

        return media.save(self, path, overwrite=overwrite)
