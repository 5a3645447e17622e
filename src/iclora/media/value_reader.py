"""Pictures and videos read as numbers rather than colours: depth as renderers write it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32

from iclora.clip import Film, Frames
from iclora.errors import MediaError
from iclora.media.exr_reader import read_exr
from iclora.media.picture_reader import PICTURE_SUFFIXES, SEQUENCE_FPS, natural_order
from iclora.media.reading import check_asked, film

MAX_COLOUR = 12.0
"""By how many of 255 levels the channels of a grey video may differ, on average."""
_EXACT_SUFFIXES = frozenset({".exr", ".png", ".tif", ".tiff"})


@dataclass(frozen=True, kw_only=True)
class Values:
    """Numbers that are gone through, as often as need be, without being held in memory.

    Attributes:
        frames: The numbers as they are stored, which may be infinite or none at all; going through them
            raises a MediaError where a file is damaged, of another size, or coloured.
        num_frames: How many there are, at least 1.
        fps: Frames per second.
    """

    frames: Iterable[Float32[np.ndarray, "h w"]]
    num_frames: int
    fps: float


def film_values(
    path: str | Path,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Values:
    """Open a grey picture, sequence or video for its numbers.

    Args:
        path: An `.exr`, `.png` or `.tif` of up to 16 bits or of floats, a folder of them in the order of the
            numbers in their names, or a grey video.
        fps: As for `read`.
        max_frames: As for `read`.
        progress: Called with the frames read so far and the total, whenever they are read.

    Returns:
        The numbers, read as they are needed.

    Raises:
        MediaError: If a file is missing, or a video cannot be read.
        RequestError: As for `read`.
    """
    check_asked(fps, max_frames)
    path = Path(path)
    files = _files(path)[:max_frames]
    if not files:
        shown = film(path, fps=fps, max_frames=max_frames, progress=progress)
        greys = Frames(lambda: _greys(shown, path))
        return Values(frames=greys, num_frames=shown.num_frames, fps=shown.fps)

    def read_each() -> Iterator[Float32[np.ndarray, "h w"]]:
        size: tuple[int, ...] = ()
        for index, file in enumerate(files):
            values = _read_one(file)
            size = size or values.shape
            if values.shape != size:
                raise MediaError(
                    f"{file} is of another size than {files[0].name}; a sequence needs one size."
                )
            if progress is not None:
                progress(index + 1, len(files))
            yield values

    return Values(frames=Frames(read_each), num_frames=len(files), fps=fps or SEQUENCE_FPS)


def read_values(
    path: str | Path,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[Float32[np.ndarray, "f h w"], float]:
    """Read the numbers of a grey picture, sequence or video.

    Args:
        path: As for `film_values`.
        fps: As for `read`.
        max_frames: As for `read`.
        progress: As for `read`.

    Returns:
        The numbers as they are stored, which may be infinite or none at all, and the frames per second.

    Raises:
        MediaError: If a file is missing or damaged, the sizes differ, or the pictures are coloured.
        RequestError: As for `read`.
    """
    values = film_values(path, fps=fps, max_frames=max_frames, progress=progress)
    return np.stack(list(values.frames)), values.fps


def _files(path: Path) -> list[Path]:
    """The files whose numbers are read exactly, in order; none where `read` shall see to it."""
    if os.path.isdir(path):
        try:
            entries = sorted(path.iterdir(), key=natural_order)
        except OSError as error:
            raise MediaError(f"Cannot read the folder {path} ({error}); check its permissions.") from error
        known = PICTURE_SUFFIXES | _EXACT_SUFFIXES
        entries = [one for one in entries if one.suffix.lower() in known and not one.name.startswith(".")]
        if len({one.suffix.lower() for one in entries}) > 1:
            kinds = ", ".join(sorted({one.suffix.lower() for one in entries}))
            raise MediaError(
                f"The folder {path} holds pictures of several kinds ({kinds}); leave one kind in it."
            )
    else:
        entries = [path] if os.path.exists(path) else []
    return entries if all(one.suffix.lower() in _EXACT_SUFFIXES for one in entries) else []


def _read_one(path: Path) -> Float32[np.ndarray, "h w"]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MediaError(f"Cannot read {path} ({error}); check its permissions.") from error
    if path.suffix.lower() == ".exr":
        return read_exr(content, str(path))
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if picture is None:
        raise MediaError(f"Cannot read {path} as a picture; give a whole picture file.")
    if picture.ndim == 3:
        colours = picture.astype(np.float32)
        limit = MAX_COLOUR / 255 * max(float(colours.max()), 1.0)
        _check_grey(float(np.ptp(colours, axis=2).mean()), limit, path)
        picture = colours.mean(axis=2)
    return np.asarray(picture, np.float32)


def _greys(shown: Film, path: Path) -> Iterator[Float32[np.ndarray, "h w"]]:
    for index, frame in enumerate(shown.frames):
        if index == shown.num_frames // 2:
            _check_grey(float(np.ptp(frame.astype(np.int16), axis=2).mean()), MAX_COLOUR, path)
        yield cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _check_grey(difference: float, limit: float, path: Path) -> None:
    if difference > limit:
        raise MediaError(
            f"{path} is coloured, not a grey picture of depth; save it as grey, or follow it as it is, "
            "as a reference."
        )
