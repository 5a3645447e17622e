"""Steadier keypoints: short gaps filled, jitter filtered, and figures of what that did.

The One-Euro filter holds a point that rests and lets go of one that moves: its cut-off frequency grows with
the speed. Run forwards only it lags; as the whole clip is known it is run forwards and backwards, and the
mean of both lags nowhere.

Source: G. Casiez, N. Roussel, D. Vogel, "1 Euro Filter" (CHI 2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32

from iclora.controls.poses.drawing import MIN_SCORE
from iclora.controls.poses.poses import Poses, extent
from iclora.errors import RequestError

SMOOTH = 0.5
"""Default amount of smoothing."""
SPEED_GAIN = 5.0
"""By how many hertz the cut-off grows with a speed of one body size a second."""
SPEED_CUTOFF_HZ = 1.0
MAX_GAP = 3
"""Frames for which a point that is missing between two sightings is filled in."""
MAX_LAG = 5


def one_euro(
    values: Float[np.ndarray, "f c"], *, fps: float, min_cutoff_hz: float, speed_gain: float
) -> Float[np.ndarray, "f c"]:
    """Filter one moving point, forwards in time.

    Args:
        values: Its coordinates in each frame.
        fps: Frames per second, above 0.
        min_cutoff_hz: Cut-off frequency while it rests, above 0.
        speed_gain: Hertz added for a speed of 1 a second, >= 0; the coordinates share one speed.

    Returns:
        The filtered coordinates; the first stays as it is.
    """
    filtered = values.copy()
    speed = np.zeros(values.shape[1], values.dtype)
    for index in range(1, len(values)):
        now = (values[index] - filtered[index - 1]) * fps
        speed = speed + _share(SPEED_CUTOFF_HZ, fps) * (now - speed)
        cutoff = min_cutoff_hz + speed_gain * float(np.linalg.norm(speed))
        filtered[index] = filtered[index - 1] + _share(cutoff, fps) * (values[index] - filtered[index - 1])
    return np.asarray(filtered)


def smooth_poses(poses: Poses, amount: float) -> Poses:
    """Fill short gaps and calm the jitter of every point, without lag.

    Args:
        poses: Any poses.
        amount: 0: nothing is changed. Above: a point at rest is cut off at 10^(1 - 1.5 amount) Hz, from
            nearly 10 Hz (a breath of smoothing) to 0.3 Hz at 1 (very still); 0.5 suits most clips.

    Returns:
        The poses with points and scores filtered.

    Raises:
        RequestError: If the amount is out of 0..1.
    """
    check_smoothing(amount)
    if amount == 0:
        return poses
    min_cutoff_hz = 10 ** (1 - 1.5 * amount)
    points = fill_gaps(poses.points)
    sizes = _usual_sizes(points, poses.people)
    for place in range(points.shape[1]):
        for run, number in _runs(points[:, place, :, 2]):
            track = points[run, place, number].astype(np.float64)
            size = sizes[run.start, place]
            track[:, :2] /= size
            for columns in (slice(0, 2), slice(2, 3)):
                # Speeds are in body sizes a second; the score has no size and is filtered as if it rested.
                gain = SPEED_GAIN if columns.start == 0 else 0.0
                track[:, columns] = _both_ways(
                    track[:, columns], fps=poses.fps, min_cutoff_hz=min_cutoff_hz, speed_gain=gain
                )
            track[:, :2] *= size
            points[run, place, number] = track
    points[..., 2] = points[..., 2].clip(0, 1)
    return replace(poses, points=points)


def check_smoothing(amount: float) -> None:
    """Refuse an amount of smoothing out of 0..1.

    Args:
        amount: As for `smooth_poses`.

    Raises:
        RequestError: If it is out of its range.
    """
    if not 0 <= amount <= 1:
        raise RequestError(
            f"The smoothing is {amount}; it must lie in 0..1, where 0 is none and 0.5 suits most."
        )


def fill_gaps(points: Float32[np.ndarray, "f p n 3"]) -> Float32[np.ndarray, "f p n 3"]:
    """Fill in points that are missing for at most three frames between two sightings.

    Args:
        points: x, y and score; score 0: not there.

    Returns:
        A copy in which those lie on the straight way between, scores too.
    """
    filled = points.copy()
    for person, number in np.ndindex(*points.shape[1:3]):
        track = filled[:, person, number]
        there = np.flatnonzero(track[:, 2] > 0)
        for before, after in zip(there, there[1:], strict=False):
            missing = np.arange(before + 1, after)
            if 0 < missing.size <= MAX_GAP:
                share = ((missing - before) / (after - before))[:, None]
                track[missing] = (1 - share) * track[before] + share * track[after]
    return np.asarray(filled)


def flicker(poses: Poses, *, min_score: float = MIN_SCORE, seen_in: Poses | None = None) -> float:
    """Measure how much points shake: how far each lies from the middle of where it was and will be.

    Args:
        poses: Any poses.
        min_score: Points of a lower score do not count, 0..1.
        seen_in: The same clip and people before they were smoothed, whose scores say which points count;
            None: their own. Gaps that were filled since then do not count.

    Returns:
        Mean of that distance over body points seen in three frames on end, in percent of the usual size of
        what is seen of their person; 0 where there are none. A steady motion counts nothing.
    """
    places = poses.body[..., :2].astype(np.float64)
    scores = (poses if seen_in is None else seen_in).body[..., 2]
    there = scores >= max(min_score, 1e-6)
    seen = np.concatenate([poses.body[..., :2], there[..., None]], axis=-1, dtype=np.float32)
    off = places[1:-1] - (places[:-2] + places[2:]) / 2
    counted = there[1:-1] & there[:-2] & there[2:]
    apart = np.linalg.norm(off, axis=-1) / _usual_sizes(seen, poses.people)[1:-1, :, None]
    return 100 * float(apart[counted].mean()) if counted.any() else 0.0


def lag_frames(before: Poses, after: Poses) -> float:
    """Measure by how many frames motion comes later than it did.

    Args:
        before: The poses as they were found.
        after: The same clip and people, smoothed.

    Returns:
        The shift in frames, between frames too, at which the body points of both lie nearest to each other;
        positive: `after` lags. 0 where the clip is too short or nobody moves.
    """
    num_frames = before.num_frames
    reach = min(MAX_LAG, (num_frames - 1) // 2)
    counted = ((before.body[..., 2] > 0) & (after.body[..., 2] > 0)).all(axis=0)
    if reach < 1 or not counted.any():
        return 0.0
    old = before.body[:, counted, :2].astype(np.float64)
    new = after.body[:, counted, :2].astype(np.float64)
    shifts = np.arange(-reach, reach + 1)
    middle = slice(reach, num_frames - reach)
    apart = [
        float(((new[middle] - old[reach - shift : num_frames - reach - shift]) ** 2).sum())
        for shift in shifts
    ]
    best = int(np.argmin(apart))
    if best in (0, 2 * reach) or max(apart) == 0:
        return float(shifts[best]) if max(apart) > 0 else 0.0
    # The lowest point of the parabola through the best shift and its neighbours.
    left, lowest, right = apart[best - 1 : best + 2]
    return float(shifts[best] + (left - right) / (2 * (left - 2 * lowest + right)))


def _both_ways(values: Float[np.ndarray, "f c"], **filtering: float) -> Float[np.ndarray, "f c"]:
    backwards = one_euro(values[::-1], **filtering)[::-1]
    return np.asarray((one_euro(values, **filtering) + backwards) / 2)


def _share(cutoff_hz: float, fps: float) -> float:
    """How much of a new value an exponential filter of some cut-off lets in."""
    return 1 / (1 + fps / (2 * math.pi * cutoff_hz))


def _usual_sizes(
    points: Float32[np.ndarray, "f p n 3"], people: list[tuple[int, slice]]
) -> Float[np.ndarray, "f p"]:
    """The median size in pixels, at least 1, of the person whom each place holds in each frame."""
    sizes = extent(points)
    usual = np.ones(sizes.shape)
    for place, frames in people:
        own = sizes[frames, place]
        if (own > 0).any():
            usual[frames, place] = max(1.0, float(np.median(own[own > 0])))
    return usual


def _runs(scores: Float32[np.ndarray, "f n"]) -> Iterator[tuple[slice, int]]:
    """Frames on end in which a point is there, for each point."""
    for number in range(scores.shape[1]):
        there = np.concatenate([[0], (scores[:, number] > 0).astype(np.int8), [0]])
        starts, ends = np.flatnonzero(np.diff(there) == 1), np.flatnonzero(np.diff(there) == -1)
        for start, end in zip(starts, ends, strict=True):
            yield slice(int(start), int(end)), number
