"""Skeletons brought elsewhere: to another picture size, another clock, another place, another body.

`with_body` keeps every direction a limb has and gives it the length it has on the other body:

    neck ─► shoulders, hips, nose ─► elbows, knees, eyes ─► wrists, ankles, ears
            each point = the moved point before it + the old limb x (other length / own length)

Hands go with their wrist and scale with the forearm, the face goes with the nose and scales with the head.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float32

from iclora.controls.poses.poses import Poses
from iclora.controls.poses.skeleton import (
    BODY,
    FACE,
    LEFT_HAND,
    LEFT_WRIST,
    LIMBS,
    NOSE,
    RIGHT_HAND,
    RIGHT_WRIST,
)
from iclora.errors import RequestError

MAX_FRAMES = 100_000
"""Most frames keypoints are put on; more are a mistake."""
_MIRRORED = (
    *((0, 1), (2, 4), (3, 5), (6, 9), (7, 10), (8, 11)),
    *((13, 15), (14, 16)),
)
"""Limbs that are as long as each other on a body: shoulders, arms, trunk, legs, head."""
_LENGTH_PERCENTILE = 80.0
"""A limb that points at the camera looks short; its length is taken from the frames where it looks long."""
_LEFT_FOREARM, _RIGHT_FOREARM, _NECK_TO_NOSE = 5, 3, 12
_EXTRAS = (
    (LEFT_HAND, LEFT_WRIST, _LEFT_FOREARM),
    (RIGHT_HAND, RIGHT_WRIST, _RIGHT_FOREARM),
    (FACE, NOSE, _NECK_TO_NOSE),
)
"""What hangs on a body point, and the limb it is scaled with."""


def fit(
    poses: Poses, height: int, width: int, *, how: Literal["cover", "contain", "stretch"] = "cover"
) -> Poses:
    """Bring keypoints to another picture size, as `media.resize` brings the frames.

    Args:
        poses: Any poses.
        height: Height of the new picture in pixels, at least 1.
        width: Its width in pixels, at least 1.
        how: `cover`: the middle of the old picture fills the new one; `contain`: all of the old one is kept;
            `stretch`: the aspect ratio changes.

    Returns:
        The poses on the new picture; points that fall outside stay.

    Raises:
        RequestError: If a size is below 1 or the way is unknown.
    """
    if height < 1 or width < 1:
        raise RequestError(f"Keypoints cannot be fitted to {width}x{height} pixels; both must be at least 1.")
    scales = np.array([width / poses.width, height / poses.height])
    if how in ("cover", "contain"):
        scales[:] = scales.max() if how == "cover" else scales.min()
    elif how != "stretch":
        raise RequestError(f"Unknown fit {how!r}; choose cover, contain or stretch.")
    shift = (np.array([width, height]) - scales * [poses.width, poses.height]) / 2
    return replace(_moved(poses, scales, shift), height=height, width=width)


def place(
    poses: Poses, *, scale: float = 1.0, move: tuple[float, float] = (0.0, 0.0), person: int | None = None
) -> Poses:
    """Make people larger or smaller where they stand, and move them.

    Args:
        poses: Any poses.
        scale: How many times larger, above 0. What stays is, for each person and the whole clip, the middle
            of the lower edge of the box around all their points: the ground they stand on.
        move: Pixels to the right and down.
        person: Who, a number in `Poses.people`; None: everybody.

    Returns:
        The poses with those people placed.

    Raises:
        RequestError: If the scale is not above 0, a number is not finite, or there is no such person.
    """
    check_placing(scale=scale, move=move)
    if person is not None and not 0 <= person < poses.num_people:
        raise RequestError(f"There is no person {person}; there are {poses.num_people}, counted from 0.")
    points = poses.points.copy()
    for place, frames in poses.people if person is None else [poses.people[person]]:
        own = points[frames, place]
        there = own[..., 2] > 0
        if there.any():
            low, high = own[there][:, :2].min(axis=0), own[there][:, :2].max(axis=0)
            ground = np.array([(low[0] + high[0]) / 2, high[1]])
            own[there, :2] = (own[there, :2] - ground) * scale + ground + np.asarray(move)
    return replace(poses, points=points)


def check_placing(*, scale: float, move: tuple[float, float]) -> None:
    """Refuse a scale and a way that nobody can be placed by.

    Args:
        scale: As for `place`.
        move: As for `place`.

    Raises:
        RequestError: If the scale is not above 0, or a number is not finite.
    """
    if not (0 < scale < math.inf and all(math.isfinite(one) for one in move)):
        raise RequestError(
            f"Cannot scale by {scale} and move by {move}; give a scale above 0 and two numbers."
        )


def check_retargeting(
    *, body: object | None, scale: float, move: tuple[float, float], person: int | None
) -> None:
    """Refuse words about another body or place that cannot be met, or do nothing.

    Args:
        body: The other body, or its file; None: none.
        scale: As for `place`.
        move: As for `place`.
        person: Whom they are for, counted from 0; None: everybody.

    Raises:
        RequestError: If a number is out of its range, or a person is named whom nothing is done to.
    """
    check_placing(scale=scale, move=move)
    if person is not None and person < 0:
        raise RequestError(f"There is no person {person}; people are counted from 0.")
    if person is not None and body is None and scale == 1 and tuple(move) == (0, 0):
        raise RequestError(
            f"Nothing is done to person {person}; say another body, a scale or a move, or leave person out."
        )


def retarget(
    poses: Poses,
    *,
    body: Poses | None = None,
    scale: float = 1.0,
    move: tuple[float, float] = (0.0, 0.0),
    person: int | None = None,
) -> Poses:
    """Give people another body, then another place.

    Args:
        poses: The motion.
        body: Poses whose first person's limbs they get; None: they keep their own.
        scale: As for `place`.
        move: As for `place`.
        person: Whose limbs and place change; None: everybody's.

    Returns:
        The poses, retargeted.

    Raises:
        RequestError: If there is no such person, or as for `with_body` and `place`.
    """
    if body is not None:
        poses = with_body(poses, body, person=person)
    return place(poses, scale=scale, move=move, person=person)


def retime(poses: Poses, *, fps: float, num_frames: int | None = None) -> Poses:
    """Put keypoints on another clock, as `media.resample` puts frames: each frame takes the nearest old one.

    Args:
        poses: Any poses.
        fps: Frames per second afterwards, above 0.
        num_frames: Frames afterwards, at least 1; the last is held if there are too few. None: as many as
            last as long as before.

    Returns:
        The poses on that clock.

    Raises:
        RequestError: If the rate or the count is not above 0, or there would be too many frames.
    """
    if not 0 < fps < math.inf:
        raise RequestError(f"The frame rate is {fps}; give frames per second above 0, such as 24.")
    if num_frames is None:
        num_frames = max(1, round(poses.num_frames / poses.fps * fps))
    if not 1 <= num_frames <= MAX_FRAMES:
        raise RequestError(f"Cannot make keypoints of {num_frames} frames; ask for 1 to {MAX_FRAMES}.")
    nearest = np.floor(np.arange(num_frames) * (poses.fps / fps) + 0.5 + 1e-9).astype(np.int64)
    return replace(poses, points=poses.points[np.minimum(nearest, poses.num_frames - 1)], fps=float(fps))


def limb_lengths(poses: Poses, person: int) -> Float32[np.ndarray, " 17"]:
    """Measure a body: how long its limbs are.

    Args:
        poses: Poses in which the person is seen.
        person: Who, a number in `Poses.people`.

    Returns:
        Pixels for each of `LIMBS`, alike on the left and the right; 0 where a limb is never seen.
    """
    place, frames = poses.people[person]
    body = poses.body[frames, place]
    lengths = np.zeros(len(LIMBS), np.float32)
    for number, (start, end) in enumerate(LIMBS):
        there = (body[:, start, 2] > 0) & (body[:, end, 2] > 0)
        if there.any():
            seen = np.linalg.norm(body[there, end, :2] - body[there, start, :2], axis=-1)
            lengths[number] = np.percentile(seen, _LENGTH_PERCENTILE)
    for left, right in _MIRRORED:
        lengths[[left, right]] = lengths[[left, right]].max()
    return lengths


def with_body(poses: Poses, other: Poses, *, person: int | None = None, other_person: int = 0) -> Poses:
    """Give people the limbs of another body and let them move as before.

    Args:
        poses: The motion.
        other: Poses that show the other body, one frame or many.
        person: Whose limbs change, a number in `Poses.people`; None: everybody's.
        other_person: Whose limbs they get.

    Returns:
        The poses; each person's neck moves as before, and the person is set as a whole so that their lowest
        point, taken over the clip, is where it was. A limb that either body does not show is scaled as the
        others are on the whole.

    Raises:
        RequestError: If there is no such person, or the two bodies share no limb.
    """
    for owner, number in ((poses, person), (other, other_person)):
        if number is not None and not 0 <= number < owner.num_people:
            raise RequestError(f"There is no person {number}; there are {owner.num_people}, counted from 0.")
    wanted = limb_lengths(other, other_person)
    points = poses.points.copy()
    people = poses.people
    for number in range(len(people)) if person is None else (person,):
        place, frames = people[number]
        own = points[frames, place]
        ratios = _ratios(limb_lengths(poses, number), wanted)
        changed = _rebuilt(own, ratios)
        there = changed[..., 2] > 0
        if there.any():
            fallen = changed[..., 1][there].max() - own[..., 1][there].max()
            changed[..., 1] = np.where(there, changed[..., 1] - fallen, changed[..., 1])
        points[frames, place] = changed
    return replace(poses, points=points)


def _ratios(
    own: Float32[np.ndarray, " 17"], wanted: Float32[np.ndarray, " 17"]
) -> Float32[np.ndarray, " 17"]:
    """How many times longer each limb becomes."""
    shared = (own > 0) & (wanted > 0)
    if not shared.any():
        raise RequestError(
            "The two bodies share no limb that both show; choose a frame that shows more of them."
        )
    whole = wanted[shared].sum() / own[shared].sum()
    return np.asarray(np.where(shared, wanted / np.where(shared, own, 1), whole), dtype=np.float32)


def _rebuilt(
    points: Float32[np.ndarray, "f 130 3"], ratios: Float32[np.ndarray, " 17"]
) -> Float32[np.ndarray, "f 130 3"]:
    """One person rebuilt from the neck outwards, each limb in its old direction."""
    there = points[..., 2:] > 0
    # From where and to where each body point moved; a missing one stands at the last one before it.
    old, new, known = points[:, BODY, :2].copy(), points[:, BODY, :2].copy(), there[:, BODY].copy()
    for (start, end), ratio in zip(LIMBS, ratios, strict=True):
        moved = new[:, start] + (old[:, end] - old[:, start]) * ratio
        moved = np.where(known[:, start], moved, old[:, end])
        new[:, end] = np.where(there[:, end], moved, new[:, start])
        old[:, end] = np.where(there[:, end], old[:, end], old[:, start])
        known[:, end] |= known[:, start]
    changed = points.copy()
    changed[:, BODY, :2] = np.where(there[:, BODY], new, 0)
    for part, root, limb in _EXTRAS:
        moved = new[:, None, root] + (points[:, part, :2] - old[:, None, root]) * ratios[limb]
        kept = there[:, part] & known[:, None, root]
        changed[:, part, :2] = np.where(kept, moved, points[:, part, :2])
    return np.asarray(changed)


def _moved(poses: Poses, scales: np.ndarray, shift: np.ndarray) -> Poses:
    points = poses.points.copy()
    there = points[..., 2] > 0
    points[there, :2] = points[there, :2] * scales + shift
    return replace(poses, points=points)
