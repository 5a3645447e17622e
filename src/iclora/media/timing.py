"""Clocks: which source frame belongs to which moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from iclora.clip import Audio, Clip, Film, Footage, Frames
from iclora.errors import RequestError
from iclora.media.room import check_room

MAX_RATE = 10_000
"""Most frames per second asked for; more are a mistake."""


def resample(clip: Footage, *, fps: float, num_frames: int) -> Footage:
    """Put a clip or a film on another clock.

    Frame k of the result shows the source frame that is nearest to k / fps; of two equally near ones the
    later. A clip that is too short holds its last frame, so a still is repeated. The sound keeps its speed
    and is cut to the new length.

    Args:
        clip: The source.
        fps: Frames per second of the result, above 0.
        num_frames: Frames of the result, at least 1.

    Returns:
        A clip of `num_frames` frames at `fps`.

    Raises:
        RequestError: The rate is not a positive number, the frame count is below 1, or the clip does not fit
            into memory.
    """
    check_rate(fps)
    if num_frames < 1:
        raise RequestError(f"Cannot make a clip of {num_frames} frames; ask for 1 or more.")
    # A film is not held, but for what says which of its frames come when: three numbers for each.
    check_room(num_frames, *((clip.height, clip.width) if isinstance(clip, Clip) else (8, 1)))
    indices = nearest_frames(clip.num_frames, clip.fps, fps=fps, num_frames=num_frames)
    if isinstance(clip, Film):
        frames = Frames(partial(pick, clip.frames, indices))
        origin = (*clip.origin, f"{num_frames} frames at {fps}") if clip.origin else ()
        return replace(clip, frames=frames, num_frames=num_frames, fps=float(fps), origin=origin)
    audio = None if clip.audio is None else trim_audio(clip.audio, num_frames / fps)
    return replace(clip, frames=clip.frames[indices], fps=float(fps), audio=audio)


def nearest_frames(
    num_source: int, source_fps: float, *, fps: float, num_frames: int
) -> Int[np.ndarray, " k"]:
    """Choose for each frame of a clock the source frame nearest to it; see `resample`.

    Args:
        num_source: Frames there are.
        source_fps: Their rate.
        fps: Frames per second of the result.
        num_frames: Frames of the result.

    Returns:
        One index for each frame of the result, ascending.
    """
    # The small term keeps moments that meet a frame boundary in exact arithmetic on the same side in floats.
    nearest = np.floor(np.arange(num_frames) * (source_fps / fps) + 0.5 + 1e-9).astype(np.int64)
    return np.asarray(np.minimum(nearest, num_source - 1))


def pick(frames: Iterable[np.ndarray], indices: Int[np.ndarray, " k"]) -> Iterator[np.ndarray]:
    """Go through frames and keep some, or some of them several times.

    Args:
        frames: Pictures in their order.
        indices: Which of them, ascending.

    Yields:
        The picture for each index; fewer where the frames end before.
    """
    wanted = iter(indices.tolist())
    next_one = next(wanted, None)
    for index, frame in enumerate(frames):
        while next_one == index:
            yield frame
            next_one = next(wanted, None)
        if next_one is None:
            return


def check_rate(fps: float) -> None:
    """Refuse a frame rate that is no rate.

    Args:
        fps: Frames per second.

    Raises:
        RequestError: The rate is not a positive number, or beyond any camera's.
    """
    if not 0 < fps <= MAX_RATE:
        raise RequestError(
            f"The frame rate is {fps}; give frames per second above 0 and at most {MAX_RATE}, such as 24."
        )


def is_even(times: Float[np.ndarray, " f"], fps: float) -> bool:
    """Tell whether frames tick at one rate, up to the rounding of the container's clock.

    Args:
        times: Start of each frame in seconds, the first at 0.
        fps: The rate to compare with.

    Returns:
        True if every frame starts less than half a tick from its place.
    """
    places = np.arange(len(times)) / fps
    return bool(np.all(np.abs(times - places) < 0.5 / fps))


def frames_on_show(times: Float[np.ndarray, " f"], ticks: Float[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
    """Choose for each moment the frame a player would be showing.

    A frame that starts within half a tick after the moment counts as shown if it is nearer than the one
    before it, so that the rounding of timestamps does not shift a frame by a tick.

    Args:
        times: Start of each frame in seconds, ascending.
        ticks: Evenly spaced moments in seconds.

    Returns:
        One frame index for each moment.
    """
    current = np.clip(np.searchsorted(times, ticks, side="right") - 1, 0, len(times) - 1)
    following = np.minimum(current + 1, len(times) - 1)
    half_tick = (ticks[1] - ticks[0]) / 2 if len(ticks) > 1 else 0.0
    wait = times[following] - ticks
    takes_following = (wait > 0) & (wait < half_tick) & (wait < ticks - times[current])
    return np.where(takes_following, following, current)


def trim_audio(audio: Audio, duration_seconds: float) -> Audio:
    """Cut sound to a length.

    Args:
        audio: The sound.
        duration_seconds: Longest duration of the result in seconds; shorter sound stays as it is.

    Returns:
        The first `duration_seconds` of the sound.
    """
    return replace(audio, samples=audio.samples[:, : round(duration_seconds * audio.sample_rate)])
