"""Writing: one call for every kind of result."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from iclora.clip import Clip, Film
from iclora.errors import OutputError
from iclora.media.files import check_place, write_directory, write_file, write_stream
from iclora.media.video_writer import MP4, WEBM, encode_gif, encode_video

_ENCODINGS = {".mp4": MP4, ".webm": WEBM}
_CLIP_SUFFIXES = (*_ENCODINGS, ".gif", ".png")
_FRAME = re.compile(r"frame_\d+\.png")
_IMAGE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def save(
    clip: Clip | Film,
    path: str | Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Write a clip, or a film as it is gone through.

    It appears under its name when it is whole; whatever fails before leaves nothing there. Notes on how it
    was made are left to who knows: the commands write them beside it.

    Args:
        clip: What to write.
        path: `.mp4` (H.264), `.webm` (VP9), `.gif`, `.png` for a clip of one frame; a name without a suffix
            or with a slash at its end is a folder of `frame_0000.png`, `frame_0001.png`, ...
        overwrite: Whether a result that exists there may be replaced: a file, or a folder that holds nothing
            but such frames.
        progress: Called with the frames encoded so far and the total.

    Returns:
        The path written.

    Raises:
        OutputError: The path exists, is a folder with other things in it, is of an unknown kind, cannot be
            written, or the disk is full.
    """
    report = progress if progress is not None else _no_progress
    target = check_output(path, overwrite=overwrite)
    suffix = target.suffix.lower()
    if _is_directory(path):
        write_directory(target, _numbered_pictures(clip, report), overwrite=overwrite)
    elif suffix == ".png":
        if clip.num_frames > 1:
            raise OutputError(
                f"{target} holds one picture, but the clip has {clip.num_frames} frames; "
                f"write a folder ({target.with_suffix('')}/) or a video (.mp4)."
            )
        write_file(target, _encode_image(next(iter(clip.frames)), "PNG"), overwrite=overwrite)
        report(1, 1)
    elif suffix == ".gif":
        write_stream(target, lambda file: encode_gif(clip, file, progress=report), overwrite=overwrite)
    else:
        encoding = _ENCODINGS[suffix]
        write_stream(
            target, lambda file: encode_video(clip, encoding, file, progress=report), overwrite=overwrite
        )
    return target


def check_output(path: str | Path, *, overwrite: bool) -> Path:
    """Find out before any work whether a clip could be written.

    Args:
        path: As for `save`.
        overwrite: As for `save`.

    Returns:
        The path.

    Raises:
        OutputError: The path exists, is a folder with other things in it, is of an unknown kind, or its
            folder is missing or cannot be written to.
    """
    target, directory = Path(path), _is_directory(path)
    if not directory and target.suffix.lower() not in _CLIP_SUFFIXES:
        raise OutputError(
            f"Cannot write {target}: unknown kind {target.suffix}; use {', '.join(_CLIP_SUFFIXES)}, "
            "or a name that ends in / for a folder of pictures."
        )
    check_place(target, overwrite=overwrite, directory=directory)
    if target.is_dir():
        foreign = sorted(
            one.name for one in target.iterdir() if not _FRAME.fullmatch(one.name) or one.is_dir()
        )
        if foreign:
            raise OutputError(
                f"{target} holds {foreign[0]}, which is no frame of a result; name another folder, or move "
                "away what is not to be replaced."
            )
    return target


def save_image(image: UInt8[np.ndarray, "h w 3"], path: str | Path, *, overwrite: bool = False) -> Path:
    """Write one picture, whole or not at all.

    Args:
        image: RGB, uint8 0..255, `h w 3`.
        path: `.png`, `.jpg`, `.jpeg` or `.webp`.
        overwrite: Whether a file that exists there may be replaced.

    Returns:
        The path written.

    Raises:
        OutputError: The path exists, is of an unknown kind, cannot be written, or the disk is full.
    """
    target = Path(path)
    image_format = _IMAGE_FORMATS.get(target.suffix.lower())
    if image_format is None:
        raise OutputError(f"Cannot write {target} as a picture; use {', '.join(_IMAGE_FORMATS)}.")
    write_file(target, _encode_image(image, image_format), overwrite=overwrite)
    return target


def _is_directory(path: str | Path) -> bool:
    return str(path).endswith(("/", "\\")) or not Path(path).suffix


def _numbered_pictures(
    clip: Clip | Film, progress: Callable[[int, int | None], None]
) -> Iterator[tuple[str, bytes]]:
    for index, picture in enumerate(clip.frames):
        yield f"frame_{index:04d}.png", _encode_image(picture, "PNG")
        progress(index + 1, clip.num_frames)


def _encode_image(image: UInt8[np.ndarray, "h w 3"], image_format: str) -> bytes:
    buffer = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(image)).save(buffer, format=image_format, quality=95)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{image_format} cannot hold {image.shape[1]}x{image.shape[0]} pixels ({error}); "
            "choose another size or .png."
        ) from error
    return buffer.getvalue()


def _no_progress(done: int, total: int | None) -> None:
    """Report to nobody."""
