"""Stills, GIF and WebP animations, and sequences of pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from iclora.clip import Clip, Film, Frames
from iclora.errors import MediaError
from iclora.media.timing import frames_on_show, is_even, resample

SEQUENCE_FPS = 24.0
PICTURE_SUFFIXES = frozenset(
    {".apng", ".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
_ANIMATED_FORMATS = frozenset({"AVIF", "GIF", "PNG", "WEBP"})
NO_COLOURS = "an .exr is read for its depth alone: say that it is a render (--render, or render=yes)"
# What players do with animations that give a frame no time at all.
_UNTIMED_FRAME_MS = 100.0
_NUMBER = re.compile(r"%(0\d+)?d")
_UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError)


def has_number(name: str) -> bool:
    """Tell whether a file name is a pattern such as `name_%04d.png`.

    Args:
        name: The file name without its folder.

    Returns:
        True if it holds a place for a number.
    """
    return _NUMBER.search(name) is not None


def read_pictures(
    path: Path, *, fps: float | None, max_frames: int | None, progress: Callable[[int, int | None], None]
) -> Clip:
    """Read a still, or an animation with the durations of its frames.

    Args:
        path: A picture file.
        fps: As for `media.read`.
        max_frames: As for `media.read`.
        progress: Called with the frames read so far and the total.

    Returns:
        A clip of one frame for a still; an animation on an even clock.

    Raises:
        MediaError: The file is not a picture, or damaged.
    """
    try:
        with Image.open(path) as image:
            if image.format in _ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1:
                return _read_animation(image, fps=fps, max_frames=max_frames, progress=progress)
            picture = _to_rgb(ImageOps.exif_transpose(image))
    except _UNREADABLE as error:
        raise MediaError(f"Cannot read {path} as a picture ({error}); give a whole picture file.") from error
    progress(1, 1)
    return Clip(frames=picture[None], fps=fps or SEQUENCE_FPS)


def film_directory(
    path: Path, *, fps: float | None, max_frames: int | None, progress: Callable[[int, int | None], None]
) -> Film:
    """Open all pictures of a folder as one film, ordered by the numbers in their names.

    Args:
        path: The folder. Hidden files and files of other kinds are passed over.
        fps: Rate of the clip, or None for 24.
        max_frames: As for `media.read`.
        progress: Called with the frames read so far and the total.

    Returns:
        A film with one frame for each picture, read as it is gone through; going through it raises a
        MediaError where one is damaged or differs in size.

    Raises:
        MediaError: The folder is unreadable or holds no pictures, or the first is damaged.
    """
    try:
        entries = sorted(path.iterdir(), key=natural_order)
    except OSError as error:
        raise MediaError(f"Cannot read the folder {path} ({error}); check its permissions.") from error
    files = [
        entry
        for entry in entries
        if entry.suffix.lower() in PICTURE_SUFFIXES and entry.is_file() and not entry.name.startswith(".")
    ]
    if not files:
        if any(entry.suffix.lower() == ".exr" for entry in entries):
            raise MediaError(f"The folder {path} holds no pictures to look at; {NO_COLOURS}.")
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise MediaError(f"The folder {path} holds no pictures; put files of these kinds into it: {kinds}.")
    return _sequence(files, fps=fps, max_frames=max_frames, progress=progress)


def film_pattern(
    path: Path, *, fps: float | None, max_frames: int | None, progress: Callable[[int, int | None], None]
) -> Film:
    """Open a numbered sequence such as `name_%04d.png`, from its lowest number on.

    Args:
        path: The pattern; only the file name may hold the number.
        fps: Rate of the clip, or None for 24.
        max_frames: As for `media.read`.
        progress: Called with the frames read so far and the total.

    Returns:
        A film with one frame for each picture, read as it is gone through; going through it raises a
        MediaError where one is damaged or differs in size.

    Raises:
        MediaError: No file fits, a number is missing, or the first picture is damaged.
    """
    before, place, after = re.split(r"(%(?:0\d+)?d)", path.name, maxsplit=1)
    width = int(place[1:-1] or 1)
    fitting = re.compile(re.escape(before) + rf"(\d{{{width},}})" + re.escape(after))
    try:
        entries = list(path.parent.iterdir()) if path.parent.is_dir() else []
    except OSError as error:
        raise MediaError(f"Cannot read the folder {path.parent} ({error}); check its permissions.") from error
    numbered = sorted((int(match[1]), entry) for entry in entries if (match := fitting.fullmatch(entry.name)))
    if not numbered:
        raise MediaError(
            f"No file fits the pattern {path}; check the folder, the name and the number of digits."
        )
    for (number, _), (following, _) in zip(numbered, numbered[1:], strict=False):
        if following != number + 1:
            raise MediaError(
                f"The sequence {path} has number {number} but not {number + 1}, and goes on at {following}; "
                "add the missing pictures or number them without a gap."
            )
    return _sequence([entry for _, entry in numbered], fps=fps, max_frames=max_frames, progress=progress)


def _sequence(
    files: list[Path],
    *,
    fps: float | None,
    max_frames: int | None,
    progress: Callable[[int, int | None], None],
) -> Film:
    files = files[:max_frames]
    height, width, _ = _open_one(files[0]).shape

    def pictures() -> Iterator[np.ndarray]:
        for index, file in enumerate(files):
            picture = _open_one(file)
            if picture.shape[:2] != (height, width):
                raise MediaError(
                    f"{file} has {picture.shape[1]}x{picture.shape[0]} pixels, but {files[0].name} has "
                    f"{width}x{height}; a sequence needs pictures of one size."
                )
            progress(index + 1, len(files))
            yield picture

    return Film(
        frames=Frames(pictures),
        height=height,
        width=width,
        num_frames=len(files),
        fps=float(fps or SEQUENCE_FPS),
        origin=tuple(files),
    )


def _open_one(file: Path) -> UInt8[np.ndarray, "h w 3"]:
    try:
        with Image.open(file) as image:
            return _to_rgb(ImageOps.exif_transpose(image))
    except _UNREADABLE as error:
        raise MediaError(f"Cannot read {file} as a picture ({error}); replace or remove it.") from error


def _read_animation(
    image: Image.Image,
    *,
    fps: float | None,
    max_frames: int | None,
    progress: Callable[[int, int | None], None],
) -> Clip:
    total = int(getattr(image, "n_frames", 1))
    pictures, durations = [], []
    for picture, duration_seconds in _animation_frames(image, total):
        pictures.append(picture)
        durations.append(duration_seconds)
        progress(len(pictures), total)
    ends = np.cumsum(np.asarray(durations, dtype=np.float64))
    times = np.concatenate([[0.0], ends[:-1]])
    rate = total / float(ends[-1])
    frames = np.stack(pictures)
    if is_even(times, rate):
        clip = Clip(frames=frames, fps=rate)
        if fps is not None:
            clip = resample(clip, fps=fps, num_frames=max(1, round(float(ends[-1]) * fps)))
    else:
        rate = fps or rate
        ticks = np.arange(max(1, round(float(ends[-1]) * rate))) / rate
        clip = Clip(frames=frames[frames_on_show(times, ticks)], fps=rate)
    if max_frames is not None:
        clip = Clip(frames=clip.frames[:max_frames], fps=clip.fps)
    return clip


def _animation_frames(image: Image.Image, total: int) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], float]]:
    for index in range(total):
        image.seek(index)
        picture = _to_rgb(image)  # loading a frame also fills in its duration
        milliseconds = float(image.info.get("duration", 0))
        yield picture, (milliseconds or _UNTIMED_FRAME_MS) / 1000


def _to_rgb(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Flatten to RGB: sixteen-bit grey keeps its upper eight bits, transparent parts become black."""
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) // 257
        return np.repeat(grey[..., None].astype(np.uint8), 3, axis=-1)
    if image.mode == "F":
        raise MediaError("A floating-point picture has no known range; save it as 8 or 16 bits first.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def natural_order(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Order names as people number them: frame_2 before frame_10.

    Args:
        path: A file.

    Returns:
        What to sort it by.
    """
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part], path.name
