"""Tracks taken from a video: corners on what moves, followed by pyramidal Lucas-Kanade flow.

    frame ─► where does it move? ─► corners there ─► flow to the next frame and back ─► near where it began?
             (dense flow, coarse)   (away from          │                                yes: one more place
                                     live tracks)       └── every 8 frames, anew         no: the track ends

Source: J.-Y. Bouguet, "Pyramidal implementation of the affine Lucas Kanade feature tracker" (2001); the check
    forward and backward: Z. Kalal, K. Mikolajczyk, J. Matas, "Forward-backward error" (2010). Both in OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from iclora.clip import Clip
from iclora.controls.point_tracks.value import Tracks, moving_most
from iclora.errors import RequestError

DEFAULT_TRACKS = 16
"""Tracks taken from a video where nothing is said."""
SEED_EVERY = 8
"""Frames after which corners are looked for anew."""
SHORTEST_TRACK = 6
"""Frames a track must last, or as long as the clip if that is shorter."""
MAX_RETURN_ERROR_PX = 1.0
"""Farthest a point may come back from where it began, forward and backward."""
SPACING = 0.04
"""Distance between corners, as a share of the short side."""
MOVING_SHARE = 0.3
"""What moves: faster than this share of the 95th percentile of speeds in the frame, ..."""
MOVING_FLOOR = 0.001
"""... and than this share of the short side in each frame."""
_FLOW_SIDE_PX = 192
_LEAST_SIDE_PX = 32
"""Below it the flow of OpenCV 5.0 writes beyond its arrays where the picture is much wider than high."""
_FLOW_STEP = 4
_WINDOW_PX = 21
_PYRAMID_LEVELS = 4
_CANDIDATES = 4


def follow_video(
    clip: Clip,
    *,
    num_tracks: int = DEFAULT_TRACKS,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tracks:
    """Take tracks from a video.

    Args:
        clip: The filmed clip, RGB 0..255. Where nothing in it moves, as in a still, corners all over the
            picture are taken.
        num_tracks: How many tracks to keep at most, >= 1: those that move most and last longest.
        progress: Called with (frames done, frames in all).

    Returns:
        Tracks on the clip's canvas at its rate; each is visible from the frame its corner was found in to the
        last one it could be followed to.

    Raises:
        RequestError: If `num_tracks` is below 1, or there is no corner that can be followed.
    """
    found = find_tracks(clip, num_tracks=num_tracks, progress=progress)
    if found is None:
        raise RequestError(
            "There is nothing in this clip that a point could follow (no corner, or none for "
            f"{_shortest(clip)} frames); draw tracks in a .json instead."
        )
    return found


def find_tracks(
    clip: Clip,
    *,
    num_tracks: int = DEFAULT_TRACKS,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tracks | None:
    """Take tracks from a video, if there are any; otherwise as `follow_video`.

    Args:
        clip: The filmed clip, RGB 0..255.
        num_tracks: How many tracks to keep at most, >= 1.
        progress: Called with (frames done, frames in all).

    Returns:
        The tracks, or None where there is no corner that can be followed.

    Raises:
        RequestError: If `num_tracks` is below 1.
    """
    if not (num_tracks >= 1 and num_tracks % 1 == 0):
        raise RequestError(f"Cannot take {num_tracks} tracks; ask for a whole number from 1 up, such as 16.")
    points, visible = _follow(clip, int(num_tracks), progress)
    lasting = visible.sum(axis=1) >= _shortest(clip)
    if not lasting.any():
        return None
    found = Tracks(
        points=points[lasting], visible=visible[lasting], height=clip.height, width=clip.width, fps=clip.fps
    )
    return moving_most(found, int(num_tracks))


def follow_points(clip: Clip, starts: Float[np.ndarray, "tracks 2"]) -> Tracks:
    """Follow given points through a clip from its first frame on.

    Args:
        clip: The clip, RGB 0..255.
        starts: Places `(x, y)` in pixels in the first frame, at least one inside the picture.

    Returns:
        One track for each start, at the clip's rate; it ends where the point is lost or leaves the picture,
        and a start outside the picture is never visible.

    Raises:
        InputError: If no start is inside the picture.
    """
    picture = _grey(clip.frames[0])
    places = [np.asarray(starts, np.float32)]
    alive = [_inside(places[0], picture)]
    for frame in clip.frames[1:]:
        following = _grey(frame)
        place, kept = places[-1].copy(), alive[-1].copy()
        if kept.any():
            place[kept], kept[alive[-1]] = _step(picture, following, place[kept])
        places.append(place)
        alive.append(kept)
        picture = following
    return Tracks(
        points=np.stack(places, axis=1).astype(np.float64),
        visible=np.stack(alive, axis=1),
        height=clip.height,
        width=clip.width,
        fps=clip.fps,
    )


def _follow(
    clip: Clip, num_tracks: int, progress: Callable[[int, int | None], None] | None
) -> tuple[Float[np.ndarray, "tracks f 2"], Bool[np.ndarray, "tracks f"]]:
    """Candidates for tracks: more than are wanted, from corners found every few frames."""
    spacing = max(3.0, SPACING * min(clip.height, clip.width))
    points = np.zeros((0, clip.num_frames, 2), np.float32)
    visible = np.zeros((0, clip.num_frames), bool)
    still = not _anything_moves(clip)
    picture = _grey(clip.frames[0])
    for index in range(clip.num_frames):
        if index:
            following, live = _grey(clip.frames[index]), visible[:, index - 1]
            if live.any():
                points[live, index], visible[live, index] = _step(picture, following, points[live, index - 1])
            picture = following
        if index % SEED_EVERY == 0 and (index == 0 or clip.num_frames - index >= SHORTEST_TRACK):
            mask = np.full(picture.shape, 255, np.uint8) if still else _moving(clip, index)
            for x, y in points[visible[:, index], index]:
                cv2.circle(mask, (round(float(x)), round(float(y))), round(spacing), 0, -1)
            corners = _corners(picture, mask, _CANDIDATES * num_tracks, spacing)
            fresh = np.zeros((len(corners), clip.num_frames), bool)
            fresh[:, index] = True
            begun = np.zeros((len(corners), clip.num_frames, 2), np.float32)
            begun[:, index] = corners
            points, visible = np.concatenate([points, begun]), np.concatenate([visible, fresh])
        if progress is not None:
            progress(index + 1, clip.num_frames)
    # Flow is no finer than that, and a file of these tracks is drawn as they are.
    return points.astype(np.float64).round(2), visible


def _shortest(clip: Clip) -> int:
    """Frames a track of this clip must last."""
    return min(SHORTEST_TRACK, clip.num_frames)


def _step(
    picture: UInt8[np.ndarray, "h w"],
    following: UInt8[np.ndarray, "h w"],
    places: Float32[np.ndarray, "tracks 2"],
) -> tuple[Float32[np.ndarray, "tracks 2"], Bool[np.ndarray, " tracks"]]:
    """Where points are in the next picture, and whether they were followed there and back."""
    there, found = _flow(picture, following, places)
    back, found_back = _flow(following, picture, there)
    error = np.linalg.norm(back - places, axis=1)
    kept = (error <= MAX_RETURN_ERROR_PX) & found & found_back
    return there, kept & _inside(there, following)


def _flow(
    picture: UInt8[np.ndarray, "h w"],
    following: UInt8[np.ndarray, "h w"],
    places: Float32[np.ndarray, "tracks 2"],
) -> tuple[Float32[np.ndarray, "tracks 2"], Bool[np.ndarray, " tracks"]]:
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        picture,
        following,
        places,
        np.zeros_like(places),
        winSize=(_WINDOW_PX, _WINDOW_PX),
        maxLevel=_PYRAMID_LEVELS,
    )
    return np.asarray(there, np.float32), np.asarray(found).ravel() == 1


def _inside(
    places: Float32[np.ndarray, "tracks 2"], picture: UInt8[np.ndarray, "h w"]
) -> Bool[np.ndarray, " tracks"]:
    height, width = picture.shape
    return np.asarray(((places >= 0) & (places <= np.array([width - 1, height - 1]))).all(axis=1))


def _corners(
    picture: UInt8[np.ndarray, "h w"], mask: UInt8[np.ndarray, "h w"], most: int, spacing: float
) -> Float32[np.ndarray, "corners 2"]:
    found = cv2.goodFeaturesToTrack(picture, most, 0.01, spacing, mask=mask)
    return np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)


def _anything_moves(clip: Clip) -> bool:
    """Whether there is motion at any of the moments corners are looked for."""
    moments = range(0, max(1, clip.num_frames - 1), SEED_EVERY)
    return any(_moving(clip, index).any() for index in moments)


def _moving(clip: Clip, index: int) -> UInt8[np.ndarray, "h w"]:
    """255 where the picture moves about a frame, 0 elsewhere."""
    other = index + _FLOW_STEP if index + _FLOW_STEP < clip.num_frames else max(0, index - _FLOW_STEP)
    other = other if other != index else clip.num_frames - 1
    if other == index:
        return np.zeros((clip.height, clip.width), np.uint8)
    scale = min(1.0, _FLOW_SIDE_PX / min(clip.height, clip.width))
    size = (max(_LEAST_SIDE_PX, round(clip.width * scale)), max(_LEAST_SIDE_PX, round(clip.height * scale)))
    before, after = (
        cv2.resize(_grey(clip.frames[frame]), size, interpolation=cv2.INTER_AREA) for frame in (index, other)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(before, after, None)  # type: ignore[call-overload]
    speed = np.linalg.norm(flow, axis=2) / abs(other - index)
    limit = max(MOVING_FLOOR * min(size), MOVING_SHARE * float(np.percentile(speed, 95)))
    moving = (speed > limit).astype(np.uint8) * np.uint8(255)
    return np.asarray(
        cv2.resize(moving, (clip.width, clip.height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8
    )


def _grey(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
