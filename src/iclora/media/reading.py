"""Reading: one call for every kind of file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from iclora.clip import Audio, Clip, Film, Frames
from iclora.errors import MediaError, RequestError
from iclora.media.picture_reader import (
    PICTURE_SUFFIXES,
    film_directory,
    film_pattern,
    has_number,
    read_pictures,
)
from iclora.media.timing import check_rate
from iclora.media.video_reader import film_video, read_video, read_video_sound


def read(
    path: str | Path,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    audio: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Read a clip from any file FFmpeg knows, an animation, a still, or a sequence of pictures.

    Rotation metadata is honoured. Frames that do not tick evenly are put on an even clock.

    Args:
        path: A video, a picture, a directory of pictures (in the order of the numbers in their names),
            or a pattern such as `name_%04d.png`.
        fps: Frames per second of the result. Videos and animations are resampled to it; stills and
            sequences, which have no rate of their own, get it as their rate. None keeps a video's
            (average) rate, and means 24 for stills and sequences.
        max_frames: Stop after this many frames of the result, at least 1; None reads all.
        audio: Whether to read the sound too; a file without any gives a clip without any.
        progress: Called with the frames read so far and the total, or None where the file does not tell it.

    Returns:
        The clip, RGB uint8.

    Raises:
        MediaError: The path is missing, unreadable, damaged, holds no frames, or its pictures differ in size.
        RequestError: `fps` is not a positive number or `max_frames` is below 1.
    """
    check_asked(fps, max_frames)
    path, report = Path(path), progress if progress is not None else _no_progress
    sequence = _sequence(path, fps=fps, max_frames=max_frames, progress=report)
    if sequence is not None:
        return sequence.read()
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return read_pictures(path, fps=fps, max_frames=max_frames, progress=report)
    return read_video(path, fps=fps, max_frames=max_frames, audio=audio, progress=report)


def film(
    path: str | Path,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Film:
    """Open what `read` reads, without its sound and without holding it: frames are decoded when needed.

    A video is gone through once at once, to learn its clock. Stills and animations are held after all.

    Args:
        path: As for `read`.
        fps: As for `read`.
        max_frames: As for `read`.
        progress: Called with the frames looked at so far and the total, or None where it is not known.

    Returns:
        A film of the same frames as those `read` gives.

    Raises:
        MediaError: As for `read`; a sequence whose pictures differ raises it when it is gone through.
        RequestError: `fps` is not a positive number or `max_frames` is below 1.
    """
    check_asked(fps, max_frames)
    path, report = Path(path), progress if progress is not None else _no_progress
    sequence = _sequence(path, fps=fps, max_frames=max_frames, progress=report)
    if sequence is not None:
        return sequence
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        film = film_video(path, fps=fps, max_frames=max_frames, progress=report)
        return replace(film, origin=(path, f"{max_frames} frames at {fps}"))
    clip = read_pictures(path, fps=fps, max_frames=max_frames, progress=report)
    return Film(
        frames=Frames(lambda: iter(clip.frames)),
        height=clip.height,
        width=clip.width,
        num_frames=clip.num_frames,
        fps=clip.fps,
        origin=(path, f"{max_frames} frames at {fps}"),
    )


def read_sound(path: str | Path, *, duration_seconds: float) -> Audio | None:
    """Read the sound of what `film` opens, which is silent.

    Args:
        path: As for `read`.
        duration_seconds: How much of it, from the first frame on.

    Returns:
        The sound, starting with the first frame; None where there is none, as with pictures.

    Raises:
        MediaError: As for `read`.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURE_SUFFIXES or os.path.isdir(path) or not os.path.exists(path):
        return None
    return read_video_sound(path, duration_seconds=duration_seconds)


def check_asked(fps: float | None, max_frames: int | None) -> None:
    """Refuse a rate and a number of frames that cannot be read.

    Args:
        fps: As for `read`.
        max_frames: As for `read`.

    Raises:
        RequestError: The rate is not a positive number, or the number is below 1.
    """
    if fps is not None:
        check_rate(fps)
    if max_frames is not None and max_frames < 1:
        raise RequestError(f"Cannot read {max_frames} frames; ask for 1 or more.")


def _sequence(
    path: Path,
    *,
    fps: float | None,
    max_frames: int | None,
    progress: Callable[[int, int | None], None],
) -> Film | None:
    """The film of a folder or a pattern of pictures; None for a file of another kind.

    Raises:
        MediaError: There is no such file, or no sequence in that place.
    """
    if os.path.isdir(path):  # unlike Path's own, false for names no file can have
        return film_directory(path, fps=fps, max_frames=max_frames, progress=progress)
    if os.path.exists(path):
        return None
    if has_number(path.name):
        return film_pattern(path, fps=fps, max_frames=max_frames, progress=progress)
    raise MediaError(f"There is no file {path}; give a video, a picture or a folder of pictures.")


def _no_progress(done: int, total: int | None) -> None:
    """Report to nobody."""
