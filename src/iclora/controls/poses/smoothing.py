"""Steadier keypoints: short gaps filled, jitter filtered, and figures of what that did.

The One-Euro filter holds a point that rests and lets go of one that moves: its cut-off frequency grows with
the speed. Run forwards only it lags; as the whole clip is known it is run forwards and backwards, and the
mean of both lags nowhere.

Source: G. Casiez, N. Roussel, D. Vogel, "1 Euro Filter" (CHI 2012).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

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
_TOGETHER = 256
"""Points that are filtered at once: as many as keep the memory of a film of 10 minutes below 1 GB."""


def one_euro(
    values: Float[np.ndarray, "f *n c"],
    *,
    fps: float,
    min_cutoff_hz: float,
    speed_gain: float,
    starts: Bool[np.ndarray, "f ..."] | None = None,
) -> Float[np.ndarray, "f *n c"]:
    """Filter moving points, forwards in time.

    Args:
        values: The coordinates of each in each frame.
        fps: Frames per second, above 0.
        min_cutoff_hz: Cut-off frequency while a point rests, above 0.
        speed_gain: Hertz added for a speed of 1 a second, >= 0; the coordinates of a point share one speed.
        starts: Where a point begins anew, as if nothing had been before; the first frame always does.

    Returns:
        The filtered coordinates; where a point begins they stay as they are.
    """
    filtered = values.copy()
    speed = np.zeros(values.shape[1:], values.dtype)
    speed_share = _share(SPEED_CUTOFF_HZ, fps)
    for index in range(1, len(values)):
        apart = values[index] - filtered[index - 1]
        speed += speed_share * (apart * fps - speed)
        cutoff = min_cutoff_hz + speed_gain * np.sqrt((speed * speed).sum(axis=-1, keepdims=True))
        now = filtered[index - 1] + _share(cutoff, fps) * apart
        if starts is not None and (anew := starts[index]).any():
            speed[anew] = 0
            now[anew] = values[index][anew]
        filtered[index] = now
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
    places, numbers = np.nonzero((points[..., 2] > 0).any(axis=0))
    for first in range(0, len(places), _TOGETHER):
        place, number = (index[first : first + _TOGETHER] for index in (places, numbers))
        points[:, place, number] = _smoothed(
            points[:, place, number], sizes[:, place], fps=poses.fps, min_cutoff_hz=min_cutoff_hz
        )
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
    there = points[..., 2] > 0
    for gap in range(1, min(MAX_GAP, len(points) - 2) + 1):
        missing = there[: -gap - 1] & there[gap + 1 :]
        for step in range(1, gap + 1):
            missing &= ~there[step : step - gap - 1]
        before, after = points[: -gap - 1][missing], points[gap + 1 :][missing]
        for step in range(1, gap + 1):
            share = np.float64(step / (gap + 1))
            filled[step : step - gap - 1][missing] = (1 - share) * before + share * after
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


def _smoothed(
    tracks: Float32[np.ndarray, "f n 3"],
    sizes: Float[np.ndarray, "f n"],
    *,
    fps: float,
    min_cutoff_hz: float,
) -> Float32[np.ndarray, "f n 3"]:
    """Filter points forwards and backwards, each while it is there, in sizes of its person."""
    there = tracks[..., 2] > 0
    out = np.zeros_like(there[:1])
    first = there & ~np.concatenate([out, there[:-1]])
    last = there & ~np.concatenate([there[1:], out])
    began = np.maximum.accumulate(np.where(first, np.arange(len(there))[:, None], 0))
    size = np.take_along_axis(sizes, began, axis=0)[..., None]
    places, scores = tracks[..., :2] / size, tracks[..., 2:].astype(np.float64)

    def both_ways(values: np.ndarray, speed_gain: float) -> np.ndarray:
        filtering = {"fps": fps, "min_cutoff_hz": min_cutoff_hz, "speed_gain": speed_gain}
        backwards = one_euro(values[::-1], starts=last[::-1], **filtering)[::-1]
        return np.asarray((one_euro(values, starts=first, **filtering) + backwards) / 2)

    # Speeds are in body sizes a second; the score has no size and is filtered as if it rested.
    smooth = np.concatenate([both_ways(places, SPEED_GAIN) * size, both_ways(scores, 0.0)], axis=-1)
    return np.where(there[..., None], smooth, tracks).astype(np.float32)


def _share(cutoff_hz: Any, fps: float) -> Any:
    """How much of new values an exponential filter of some cut-off lets in."""
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
