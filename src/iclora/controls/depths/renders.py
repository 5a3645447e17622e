"""Depth that was rendered, taken as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from iclora import media
from iclora.clip import Frames
from iclora.controls.depths.value import DepthFilm, Depths, check_not_all_sky, nearness_of
from iclora.errors import MediaError, RequestError

VALUES = ("near", "distance")


def film_render(
    path: str | Path,
    *,
    values: str | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> DepthFilm:
    """Open a depth render without holding it.

    Args:
        path: An `.exr`, a grey `.png` or `.tif` of 8 or 16 bits, a folder of them, or a grey video (8 bits
            are read).
        values: What its numbers are: `near` (larger is nearer, as depth is drawn) or `distance` (larger
            is farther, as renderers and depth cameras count). None: distance in `.exr`, near elsewhere.
        fps: As for `media.read`.
        max_frames: As for `media.read`.
        progress: Called with the frames read so far and the total, whenever they are read.

    Returns:
        The depth, of the size of the pictures; going through it raises a MediaError where a file is damaged,
        differs in size, is coloured, or holds no depth.

    Raises:
        MediaError: If it cannot be read, or its distances are nothing but sky.
        RequestError: If `values` is neither, or as for `media.read`.
    """
    check_values(values)
    numbers = media.film_values(path, fps=fps, max_frames=max_frames, progress=progress)
    if values is None:
        values = "distance" if _is_exr(Path(path)) else "near"

    def near() -> Iterator[np.ndarray]:
        for frame in numbers.frames:
            frame = nearness_of(frame) if values == "distance" else frame
            if not np.isfinite(frame).all():
                raise MediaError(
                    f"{path} holds numbers that are not finite; render its depth again, or say distance."
                )
            yield frame

    frames = Frames(near)
    if values == "distance":
        check_not_all_sky(frames)
    height, width = next(iter(frames)).shape
    return DepthFilm(
        frames=frames, height=height, width=width, num_frames=numbers.num_frames, fps=numbers.fps
    )


def read_depths(
    path: str | Path,
    *,
    values: str | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Depths:
    """Read a depth render.

    Args:
        path: As for `film_render`.
        values: As for `film_render`.
        fps: As for `media.read`.
        max_frames: As for `media.read`.
        progress: As for `media.read`.

    Returns:
        The depth, of the size of the pictures.

    Raises:
        MediaError: If it cannot be read, is coloured, or holds no depth.
        RequestError: If `values` is neither, or as for `media.read`.
    """
    return film_render(path, values=values, fps=fps, max_frames=max_frames, progress=progress).read()


def check_values(values: str | None) -> None:
    """Refuse a word for what numbers of depth mean that is none.

    Args:
        values: As for `film_render`.

    Raises:
        RequestError: If it is neither of `VALUES`.
    """
    if values is not None and values not in VALUES:
        raise RequestError(f"Values of depth cannot be {values!r}; say {' or '.join(VALUES)}.")


def check_values_used(values: str | None, *, render: bool, estimator: object) -> None:
    """Refuse a word for what numbers mean where none are read, and one that is none.

    Args:
        values: As for `film_render`.
        render: Whether the depth was rendered.
        estimator: What finds it otherwise.

    Raises:
        RequestError: If it is neither of `VALUES`, or would do nothing.
    """
    check_values(values)
    onnx = isinstance(estimator, str) and estimator.lower().endswith(".onnx")
    if values is not None and not render and not onnx:
        raise RequestError(
            "values is about a render or an .onnx file; say that it is a render (--render, "
            "render=yes), or leave it out."
        )


def _is_exr(path: Path) -> bool:
    first = next(path.glob("*.[eE][xX][rR]"), path) if path.is_dir() else path
    return first.suffix.lower() == ".exr"
