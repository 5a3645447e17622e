"""The pose control: everybody in a clip found, followed, steadied and drawn as OpenPose skeletons.

`iclora.controls.poses` holds the parts.
"""

import dataclasses
from collections.abc import Callable

from iclora.clip import Film, Footage
from iclora.controls.cache import Cache
from iclora.controls.poses.drawing import MIN_SCORE, check_drawing, film_poses
from iclora.controls.poses.finding import Estimator, check_somebody, find_poses
from iclora.controls.poses.smoothing import SMOOTH, check_smoothing, smooth_poses


def pose(  # noqa: PLR0913  each is a dial, and has a default
    clip: Footage,
    *,
    estimator: str | Estimator = "blazepose",
    smooth: float = SMOOTH,
    stick_width: int | float | None = None,
    min_score: float = MIN_SCORE,
    hands: bool = True,
    face: bool = True,
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Footage:
    """Draw the skeletons of everybody in a clip, as OpenPose does.

    Args:
        clip: The filmed clip or film, RGB 0..255. One that is all black stays black.
        estimator: A name in `ESTIMATORS`, or an estimator.
        smooth: How much the keypoints are steadied, 0 (not at all) to 1.
        stick_width: Half the width of a limb in pixels, a whole number from 1 up; None: by the size.
        min_score: Points of a lower score are not drawn, 0..1.
        hands: Whether hands are drawn, where the estimator finds any.
        face: Whether face points are drawn, where the estimator finds any.
        cache: Where what a named estimator finds is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).

    Returns:
        Skeletons on black, with the clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range, or nobody is found.
        MissingDependencyError: If the estimator's package is not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    check_drawing(stick_width=stick_width, min_score=min_score)
    check_smoothing(smooth)
    if not any(frame.any() for frame in clip.frames):
        return clip
    poses = find_poses(clip, estimator=estimator, cache=cache, progress=progress)
    poses = smooth_poses(poses, smooth)
    check_somebody(poses, min_score=min_score)
    width = None if stick_width is None else int(stick_width)
    drawn = film_poses(poses, stick_width=width, min_score=min_score, hands=hands, face=face)
    return drawn if isinstance(clip, Film) else dataclasses.replace(drawn.read(), audio=clip.audio)
