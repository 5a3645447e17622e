"""Videos through FFmpeg: rotation, uneven clocks, sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from jaxtyping import UInt8

from iclora.clip import Audio, Clip
from iclora.errors import MediaError
from iclora.media.timing import frames_on_show, is_even, resample, trim_audio

_UNREADABLE = (av.FFmpegError, OSError, ValueError)
_NO_FRAMES = "{path} is a video without a single frame; give one that holds pictures."


def read_video(
    path: Path,
    *,
    fps: float | None,
    max_frames: int | None,
    audio: bool,
    progress: Callable[[int, int | None], None],
) -> Clip:
    """Read a video file.

    Args:
        path: Any file FFmpeg reads.
        fps: As for `media.read`.
        max_frames: As for `media.read`.
        audio: Whether to read the sound too.
        progress: Called with the frames decoded so far and the total, None if unknown.

    Returns:
        The clip on an even clock, turned upright, its sound starting with its first frame.

    Raises:
        MediaError: The file is no video, holds no frames, or is damaged.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path} holds no pictures, only other streams; give a file with video.")
            start_seconds, clip = _read_frames(
                container, path, fps=fps, max_frames=max_frames, progress=progress
            )
    except av.EOFError as error:
        raise MediaError(_NO_FRAMES.format(path=path)) from error
    except _UNREADABLE as error:
        raise MediaError(
            f"Cannot read {path} as a video ({_reason(error)}); give a whole file that FFmpeg can decode."
        ) from error
    if not audio:
        return clip
    sound = _read_audio(path, start_seconds, clip.duration_seconds)
    return replace(clip, audio=None if sound is None else trim_audio(sound, clip.duration_seconds))


def _read_frames(
    container: av.container.InputContainer,
    path: Path,
    *,
    fps: float | None,
    max_frames: int | None,
    progress: Callable[[int, int | None], None],
) -> tuple[float, Clip]:
    """Decode and set on a clock; returns the first frame's time in the file, in seconds, and the clip."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    times, pictures, end_seconds = [], [], 0.0
    for time_seconds, duration_seconds, picture in _decode(container, stream):
        times.append(time_seconds)
        pictures.append(picture)
        end_seconds = time_seconds + duration_seconds - times[0]
        progress(len(pictures), stream.frames or None)
        if max_frames is not None and _has_enough(len(pictures), time_seconds - times[0], fps, max_frames):
            break
    if not pictures:
        raise MediaError(_NO_FRAMES.format(path=path))
    starts = np.asarray(times, dtype=np.float64) - times[0]
    declared = stream.average_rate or stream.guessed_rate
    own_rate, end_seconds = _own_rate(starts, end_seconds, None if declared is None else float(declared))
    clip = _on_clock(_stack(pictures, path), starts, end_seconds, own_rate=own_rate, fps=fps)
    return times[0], replace(clip, frames=clip.frames[:max_frames])


def _has_enough(num_frames: int, elapsed_seconds: float, fps: float | None, max_frames: int) -> bool:
    """Tell whether one frame more than the result needs is there: it shows where the last one ends."""
    if fps is None:
        return num_frames > max_frames + 1
    return elapsed_seconds > (max_frames + 1) / fps


def _own_rate(starts: np.ndarray, end_seconds: float, declared: float | None) -> tuple[float, float]:
    """Find the rate of a stream, and its end, in seconds after its start.

    What a file declares holds if its frames keep to it (browsers, for one, declare 1000 for what they
    record). Else the average counts, with a last frame that lasts at least as long as most do.
    """
    if declared is not None and is_even(starts, declared):
        return declared, len(starts) / declared
    if len(starts) == 1:
        return 1 / max(end_seconds, 1e-3), max(end_seconds, 1e-3)
    end_seconds = max(end_seconds, float(starts[-1] + np.median(np.diff(starts))))
    return len(starts) / end_seconds, end_seconds


def _on_clock(
    frames: UInt8[np.ndarray, "f h w 3"],
    starts: np.ndarray,
    end_seconds: float,
    *,
    own_rate: float,
    fps: float | None,
) -> Clip:
    if is_even(starts, own_rate):
        clip = Clip(frames=frames, fps=own_rate)
        return clip if fps is None else resample(clip, fps=fps, num_frames=_ticks(clip.duration_seconds, fps))
    rate = fps or own_rate
    ticks = np.arange(_ticks(end_seconds, rate)) / rate
    return Clip(frames=frames[frames_on_show(starts, ticks)], fps=rate)


def _ticks(duration_seconds: float, fps: float) -> int:
    return max(1, round(duration_seconds * fps))


def _decode(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[float, float, UInt8[np.ndarray, "h w 3"]]]:
    """Yield start and duration in seconds and the upright picture of each frame."""
    rate = stream.average_rate or stream.guessed_rate
    tick = 1 / float(rate) if rate else 0.04  # for streams that hold no times at all
    for index, frame in enumerate(container.decode(stream)):
        time_seconds = float(frame.time) if frame.time is not None else index * tick
        base = frame.time_base or stream.time_base
        duration_seconds = float(frame.duration * base) if frame.duration and base else tick
        picture = frame.to_ndarray(format="rgb24")
        side_data = cast(SideDataContainer, frame.side_data)  # the library's own type hint is wrong
        extras = [side_data[position] for position in range(len(side_data))]
        matrix = next((bytes(data) for data in extras if data.type == SideDataType.DISPLAYMATRIX), None)
        yield time_seconds, duration_seconds, picture if matrix is None else _upright(picture, matrix)


def _upright(picture: UInt8[np.ndarray, "h w 3"], matrix: bytes) -> UInt8[np.ndarray, "y x 3"]:
    """Apply a display matrix, 3x3 native int32 row-major [a b u; c d v; x y w]: x' = ax + cy, y' = bx + dy.

    Only the signs matter here: quarter turns and mirrors. Source: the track header of ISO/IEC 14496-12.
    """
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, dtype=np.int32)[:5])
    if b == 0 and c == 0 and a and d:
        flip_x, flip_y = a < 0, d < 0
    elif a == 0 and d == 0 and b and c:
        picture, flip_x, flip_y = picture.transpose(1, 0, 2), c < 0, b < 0
    else:
        raise MediaError(
            "The video is to be turned by an angle that is no quarter turn; save it upright and try again."
        )
    return np.ascontiguousarray(picture[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def _stack(pictures: list[np.ndarray], path: Path) -> UInt8[np.ndarray, "f h w 3"]:
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1:
        names = sorted(f"{width}x{height}" for height, width, _ in sizes)
        raise MediaError(f"The frames of {path} change their size ({', '.join(names)}); save it at one size.")
    return np.stack(pictures)


def _read_audio(path: Path, start_seconds: float, duration_seconds: float) -> Audio | None:
    """Read the first sound stream from a moment on, for at least so long; None if there is none."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp")
            chunks, first_seconds = [], None
            for frame in container.decode(stream):
                if first_seconds is None:
                    first_seconds = float(frame.time or 0.0)
                if frame.time is not None and frame.time > start_seconds + duration_seconds:
                    break
                chunks += [part.to_ndarray() for part in resampler.resample(frame)]
            chunks += [part.to_ndarray() for part in resampler.resample(None)] if chunks else []
            sample_rate = int(stream.rate)
    except _UNREADABLE as error:
        raise MediaError(
            f"Cannot read the sound of {path} ({_reason(error)}); repair it or go without audio."
        ) from error
    if not chunks or first_seconds is None:
        return None
    samples = np.clip(np.concatenate(chunks, axis=1), -1.0, 1.0).astype(np.float32)
    late = round((first_seconds - start_seconds) * sample_rate)
    samples = samples[:, -late:] if late < 0 else np.pad(samples, ((0, 0), (late, 0)))
    return Audio(samples=samples, sample_rate=sample_rate)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
