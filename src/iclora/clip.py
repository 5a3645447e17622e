"""The one video value: frames, a rate, and sound if there is any; and its twin that is read as needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

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
        """Write the clip to a file, and nothing beside it; the same as `media.save`.

        The notes beside a result are written by commands, which know how it was made; in Python
        `result.plan.to_json()` holds them.

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """A video that is gone through, as often as need be, without being held in memory.

    Args:
        frames: RGB pictures, uint8 0..255, each of shape `h w 3`; going through them again begins anew.
        height: Their height in pixels.
        width: Their width in pixels.
        num_frames: How many there are, at least 1.
        fps: Frames per second, above 0.
        origin: The files that the frames come from, and words for what was done to them: films with equal
            words, and files of equal content, have equal frames. Empty: not known.
    """

    frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    height: int
    width: int
    num_frames: int
    fps: float
    origin: tuple[str | Path, ...] = ()

    @property
    def audio(self) -> None:
        """A film is silent."""
        return None

    def read(self, num_frames: int | None = None) -> Clip:
        """Take frames into memory.

        Args:
            num_frames: How many from the first on, at least 1; None: all.

        Returns:
            A clip of as many frames, or of all where there are fewer.
        """
        count = self.num_frames if num_frames is None else min(num_frames, self.num_frames)
        frames = np.empty((count, self.height, self.width, 3), np.uint8)
        for index, frame in enumerate(islice(self.frames, count)):
            frames[index] = frame
        return Clip(frames=frames, fps=self.fps)

    def start(self, num_frames: int) -> Film:
        """Leave out what comes after the first frames.

        Args:
            num_frames: How many there shall be, from 1 to as many as there are.

        Returns:
            The first ones; its origin is not known.
        """
        return replace(
            self,
            frames=Frames(lambda: islice(iter(self.frames), num_frames)),
            num_frames=num_frames,
            origin=(),
        )


Footage = TypeVar("Footage", Clip, Film, Clip | Film)
"""A clip or a film: what takes either gives back the same kind."""


class Frames:
    """Frames that are made anew each time they are gone through.

    Args:
        make: Starts to make them.
    """

    def __init__(self, make: Callable[[], Iterator[np.ndarray]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._make()


def redraw(
    footage: Footage,
    draw: Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]],
    *,
    size: tuple[int, int] | None = None,
    step: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Footage:
    """Give footage other pictures: those of a clip at once, those of a film whenever they are gone through.

    Args:
        footage: A clip or a film.
        draw: Takes the frames in their order and yields as many, RGB 0..255, `h w 3`.
        size: Their new height and width in pixels; None: as they are.
        step: Words for what `draw` does, all of it, for the origin of a film; None: it is not known any more.
        progress: Called with (frames done, frames in all).

    Returns:
        The same kind at the same rate, a clip with its sound.
    """
    height, width = (footage.height, footage.width) if size is None else size

    def counted() -> Iterator[np.ndarray]:
        for index, frame in enumerate(draw(footage.frames)):
            if progress is not None:
                progress(index + 1, footage.num_frames)
            yield frame

    if isinstance(footage, Film):
        origin = (*footage.origin, step) if step and footage.origin else ()
        return replace(footage, frames=Frames(counted), height=height, width=width, origin=origin)
    frames = np.empty((footage.num_frames, height, width, 3), np.uint8)
    for index, frame in enumerate(counted()):
        frames[index] = frame
    return replace(footage, frames=frames)
