"""The depth control: how near everything in a clip is, guessed and drawn on one scale for the whole clip.

`iclora.controls.depths` holds the parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from iclora.clip import Clip
from iclora.controls.depths.conventions import NEAR_WHITE
from iclora.controls.depths.drawing import FAR, NEAR, check_drawing, draw_depths
from iclora.controls.depths.finding import DepthEstimator, check_estimator, find_depths, named
from iclora.controls.depths.renders import check_values
from iclora.controls.depths.value import Depths


def depth(
    clip: Clip | Depths,
    *,
    estimator: str | DepthEstimator = "tiny",
    values: str | None = None,
    device: str = "cpu",
    convention: str = NEAR_WHITE,
    near: int | float = NEAR,
    far: int | float = FAR,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Draw how near everything is.

    Args:
        clip: The filmed clip, RGB 0..255, or depth that was rendered. A clip that is all black stays black.
        estimator: A name in `DEPTH_ESTIMATORS`, the path of an `.onnx` file, or an estimator.
        values: What the numbers of an `.onnx` file's network mean: `near` (None too) or `distance`.
        device: Where a named estimator runs; `tiny` stays on the CPU.
        convention: `near-white` (grey), `near-black` (grey) or `inferno` (colours, near is pale yellow).
        near: Percentile of all pixels of the clip that is drawn as nearest, 0..100.
        far: Percentile that is drawn as farthest, below `near`.
        progress: Called with (frames done, frames in all).

    Returns:
        The control clip, with the clip's size, rate and sound.

    Raises:
        RequestError: If a dial is out of its range, or there is no such estimator.
        MissingDependencyError: If the estimator's package is not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    check_drawing(convention=convention, near=near, far=far)
    check_values(values)
    if isinstance(clip, Depths):
        return draw_depths(clip, convention=convention, near=near, far=far, progress=progress)
    check_estimator(estimator)
    if not clip.frames.any():
        return clip
    if isinstance(estimator, str):
        estimator = named(estimator, distances=values == "distance", device=device)
    depths = find_depths(clip, estimator=estimator, progress=progress)
    drawn = draw_depths(depths, size=(clip.height, clip.width), convention=convention, near=near, far=far)
    return dataclasses.replace(drawn, audio=clip.audio)
