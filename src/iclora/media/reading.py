"""Reading: one call for every kind of file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from iclora.clip import Clip
from iclora.errors import MediaError, RequestError
from iclora.media.picture_reader import (
    PICTURE_SUFFIXES,
    has_number,
    read_directory,
    read_pattern,
    read_pictures,
)
from iclora.media.timing import check_rate
from iclora.media.video_reader import read_video


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
    if fps is not None:
        check_rate(fps)
    if max_frames is not None and max_frames < 1:
        raise RequestError(f"Cannot read {max_frames} frames; ask for 1 or more.")
    path = Path(path)
    report = progress if progress is not None else _no_progress
    if os.path.isdir(path):  # unlike Path's own, false for names no file can have
        return read_directory(path, fps=fps, max_frames=max_frames, progress=report)
    if not os.path.exists(path):
        if has_number(path.name):
            return read_pattern(path, fps=fps, max_frames=max_frames, progress=report)
        raise MediaError(f"There is no file {path}; give a video, a picture or a folder of pictures.")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return read_pictures(path, fps=fps, max_frames=max_frames, progress=report)
    return read_video(path, fps=fps, max_frames=max_frames, audio=audio, progress=report)


def _no_progress(done: int, total: int | None) -> None:
    """Report to nobody."""
