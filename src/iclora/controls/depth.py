"""The depth control: how near everything in a clip is, guessed and drawn on one scale for the whole clip.

`iclora.controls.depths` holds the parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from iclora.clip import Clip, Film, Footage
from iclora.controls.cache import Cache
from iclora.controls.depths.conventions import NEAR_WHITE
from iclora.controls.depths.drawing import (
    FAR,
    NEAR,
    check_drawing,
    depth_range,
    draw_depths,
    film_drawn,
    steadied_depths,
)
from iclora.controls.depths.finding import DepthEstimator, check_estimator, film_found
from iclora.controls.depths.renders import check_values_used
from iclora.controls.depths.value import DepthFilm, Depths
from iclora.controls.flow import check_stabilise
from iclora.errors import RequestError


def depth(  # noqa: PLR0913  each is a dial, and has a default
    clip: Footage | Depths | DepthFilm,
    *,
    estimator: str | DepthEstimator = "tiny",
    values: str | None = None,
    device: str = "cpu",
    convention: str = NEAR_WHITE,
    near: int | float = NEAR,
    far: int | float = FAR,
    stabilise: float = 0.0,
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Footage | Clip | Film:
    """Draw how near everything is.

    Args:
        clip: The filmed clip or film, RGB 0..255, or depth that was rendered. One that is all black stays
            black.
        estimator: A name in `DEPTH_ESTIMATORS`, the path of an `.onnx` file, or an estimator.
        values: What the numbers of an `.onnx` file's network mean: `near` (None too) or `distance`.
        device: Where a named estimator runs.
        convention: `near-white` (grey), `near-black` (grey) or `inferno` (colours, near is pale yellow).
        near: Percentile of all pixels of the clip that is drawn as nearest, 0..100.
        far: Percentile that is drawn as farthest, below `near`.
        stabilise: How much of each frame comes from those around it, along the motion, 0 (none) .. 1.
        cache: Where the depth of a named estimator is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).

    Returns:
        The control clip, with the clip's size, rate and sound; of a `DepthFilm` a film.

    Raises:
        RequestError: If a dial is out of its range, or there is no such estimator.
        MissingDependencyError: If the estimator's package is not installed.
        ModelError: If its weights cannot be fetched or read.
        OutputError: If there is no room for what is found.
    """
    check_drawing(convention=convention, near=near, far=far)
    check_stabilise(stabilise)
    check_values_used(values, render=isinstance(clip, (Depths, DepthFilm)), estimator=estimator)
    if isinstance(clip, (Depths, DepthFilm)):
        if stabilise:
            raise RequestError(
                "stabilise is about a filmed clip, and a render is drawn as it is; leave it out."
            )
        if isinstance(clip, Depths):
            return draw_depths(clip, convention=convention, near=near, far=far, progress=progress)
        between = depth_range(clip, near=near, far=far)
        return film_drawn(clip, between=between, convention=convention, progress=progress)
    check_estimator(estimator, device=device)
    if not any(frame.any() for frame in clip.frames):
        return clip
    found = film_found(
        clip,
        estimator=estimator,
        distances=values == "distance",
        device=device,
        cache=cache,
        progress=progress,
    )
    between = depth_range(found, near=near, far=far)
    steady = steadied_depths(found, clip, stabilise)
    drawn = film_drawn(steady, between=between, size=(clip.height, clip.width), convention=convention)
    return drawn if isinstance(clip, Film) else dataclasses.replace(drawn.read(), audio=clip.audio)
