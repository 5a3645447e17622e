"""Tracks: where points are in each frame, on a canvas; fitted to other canvases and clocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from iclora.errors import InputError, RequestError

FAR_OFF = 1.0
"""Points may lie this many canvas sizes beyond the border; farther ones mean that the canvas is another."""
NEAR = 0.15
"""Distance within which tracks crowd each other, as a share of the short side."""
CROWDING = (0.15, 0.7)
"""How much less a frame counts for a track, for each chosen one in that frame, and for one at its place."""
MAX_SIDE_PX = 16_384
"""Largest side of a canvas accepted."""
MAX_FRAMES = 40_000
"""Longest tracks accepted, in frames: eleven minutes at 60 a second."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks:
    """Points that move over a canvas, one place for each frame.

    Args:
        points: Places `(x, y)` in pixels of the canvas from its top left corner, shape `tracks f 2`; what
            they say where a point is not visible does not matter.
        visible: Whether a point is there in a frame, shape `tracks f`. A track starts and ends, and is
            hidden in between, by this alone.
        height: Height of the canvas in pixels.
        width: Width of the canvas in pixels.
        fps: Frames per second, or None where that is not known: one place for each frame, whatever the rate.

    Raises:
        InputError: The arrays do not fit together, there is no visible point, a visible place is not finite
            or far off the canvas, or the canvas or the rate is none.
    """

    points: Float[np.ndarray, "tracks f 2"]
    visible: Bool[np.ndarray, "tracks f"]
    height: int
    width: int
    fps: float | None = None

    def __post_init__(self) -> None:
        _check_arrays(self)
        if not (1 <= self.height <= MAX_SIDE_PX and 1 <= self.width <= MAX_SIDE_PX):
            raise InputError(
                f"The canvas of the tracks is {self.width}x{self.height}; both sides must be from 1 to "
                f"{MAX_SIDE_PX} pixels."
            )
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"The rate of the tracks is {self.fps}; give frames per second above 0.")
        _check_places(self)

    @property
    def num_tracks(self) -> int:
        """How many tracks there are."""
        return int(self.points.shape[0])

    @property
    def num_frames(self) -> int:
        """How many frames they span together."""
        return int(self.points.shape[1])


def fit_tracks(tracks: Tracks, height: int, width: int) -> Tracks:
    """Bring tracks to another canvas as `media.resize` brings a picture: covered, the middle kept.

    Args:
        tracks: The tracks.
        height: Height of the new canvas in pixels, at least 1.
        width: Width of the new canvas in pixels, at least 1.

    Returns:
        The tracks on that canvas; what was cropped lies off it.

    Raises:
        RequestError: If a side is below 1.
    """
    if min(height, width) < 1:
        raise RequestError(f"Cannot fit tracks to {width}x{height} pixels; both must be at least 1.")
    scale = max(height / tracks.height, width / tracks.width)
    old_middle = np.array([tracks.width, tracks.height]) / 2
    points = (tracks.points - old_middle) * scale + np.array([width, height]) / 2
    # A narrow canvas may leave what was near the border far off it: such points are as good as hidden.
    reach = FAR_OFF * np.array([width, height])
    near = (points >= -reach).all(axis=2) & (points <= np.array([width, height]) + reach).all(axis=2)
    visible = tracks.visible & near
    if not visible.any():
        raise RequestError(
            f"Nothing is left of tracks on {tracks.width}x{tracks.height} when cropped to {width}x{height}; "
            "ask for a size of the same shape."
        )
    return replace(tracks, points=points, visible=visible, height=height, width=width)


def retime_tracks(tracks: Tracks, fps: float) -> Tracks:
    """Put tracks on another clock, moving evenly from each place to the next.

    Args:
        tracks: The tracks; without a rate of their own they stay as they are, one place for each frame.
        fps: Frames per second of the result, above 0.

    Returns:
        The tracks at that rate, as long as before. Frame k stands at the moment k / fps, and a point is
        visible there if it is so in the nearest frame.

    Raises:
        RequestError: If the rate is not a positive number, or the tracks become too long.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise RequestError(f"The frame rate is {fps}; give frames per second above 0, such as 24.")
    if tracks.fps is None or tracks.fps == fps:
        return replace(tracks, fps=float(fps))
    step = tracks.fps / fps
    num_frames = max(1, math.floor(tracks.num_frames / step + 1e-6))
    if num_frames > MAX_FRAMES:
        raise RequestError(f"At {fps:g} frames per second the tracks have {num_frames} frames; ask for less.")
    places = np.minimum(np.arange(num_frames) * step, tracks.num_frames - 1)
    before = np.floor(places).astype(int)
    after = np.minimum(before + 1, tracks.num_frames - 1)
    nearest = np.minimum(np.floor(places + 0.5 + 1e-9).astype(int), tracks.num_frames - 1)
    # Between a visible and a hidden frame there is no way to go along: the point stands in the nearest.
    both = (tracks.visible[:, before] & tracks.visible[:, after])[..., None]
    share = (places - before)[:, None]
    moved = tracks.points[:, before] * (1 - share) + tracks.points[:, after] * share
    points = np.where(both, moved, tracks.points[:, nearest])
    return replace(tracks, points=points, visible=tracks.visible[:, nearest], fps=float(fps))


def cut_tracks(tracks: Tracks, num_frames: int) -> Tracks:
    """Give tracks another length.

    Args:
        tracks: The tracks.
        num_frames: Frames wanted, at least 1.

    Returns:
        Their first frames; beyond their end nothing is visible.

    Raises:
        InputError: If nothing is visible in those frames.
    """
    missing = max(0, num_frames - tracks.num_frames)
    points = np.pad(tracks.points[:, :num_frames], ((0, 0), (0, missing), (0, 0)))
    visible = np.pad(tracks.visible[:, :num_frames], ((0, 0), (0, missing)))
    return replace(tracks, points=points, visible=visible)


def moving_most(tracks: Tracks, num_tracks: int) -> Tracks:
    """Keep the tracks that move most and last longest, spread over the picture and the time.

    They are chosen one after another by the diagonal of the box around their visible places, times the share
    of frames they are visible in. Each one chosen lowers what frames count for that others share with it,
    most for those near it.

    Args:
        tracks: The tracks.
        num_tracks: How many to keep at most, at least 1.

    Returns:
        Those tracks, in the order they stood in.

    Raises:
        RequestError: If the number is below 1.
    """
    if num_tracks < 1:
        raise RequestError(f"Cannot keep {num_tracks} tracks; ask for 1 or more.")
    # A still point is worth something too: where nothing moves, it is all there is.
    way = 1.0 + extents(tracks)
    worth = tracks.visible.astype(float)
    places = np.where(tracks.visible[..., None], tracks.points, 0.0)
    near = NEAR * min(tracks.height, tracks.width)
    chosen: list[int] = []
    while len(chosen) < min(num_tracks, tracks.num_tracks):
        score = way * worth.sum(axis=1)
        score[chosen] = -1
        best = int(score.argmax())
        chosen.append(best)
        distance = np.linalg.norm(places - places[best], axis=2)
        shared = np.exp(-((distance / near) ** 2))
        worth *= np.where(tracks.visible[best], (1 - CROWDING[0]) * (1 - CROWDING[1] * shared), 1.0)
    kept = np.sort(chosen)
    return replace(tracks, points=tracks.points[kept], visible=tracks.visible[kept])


def extents(tracks: Tracks) -> Float[np.ndarray, " tracks"]:
    """Measure how far each track goes.

    Args:
        tracks: The tracks.

    Returns:
        The diagonal of the box around its visible places, in pixels; 0 for a track that is never visible.
    """
    seen = tracks.visible[..., None]
    highest = np.where(seen, tracks.points, -np.inf).max(axis=1)
    lowest = np.where(seen, tracks.points, np.inf).min(axis=1)
    sides = np.where(seen.any(axis=1), highest, 0.0) - np.where(seen.any(axis=1), lowest, 0.0)
    return np.asarray(np.hypot(sides[:, 0], sides[:, 1]))


def _check_arrays(tracks: Tracks) -> None:
    points, visible = tracks.points, tracks.visible
    if points.ndim != 3 or points.shape[2] != 2 or not np.issubdtype(points.dtype, np.floating):
        raise InputError(
            f"Track points have shape {points.shape} and type {points.dtype}; "
            "give floats of shape (tracks, frames, 2), x before y, in pixels."
        )
    if visible.shape != points.shape[:2] or visible.dtype != np.bool_:
        raise InputError(
            f"Track visibility has shape {visible.shape} and type {visible.dtype}; "
            f"give booleans of shape {points.shape[:2]}, as the points have."
        )
    if points.shape[1] > MAX_FRAMES:
        raise InputError(f"The tracks have {points.shape[1]} frames; at most {MAX_FRAMES} are accepted.")
    if not visible.any():
        raise InputError("The tracks hold no visible point; give at least one.")


def _check_places(tracks: Tracks) -> None:
    """Refuse visible places that are not finite or far off."""
    canvas = np.array([tracks.width, tracks.height])
    finite = np.isfinite(tracks.points).all(axis=2)
    with np.errstate(invalid="ignore"):
        beyond = (tracks.points < -FAR_OFF * canvas) | (tracks.points > (1 + FAR_OFF) * canvas)
    far = np.asarray(beyond).any(axis=2)
    for wrong, what, advice in (
        (~finite, "is no place", "give finite numbers, or mark the point as hidden there."),
        (far, f"is far off the canvas of {tracks.width}x{tracks.height}", "is that its size?"),
    ):
        found = np.argwhere(wrong & tracks.visible)
        if len(found):
            track, frame = (int(number) for number in found[0])
            x, y = tracks.points[track, frame]
            raise InputError(f"Track {track + 1}, frame {frame}: ({x:g}, {y:g}) {what}; {advice}")
