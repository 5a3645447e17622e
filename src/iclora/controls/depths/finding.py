"""Depth found in a clip by an estimator."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.clip import Clip, Film
from iclora.controls.cache import Cache, key_of, spooled
from iclora.controls.depths.anything import DepthAnything
from iclora.controls.depths.onnx import OnnxDepth, check_onnx, located
from iclora.controls.depths.releases import RELEASES
from iclora.controls.depths.releases import find as find_release
from iclora.controls.depths.tiny import WEIGHTS, Tiny
from iclora.controls.depths.value import DepthFilm, Depths
from iclora.controls.depths.video import VideoDepthAnything
from iclora.controls.devices import check_device
from iclora.errors import RequestError

DepthEstimator = Callable[[Iterable[UInt8[np.ndarray, "h w 3"]]], Iterator[Float32[np.ndarray, "H W"]]]
"""Guesses depth in the frames of one clip (RGB 0..255, in their order): yields the nearness of each, all
of one size."""

DEPTH_ESTIMATORS = ("tiny", *RELEASES)
"""Estimators by name; their weights are loaded, or fetched, when a clip is to be looked at."""


def named(name: str, *, distances: bool = False, device: str = "cpu") -> DepthEstimator:
    """Load an estimator.

    Args:
        name: One of `DEPTH_ESTIMATORS`, or an `.onnx` file: its path, or
            `hub:OWNER/NAME/FILE.onnx`.
        distances: Whether an `.onnx` file gives distances rather than nearness.
        device: Where it runs.

    Returns:
        The estimator.

    Raises:
        RequestError: If there is no such estimator or device.
        MissingDependencyError: If onnxruntime is needed and not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    check_estimator(name, device=device)
    if name == "tiny":
        return Tiny(device=device)
    if name in RELEASES:
        made = VideoDepthAnything if RELEASES[name].in_time else DepthAnything
        return made(name, device=device)
    return OnnxDepth(located(name, fetch=True), distances=distances, device=device)


def check_estimator(estimator: str | DepthEstimator, *, device: str = "cpu") -> None:
    """Refuse the name of an estimator that does not exist, or cannot run, before anything is loaded.

    Args:
        estimator: A name, or an estimator.
        device: Where one of a name is to run.

    Raises:
        RequestError: If there is none of that name, or no such device.
        MissingDependencyError: If onnxruntime is needed and not installed.
        ModelError: If there is no such `.onnx` file.
    """
    if not isinstance(estimator, str):
        return
    if estimator in DEPTH_ESTIMATORS:
        check_device(device)
    elif estimator.lower().endswith(".onnx"):
        check_onnx(estimator, device=device)
    else:
        known = ", ".join(DEPTH_ESTIMATORS)
        raise RequestError(
            f"There is no depth estimator {estimator!r}; choose one of {known}, or give an .onnx file, or "
            "hub:OWNER/NAME/FILE.onnx."
        )


def find_depths(
    clip: Clip | Film,
    *,
    estimator: str | DepthEstimator = "tiny",
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Depths:
    """Guess how near everything in a clip is, and hold it.

    Args:
        clip: As for `film_found`.
        estimator: As for `film_found`.
        cache: As for `film_found`.
        progress: As for `film_found`.

    Returns:
        As `film_found`.

    Raises:
        IcloraError: As `film_found`.
    """
    return film_found(clip, estimator=estimator, cache=cache, progress=progress).read()


def film_found(
    clip: Clip | Film,
    *,
    estimator: str | DepthEstimator = "tiny",
    distances: bool = False,
    device: str = "cpu",
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> DepthFilm:
    """Guess how near everything in a clip or a film is, and put it into a file.

    Args:
        clip: What is filmed, RGB 0..255.
        estimator: One of `DEPTH_ESTIMATORS`, the path of an `.onnx` file, or an estimator.
        distances: As for `named`.
        device: As for `named`.
        cache: Where it is kept, and taken from if it was found before; None, or with an estimator that is no
            name: it is not kept.
        progress: Called with (frames done, frames in all).

    Returns:
        The nearness as guessed, at the size the estimator works at, neither steadied nor scaled.

    Raises:
        RequestError: If there is no such estimator or device, or it finds numbers that are not finite.
        MissingDependencyError: If onnxruntime is needed and not installed.
        ModelError: If its weights cannot be fetched or read.
        OutputError: If there is no room for what is found.
    """
    check_estimator(estimator, device=device)

    def found() -> Iterator[Float32[np.ndarray, "H W"]]:
        find = estimator
        if isinstance(find, str):
            find = named(find, distances=distances, device=device)
        for index, nearness in enumerate(find(clip.frames)):
            if not np.isfinite(nearness).all():
                raise RequestError(
                    f"The depth found in frame {index} is not finite; use another estimator or device."
                )
            yield nearness
            if progress is not None:
                progress(index + 1, clip.num_frames)

    key = None
    if cache is not None and isinstance(estimator, str):
        key = key_of(clip, "depth", estimator, *_weights(estimator), distances, device)
    if cache is None or key is None:
        rows = spooled(found(), clip.num_frames)
    else:
        rows = cache.rows("depth", key, found, clip.num_frames)
    _, height, width = rows.shape
    return DepthFilm(frames=rows, height=height, width=width, num_frames=clip.num_frames, fps=clip.fps)


def _weights(name: str) -> list[Path]:
    """The files of an estimator, fetched where they are not there yet."""
    if name == "tiny":
        return [WEIGHTS]
    if name in RELEASES:
        return find_release(RELEASES[name])
    path = located(name, fetch=True)
    return sorted(path.parent.glob(f"{glob.escape(path.name)}*"))  # large ones keep their weights beside them
