"""Skeletons drawn as the pose annotators of ControlNet draw them, which is what adapters were trained on.

    body     an ellipse for each limb at 0.6 of its colour, then a full-coloured disc on each point
    hands    a line for each bone in the colours of the rainbow, then a blue disc on each point
    face     a white disc on each point

Each person is drawn whole, over those before. Coordinates are cut to whole pixels.

Source: dwpose/util.py of comfyui_controlnet_aux (the annotator of the released workflows): ellipse half width
4 px, discs of radius 4 (face 3), bones 2 px, on a picture whose shorter side is 512 px.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from iclora.clip import Clip, Film, Frames, redraw
from iclora.controls.poses.poses import Poses
from iclora.controls.poses.skeleton import BODY, COLOURS, FACE, FINGERS, LEFT_HAND, LIMBS, RIGHT_HAND
from iclora.errors import RequestError
from iclora.media.room import check_room

MIN_SCORE = 0.3
"""Points of a lower score are not drawn, as in the annotators."""
STICK_WIDTH_AT_512 = 4
"""Half the width of a limb, in pixels, on a picture whose shorter side is 512 pixels."""
SURE_ALONE = 0.6
"""Score from which a body point is drawn that no limb reaches and that lies apart from the others."""
APART = 0.15
"""Share of a person's size from which a point lies apart from those that limbs reach."""
_LIMB_SHARE = 0.6
_HAND_COLOUR = (0, 0, 255)
_FACE_COLOUR = (255, 255, 255)
_BONE_COLOURS = tuple(
    tuple(255 * part for part in colorsys.hsv_to_rgb(number / len(FINGERS), 1, 1))
    for number in range(len(FINGERS))
)


def default_stick_width(height: int, width: int) -> int:
    """How wide limbs are on a picture of some size, so that they look alike after it is scaled.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        Half the width of a limb in pixels: 4 where the shorter side is 512, in proportion elsewhere, >= 1.
    """
    return max(1, round(STICK_WIDTH_AT_512 * min(height, width) / 512))


def draw_poses(
    poses: Poses,
    *,
    stick_width: int | None = None,
    min_score: float = MIN_SCORE,
    hands: bool = True,
    face: bool = True,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Draw everybody on black.

    Args:
        poses: The keypoints.
        stick_width: Half the width of a limb in pixels, a whole number from 1 up; discs, bones and face
            points are drawn in proportion. None: by the size of the picture, 4 at a shorter side of 512.
        min_score: Points of a lower score are left out, 0..1, and limbs that end at one. So are body points
            that no limb reaches, apart from the others, with a score below 0.6.
        hands: Whether hands are drawn, where there are any.
        face: Whether face points are drawn, where there are any.
        progress: Called with (frames done, frames in all).

    Returns:
        RGB on black, with the size and the rate of the poses, without sound.

    Raises:
        RequestError: If a number is out of its range.
    """
    film = film_poses(poses, stick_width=stick_width, min_score=min_score, hands=hands, face=face)
    check_room(film.num_frames, film.height, film.width)
    return redraw(film, iter, progress=progress).read()


def film_poses(
    poses: Poses,
    *,
    stick_width: int | None = None,
    min_score: float = MIN_SCORE,
    hands: bool = True,
    face: bool = True,
) -> Film:
    """Draw everybody on black, frame by frame as it is needed.

    Args:
        poses: The keypoints.
        stick_width: As for `draw_poses`.
        min_score: As for `draw_poses`.
        hands: As for `draw_poses`.
        face: As for `draw_poses`.

    Returns:
        A film of the frames that `draw_poses` gives.

    Raises:
        RequestError: If a number is out of its range.
    """
    check_drawing(stick_width=stick_width, min_score=min_score)
    size = default_stick_width(poses.height, poses.width) if stick_width is None else int(stick_width)

    def drawn() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for people in poses.points:
            picture = np.zeros((poses.height, poses.width, 3), np.uint8)
            for person in people:
                _draw_body(picture, person[BODY], size, min_score)
                for part in (LEFT_HAND, RIGHT_HAND) if hands else ():
                    _draw_hand(picture, person[part], size, min_score)
                if face:
                    _draw_face(picture, person[FACE], size, min_score)
            yield picture

    return Film(
        frames=Frames(drawn),
        height=poses.height,
        width=poses.width,
        num_frames=poses.num_frames,
        fps=poses.fps,
    )


def check_drawing(*, stick_width: int | float | None, min_score: float) -> None:
    """Refuse numbers that cannot be drawn with.

    Args:
        stick_width: As for `draw_poses`.
        min_score: As for `draw_poses`.

    Raises:
        RequestError: If a number is out of its range.
    """
    if stick_width is not None and not (stick_width >= 1 and stick_width % 1 == 0):
        raise RequestError(
            f"The stick width is {stick_width} pixels; it must be a whole number from 1 up, or left out."
        )
    if not 0 <= min_score <= 1:
        raise RequestError(f"The least score of a point is {min_score}; it must lie in 0..1, such as 0.3.")


def _there(points: Float32[np.ndarray, "points 3"], min_score: float) -> Bool[np.ndarray, " points"]:
    return np.asarray((points[:, 2] > 0) & (points[:, 2] >= min_score))


def _strays(body: Float32[np.ndarray, "18 3"], there: Bool[np.ndarray, " 18"]) -> Bool[np.ndarray, " 18"]:
    """Which body points are likely mistakes: not sure, reached by no limb, and apart from what they reach."""
    joined = np.zeros_like(there)
    for start, end in LIMBS:
        if there[start] and there[end]:
            joined[[start, end]] = True
    alone = there & ~joined & (body[:, 2] < SURE_ALONE)
    if joined.any() and alone.any():
        places = body[joined, :2]
        nearest = np.linalg.norm(body[:, None, :2] - places, axis=-1).min(axis=1)
        alone &= nearest > APART * (places.max(axis=0) - places.min(axis=0)).max()
    return np.asarray(alone)


def _draw_body(
    picture: UInt8[np.ndarray, "h w 3"], body: Float32[np.ndarray, "18 3"], size: int, min_score: float
) -> None:
    there = _there(body, min_score)
    there &= ~_strays(body, there)
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):  # one colour more, for the last point
        if there[start] and there[end]:
            (x1, y1), (x2, y2) = body[start, :2].astype(float), body[end, :2].astype(float)
            middle = (int((x1 + x2) / 2), int((y1 + y2) / 2))
            axes = (int(math.hypot(x1 - x2, y1 - y2) / 2), size)
            angle = int(math.degrees(math.atan2(y1 - y2, x1 - x2)))
            outline = np.asarray(cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1))
            cv2.fillConvexPoly(picture, outline, [int(part * _LIMB_SHARE) for part in colour])
    for (x, y, _), colour, visible in zip(body, COLOURS, there, strict=True):
        if visible:
            cv2.circle(picture, (int(x), int(y)), size, colour, thickness=-1)


def _draw_hand(
    picture: UInt8[np.ndarray, "h w 3"], hand: Float32[np.ndarray, "21 3"], size: int, min_score: float
) -> None:
    there = _there(hand, min_score)
    places = [(int(x), int(y)) for x, y, _ in hand]
    for (start, end), colour in zip(FINGERS, _BONE_COLOURS, strict=True):
        if there[start] and there[end]:
            cv2.line(picture, places[start], places[end], colour, thickness=max(1, round(size / 2)))
    for place, visible in zip(places, there, strict=True):
        if visible:
            cv2.circle(picture, place, size, _HAND_COLOUR, thickness=-1)


def _draw_face(
    picture: UInt8[np.ndarray, "h w 3"], face: Float32[np.ndarray, "70 3"], size: int, min_score: float
) -> None:
    for (x, y, _), visible in zip(face, _there(face, min_score), strict=True):
        if visible:
            cv2.circle(picture, (int(x), int(y)), max(1, round(3 * size / 4)), _FACE_COLOUR, thickness=-1)
