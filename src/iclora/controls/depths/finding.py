"""Depth found in a clip by an estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.clip import Clip
from iclora.controls.depths.anything import RELEASES, DepthAnything
from iclora.controls.depths.onnx import OnnxDepth
from iclora.controls.depths.tiny import Tiny
from iclora.controls.depths.value import Depths
from iclora.errors import RequestError

DepthEstimator = Callable[[Iterable[UInt8[np.ndarray, "h w 3"]]], Iterator[Float32[np.ndarray, "H W"]]]
"""Guesses depth in the frames of one clip (RGB 0..255, in their order): yields the nearness of each, all
of one size."""

DEPTH_ESTIMATORS = ("tiny", *RELEASES)
"""Estimators by name; their weights are loaded, or fetched, when a clip is to be looked at."""


def named(name: str, *, distances: bool = False, device: str = "cpu") -> DepthEstimator:
    """Load an estimator.

    Args:
        name: One of `DEPTH_ESTIMATORS`, or the path of an `.onnx` file.
        distances: Whether an `.onnx` file gives distances rather than nearness.
        device: Where it runs; `tiny` stays on the CPU.

    Returns:
        The estimator.

    Raises:
        RequestError: If there is no such estimator.
        MissingDependencyError: If onnxruntime is needed and not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    return _maker(name, distances=distances, device=device)()


def _maker(name: str, *, distances: bool, device: str) -> Callable[[], DepthEstimator]:
    """What loads an estimator; nothing is loaded yet."""
    if name == "tiny":
        return Tiny
    if name in RELEASES:
        return partial(DepthAnything, name, device=device)
    if name.lower().endswith(".onnx"):
        return partial(OnnxDepth, Path(name), distances=distances, device=device)
    known = ", ".join(DEPTH_ESTIMATORS)
    raise RequestError(f"There is no depth estimator {name!r}; choose one of {known}, or give an .onnx file.")


def check_estimator(estimator: str | DepthEstimator) -> None:
    """Refuse the name of an estimator that does not exist, before anything is loaded.

    Args:
        estimator: A name, or an estimator.

    Raises:
        RequestError: If there is none of that name.
    """
    if isinstance(estimator, str):
        _maker(estimator, distances=False, device="cpu")


def find_depths(
    clip: Clip,
    *,
    estimator: str | DepthEstimator = "tiny",
    progress: Callable[[int, int | None], None] | None = None,
) -> Depths:
    """Guess how near everything in a clip is.

    Args:
        clip: The filmed clip, RGB 0..255.
        estimator: One of `DEPTH_ESTIMATORS`, the path of an `.onnx` file, or an estimator.
        progress: Called with (frames done, frames in all).

    Returns:
        The nearness as guessed, at the size the estimator works at, neither steadied nor scaled.

    Raises:
        RequestError: If there is no such estimator.
        MissingDependencyError: If onnxruntime is needed and not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    find = named(estimator) if isinstance(estimator, str) else estimator
    frames = []
    for nearness in find(clip.frames):
        frames.append(nearness)
        if progress is not None:
            progress(len(frames), clip.num_frames)
    return Depths(nearness=np.stack(frames), fps=clip.fps)
