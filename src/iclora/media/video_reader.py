"""Videos through FFmpeg: rotation, uneven clocks, sound."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from jaxtyping import UInt8

from iclora.clip import Audio, Clip, Film, Frames
from iclora.errors import MediaError
from iclora.media.picture_reader import NO_COLOURS
from iclora.media.timing import frames_on_show, is_even, nearest_frames, pick, trim_audio

_UNREADABLE = (av.FFmpegError, OSError, ValueError)
_MOST_REORDERED = 16
"""Packets by which one may come before another that is shown first."""
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
    if fps is None and max_frames is not None:
        fps = _rate_of_uneven(path, max_frames)
    with _opened(path) as (container, stream):
        start_seconds, clip = _read_frames(
            container, stream, path, fps=fps, max_frames=max_frames, progress=progress
        )
    if not audio:
        return clip
    sound = _read_audio(path, start_seconds, clip.duration_seconds)
    return replace(clip, audio=None if sound is None else trim_audio(sound, clip.duration_seconds))


def film_video(
    path: Path,
    *,
    fps: float | None,
    max_frames: int | None,
    progress: Callable[[int, int | None], None],
) -> Film:
    """Open a video file as a film: gone through once now to learn its clock, and decoded anew each time.

    Args:
        path: Any file FFmpeg reads.
        fps: As for `media.read`.
        max_frames: As for `media.read`.
        progress: Called with the frames looked at so far and the total, None if unknown.

    Returns:
        A film of exactly the frames that `read_video` gives.

    Raises:
        MediaError: The file is no video, holds no frames, is damaged, or its frames change their size.
    """
    if fps is None and max_frames is not None:
        fps = _rate_of_uneven(path, max_frames)
    with _opened(path) as (container, stream):
        times: list[float] = []
        end_seconds = 0.0
        sizes: set[tuple[int, ...]] = set()
        for frame, time_seconds, duration_seconds in _timed(container, stream):
            if not times:
                matrix = _display_matrix(frame)
                height, width, _ = _picture(frame, matrix).shape
            sizes.add((frame.height, frame.width))
            times.append(time_seconds)
            end_seconds = time_seconds + duration_seconds - times[0]
            progress(len(times), stream.frames or None)
            if max_frames is not None and _has_enough(len(times), time_seconds - times[0], fps, max_frames):
                progress(len(times), len(times))  # that is all of them
                break
        if not times:
            raise MediaError(_NO_FRAMES.format(path=path))
        _check_sizes(sizes, path)
        indices, rate = _clock(times, end_seconds, _declared_rate(stream), fps)
    indices = indices[:max_frames]

    def frames() -> Iterator[np.ndarray]:
        with _opened(path) as (again, stream):
            yield from pick((_picture(frame, matrix) for frame, _, _ in _timed(again, stream)), indices)

    return Film(frames=Frames(frames), height=height, width=width, num_frames=len(indices), fps=rate)


def read_video_sound(path: Path, *, duration_seconds: float) -> Audio | None:
    """Read the sound of a video file without holding its pictures.

    Args:
        path: Any file FFmpeg reads.
        duration_seconds: How much of it, from the first picture on.

    Returns:
        The sound, starting with the first picture; None where there is none.

    Raises:
        MediaError: The file is no video, holds no frames, or its sound is damaged.
    """
    with _opened(path) as (container, stream):
        start_seconds = next((time_seconds for _, time_seconds, _ in _timed(container, stream)), None)
    if start_seconds is None:
        raise MediaError(_NO_FRAMES.format(path=path))
    sound = _read_audio(path, start_seconds, duration_seconds)
    return None if sound is None else trim_audio(sound, duration_seconds)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Lend a video file and its first stream of pictures; what FFmpeg says against it becomes one line."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path} holds no pictures, only other streams; give a file with video.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except av.EOFError as error:
        raise MediaError(_NO_FRAMES.format(path=path)) from error
    except _UNREADABLE as error:
        is_exr = path.suffix.lower() == ".exr"
        advice = NO_COLOURS if is_exr else "give a whole file that FFmpeg can decode"
        raise MediaError(f"Cannot read {path} as a video ({_reason(error)}); {advice}.") from error


def _read_frames(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    path: Path,
    *,
    fps: float | None,
    max_frames: int | None,
    progress: Callable[[int, int | None], None],
) -> tuple[float, Clip]:
    """Decode and set on a clock; returns the first frame's time in the file, in seconds, and the clip."""
    times: list[float] = []
    pictures: list[np.ndarray] = []
    end_seconds = 0.0
    matrix: bytes | None = None
    for frame, time_seconds, duration_seconds in _timed(container, stream):
        matrix = matrix if times else _display_matrix(frame)
        times.append(time_seconds)
        pictures.append(_picture(frame, matrix))
        end_seconds = time_seconds + duration_seconds - times[0]
        progress(len(pictures), stream.frames or None)
        if max_frames is not None and _has_enough(len(pictures), time_seconds - times[0], fps, max_frames):
            progress(len(pictures), len(pictures))  # that is all of them
            break
    if not pictures:
        raise MediaError(_NO_FRAMES.format(path=path))
    _check_sizes({picture.shape[:2] for picture in pictures}, path)
    indices, rate = _clock(times, end_seconds, _declared_rate(stream), fps)
    return times[0], Clip(frames=np.stack([pictures[index] for index in indices[:max_frames]]), fps=rate)


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


def _rate_of_uneven(path: Path, max_frames: int) -> float | None:
    """The average rate of a whole video whose first frames do not keep to the rate it declares.

    What its packets say is enough, so that nothing is decoded; None where the rate declared holds, or the
    packets do not say when they are shown.
    """
    with _opened(path) as (container, stream):
        declared, times, end_seconds = _declared_rate(stream), list[float](), 0.0
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None or packet.time_base is None:
                return None
            times.append(float(packet.pts * packet.time_base))
            end_seconds = max(end_seconds, times[-1] + float((packet.duration or 0) * packet.time_base))
            if len(times) == max_frames + 2 + _MOST_REORDERED:
                first = np.sort(times)[: max_frames + 2]
                if declared is not None and is_even(first - first[0], declared):
                    return None
    starts = np.sort(times)
    if len(starts) == 0 or (declared is not None and is_even(starts - starts[0], declared)):
        return None
    return _own_rate(starts - starts[0], end_seconds - float(starts[0]), declared)[0]


def _declared_rate(stream: av.VideoStream) -> float | None:
    declared = stream.average_rate or stream.guessed_rate
    return None if declared is None else float(declared)


def _clock(
    times: list[float], end_seconds: float, declared: float | None, fps: float | None
) -> tuple[np.ndarray, float]:
    """Which frames to show on an even clock, by their indices, and its rate."""
    starts = np.asarray(times, dtype=np.float64) - times[0]
    own_rate, end_seconds = _own_rate(starts, end_seconds, declared)
    rate = fps or own_rate
    if not is_even(starts, own_rate):
        return frames_on_show(starts, np.arange(_ticks(end_seconds, rate)) / rate), rate
    if fps is None:
        return np.arange(len(starts)), rate
    num_frames = _ticks(len(starts) / own_rate, fps)
    return nearest_frames(len(starts), own_rate, fps=fps, num_frames=num_frames), float(fps)


def _ticks(duration_seconds: float, fps: float) -> int:
    return max(1, round(duration_seconds * fps))


def _timed(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame, float, float]]:
    """Yield each frame with its start and duration in seconds."""
    rate = stream.average_rate or stream.guessed_rate
    tick = 1 / float(rate) if rate else 0.04  # for streams that hold no times at all
    for index, frame in enumerate(container.decode(stream)):
        time_seconds = float(frame.time) if frame.time is not None else index * tick
        base = frame.time_base or stream.time_base
        yield frame, time_seconds, float(frame.duration * base) if frame.duration and base else tick


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    """How a video is to be turned; asked of its first frame alone, as one that was asked is freed late."""
    side_data = cast(SideDataContainer, frame.side_data)  # the library's own type hint is wrong
    extras = [side_data[position] for position in range(len(side_data))]
    return next((bytes(data) for data in extras if data.type == SideDataType.DISPLAYMATRIX), None)


def _picture(frame: av.VideoFrame, matrix: bytes | None) -> UInt8[np.ndarray, "h w 3"]:
    """The upright picture of a frame."""
    picture = frame.to_ndarray(format="rgb24")
    return picture if matrix is None else _upright(picture, matrix)


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


def _check_sizes(sizes: Collection[tuple[int, ...]], path: Path) -> None:
    if len(sizes) > 1:
        names = sorted(f"{width}x{height}" for height, width in sizes)
        raise MediaError(f"The frames of {path} change their size ({', '.join(names)}); save it at one size.")


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
