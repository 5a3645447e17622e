"""The pose control: everybody in a clip found, followed, steadied and drawn as OpenPose skeletons.

`iclora.controls.poses` holds the parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iclora.clip import Clip, Film, Footage
from iclora.controls.cache import Cache
from iclora.controls.poses.drawing import MIN_SCORE, check_drawing, draw_poses, film_poses
from iclora.controls.poses.finding import Estimator, check_estimator, check_somebody, find_poses
from iclora.controls.poses.keypoint_files import read_keypoints
from iclora.controls.poses.placing import check_retargeting, retarget
from iclora.controls.poses.poses import Poses, leading
from iclora.controls.poses.smoothing import SMOOTH, check_smoothing, smooth_poses


def pose(  # noqa: PLR0913  each is a dial, and has a default
    clip: Footage | Poses,
    *,
    estimator: str | Estimator = "blazepose",
    device: str = "cpu",
    people: int | None = None,
    smooth: float | None = None,
    body: str | Path | None = None,
    scale: float = 1.0,
    move: tuple[float, float] = (0.0, 0.0),
    person: int | None = None,
    stick_width: int | float | None = None,
    min_score: float = MIN_SCORE,
    hands: bool = True,
    face: bool = True,
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Footage | Clip:
    """Draw the skeletons of everybody in a clip, as OpenPose does.

    Args:
        clip: The filmed clip or film, RGB 0..255, or keypoints. One that is all black stays black.
        estimator: A name in `ESTIMATORS`, or an estimator; of no use with keypoints.
        device: Where a named estimator runs, `cpu` or `cuda`.
        people: Most people to draw, those seen longest and largest, >= 1; None: all.
        smooth: How much the keypoints are steadied, 0 (not at all) to 1. None: 0.5 of a film, 0 of keypoints.
        body: A file of keypoints whose first person's limbs are given to everybody; None: their own.
        scale: How many times larger people are drawn where they stand, above 0.
        move: And how many pixels to the right and down.
        person: Whom `body`, `scale` and `move` are for, counted from 0; None: everybody.
        stick_width: Half the width of a limb in pixels, a whole number from 1 up; None: by the size.
        min_score: Points of a lower score are not drawn, 0..1.
        hands: Whether hands are drawn, where there are any.
        face: Whether face points are drawn, where there are any.
        cache: Where what a named estimator finds is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).

    Returns:
        Skeletons on black, with the clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range, or nobody is found.
        InputError: If the file of the body cannot be read.
        MissingDependencyError: If the estimator's package is not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    check_drawing(stick_width=stick_width, min_score=min_score)
    check_smoothing(0.0 if smooth is None else smooth)
    check_retargeting(body=body, scale=scale, move=move, person=person)
    other = None if body is None else read_keypoints(body, height=clip.height, width=clip.width, fps=clip.fps)
    if isinstance(clip, Poses):
        poses, smooth = leading(clip, max_people=people), smooth or 0.0
    else:
        check_estimator(estimator, max_people=people, device=device)
        if not any(frame.any() for frame in clip.frames):
            return clip
        poses = find_poses(
            clip, estimator=estimator, max_people=people, device=device, cache=cache, progress=progress
        )
    poses = smooth_poses(poses, SMOOTH if smooth is None else smooth)
    poses = retarget(poses, body=other, scale=scale, move=move, person=person)
    check_somebody(poses, min_score=min_score)
    width = None if stick_width is None else int(stick_width)
    drawing: dict[str, Any] = {"stick_width": width, "min_score": min_score, "hands": hands, "face": face}
    if isinstance(clip, Poses):
        return draw_poses(poses, **drawing)
    drawn = film_poses(poses, **drawing)
    return drawn if isinstance(clip, Film) else dataclasses.replace(drawn.read(), audio=clip.audio)
