"""Tracks taken from a video: corners on what moves, followed by pyramidal Lucas-Kanade flow.

    frame ─► where does it move? ─► corners there ─► flow to the next frame and back ─► near where it began?
             (dense flow, coarse)   (away from          │                                yes: one more place
                                     live tracks)       └── every 8 frames, anew         no: the track ends

Source: J.-Y. Bouguet, "Pyramidal implementation of the affine Lucas Kanade feature tracker" (2001); the check
    forward and backward: Z. Kalal, K. Mikolajczyk, J. Matas, "Forward-backward error" (2010). Both in OpenCV.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from iclora.clip import Clip, Film
from iclora.controls.cache import Cache, key_of
from iclora.controls.point_tracks.value import MAX_FRAMES, Tracks, moving_most
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
_MAX_PLACES = 4_000_000
"""Tracks times frames of which the best are chosen."""


def follow_video(
    clip: Clip | Film,
    *,
    num_tracks: int = DEFAULT_TRACKS,
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tracks:
    """Take tracks from a video.

    Args:
        clip: The filmed clip or film, RGB 0..255. Where nothing in it moves, as in a still, corners all over
            the picture are taken. It is gone through twice.
        num_tracks: How many tracks to keep at most, >= 1: those that move most and last longest.
        cache: Where they are kept, and taken from if they were found before.
        progress: Called with (frames done, frames in all).

    Returns:
        Tracks on the clip's canvas at its rate; each is visible from the frame its corner was found in to the
        last one it could be followed to.

    Raises:
        RequestError: If `num_tracks` is below 1, the clip is too long, or there is no corner that can be
            followed.
    """
    found = find_tracks(clip, num_tracks=num_tracks, cache=cache, progress=progress)
    if found is None:
        raise RequestError(
            "There is nothing in this clip that a point could follow (no corner, or none for "
            f"{_shortest(clip)} frames); draw tracks in a .json instead."
        )
    return found


def find_tracks(
    clip: Clip | Film,
    *,
    num_tracks: int = DEFAULT_TRACKS,
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tracks | None:
    """Take tracks from a video, if there are any; otherwise as `follow_video`.

    Args:
        clip: As for `follow_video`.
        num_tracks: How many tracks to keep at most, >= 1.
        cache: As for `follow_video`.
        progress: Called with (frames done, frames in all).

    Returns:
        The tracks, or None where there is no corner that can be followed.

    Raises:
        RequestError: If `num_tracks` is below 1, or the clip is too long.
    """
    if not (num_tracks >= 1 and num_tracks % 1 == 0):
        raise RequestError(f"Cannot take {num_tracks} tracks; ask for a whole number from 1 up, such as 16.")
    if clip.num_frames > MAX_FRAMES:
        raise RequestError(
            f"Cannot take tracks of {clip.num_frames} frames; at most {MAX_FRAMES} are accepted; take a "
            "part, or fewer frames a second."
        )

    def found() -> Iterator[np.ndarray]:
        tracks = _find(clip, int(num_tracks), progress)
        points = np.zeros((0, clip.num_frames, 3))
        if tracks is not None:
            points = np.concatenate([tracks.points, tracks.visible[..., None]], axis=2, dtype=np.float64)
        yield from points.transpose(1, 0, 2)

    key = None if cache is None else key_of(clip, "tracks", int(num_tracks))
    if cache is None or key is None:
        return _find(clip, int(num_tracks), progress)
    points = cache.rows("tracks", key, found, clip.num_frames).array().transpose(1, 0, 2)
    if not len(points):
        return None
    return Tracks(
        points=points[..., :2].copy(),
        visible=points[..., 2] > 0,
        height=clip.height,
        width=clip.width,
        fps=clip.fps,
    )


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


@dataclass(kw_only=True, eq=False)
class _Path:
    """A track on its way: the frame it began in, which of those it is, and x, y, x, y ... from there on."""

    start: int
    number: int
    numbers: array[float]

    @property
    def places(self) -> Float32[np.ndarray, "frames 2"]:
        """Its places, x and y."""
        return np.array(self.numbers, np.float32).reshape(-1, 2)

    @property
    def worth(self) -> float:
        """What `moving_most` counts first: how far it goes, times how long."""
        places = self.places
        return (1 + float(np.hypot(*np.ptp(places, axis=0)))) * len(places)


def _find(
    clip: Clip | Film, num_tracks: int, progress: Callable[[int, int | None], None] | None
) -> Tracks | None:
    """The tracks that move most and last longest."""
    paths = _follow(clip, num_tracks, progress)
    if not paths:
        return None
    # Of a long clip only so many as fit into memory are looked at closer.
    most = max(num_tracks, _MAX_PLACES // clip.num_frames)
    best = sorted(range(len(paths)), key=lambda number: -paths[number].worth)[:most]
    points = np.zeros((len(best), clip.num_frames, 2))
    visible = np.zeros((len(best), clip.num_frames), bool)
    for row, number in enumerate(sorted(best)):
        path = paths[number]
        places = path.places
        frames = slice(path.start, path.start + len(places))
        # Flow is no finer than that, and a file of these tracks is drawn as they are.
        points[row, frames] = places.astype(np.float64).round(2)
        visible[row, frames] = True
    found = Tracks(points=points, visible=visible, height=clip.height, width=clip.width, fps=clip.fps)
    return moving_most(found, num_tracks)


def _follow(
    clip: Clip | Film, num_tracks: int, progress: Callable[[int, int | None], None] | None
) -> list[_Path]:
    """Candidates for tracks: more than are wanted, from corners found every few frames."""
    spacing = max(3.0, SPACING * min(clip.height, clip.width))
    moving = _moving(clip)
    still = not any(mask.any() for mask in moving.values())
    done: list[_Path] = []
    live: list[_Path] = []
    picture: np.ndarray | None = None
    for index, frame in enumerate(clip.frames):
        following = _grey(frame)
        if picture is not None and live:
            last = np.array([path.numbers[-2:] for path in live], np.float32)
            there, kept = _step(picture, following, last)
            ended = [path for path, goes_on in zip(live, kept, strict=True) if not goes_on]
            live = [path for path, goes_on in zip(live, kept, strict=True) if goes_on]
            for path, place in zip(live, there[kept], strict=True):
                path.numbers.extend(place.tolist())
            done += [path for path in ended if len(path.numbers) >= 2 * _shortest(clip)]
        picture = following
        if index in moving and (index == 0 or clip.num_frames - index >= SHORTEST_TRACK):
            mask = np.full(picture.shape, 255, np.uint8) if still else _enlarged(moving[index], picture)
            for path in live:
                cv2.circle(mask, [round(part) for part in path.numbers[-2:]], round(spacing), 0, -1)
            corners = _corners(picture, mask, _CANDIDATES * num_tracks, spacing)
            live += [
                _Path(start=index, number=number, numbers=array("f", corner.tolist()))
                for number, corner in enumerate(corners)
            ]
        if progress is not None:
            progress(index + 1, clip.num_frames)
    paths = [*done, *(path for path in live if len(path.numbers) >= 2 * _shortest(clip))]
    return sorted(paths, key=lambda path: (path.start, path.number))


def _shortest(clip: Clip | Film) -> int:
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


def _moving(clip: Clip | Film) -> dict[int, UInt8[np.ndarray, "y x"]]:
    """For each frame in which corners are looked for, made small: 255 where the picture moves about then."""
    moving: dict[int, np.ndarray] = {}
    last: deque[np.ndarray] = deque(maxlen=2 * _FLOW_STEP)
    for index, frame in enumerate(clip.frames):
        scale = min(1.0, _FLOW_SIDE_PX / min(clip.height, clip.width))
        size = [max(_LEAST_SIDE_PX, round(side * scale)) for side in (clip.width, clip.height)]
        last.append(np.asarray(cv2.resize(_grey(frame), size, interpolation=cv2.INTER_AREA), np.uint8))
        if index >= _FLOW_STEP and (index - _FLOW_STEP) % SEED_EVERY == 0:
            moving[index - _FLOW_STEP] = _mask(last[-1 - _FLOW_STEP], last[-1], _FLOW_STEP)
    # Near the end there is no frame so far ahead: the one so far behind, or in a short clip the last, does.
    end = clip.num_frames
    for index in range(max(0, end - _FLOW_STEP), end):
        if index % SEED_EVERY == 0:
            here, other = index - end, max(0, index - _FLOW_STEP) - end
            other = -1 if other == here else other
            moving[index] = _mask(last[here], last[other], abs(other - here))
    return moving


def _mask(
    before: UInt8[np.ndarray, "y x"], after: UInt8[np.ndarray, "y x"], num_steps: int
) -> UInt8[np.ndarray, "y x"]:
    """255 where there is motion from one small picture to another, so many frames apart."""
    if num_steps == 0:
        return np.zeros_like(before)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(before, after, None)  # type: ignore[call-overload]
    speed = np.linalg.norm(flow, axis=2) / num_steps
    limit = max(MOVING_FLOOR * min(before.shape), MOVING_SHARE * float(np.percentile(speed, 95)))
    return np.asarray((speed > limit).astype(np.uint8) * np.uint8(255))


def _enlarged(mask: UInt8[np.ndarray, "y x"], picture: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _grey(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
