"""How far a clip lags behind another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from iclora.adherence.parts import check_alike
from iclora.clip import Clip

MAX_LAG = 5
"""Largest lag that is looked for, in frames."""


def lag_frames(before: Clip, after: Clip) -> float:
    """Measure by how many frames motion comes later than it did.

    Args:
        before: A clip.
        after: The same, smoothed in some way, with as many frames of the same size.

    Returns:
        The shift in frames, between frames too, at which what changes in `after` correlates best with what
        changes in `before`; positive: `after` lags. 0 where the clip is too short or nothing changes.

    Raises:
        RequestError: If the two differ in size or length.
    """
    return lag_and_fit(before, after)[0]


def lag_and_fit(before: Clip, after: Clip) -> tuple[float, float]:
    """Measure the lag, and how well the two correlate at it.

    Args:
        before: As for `lag_frames`.
        after: As for `lag_frames`.

    Returns:
        The lag in frames, and the correlation, -1..1: near 0 where the two change alike at no shift, and the
        lag says nothing; 0 where there is none to measure.

    Raises:
        RequestError: If the two differ in size or length.
    """
    check_alike(after, before, "clip it was made from")
    reach = min(MAX_LAG, (before.num_frames - 1) // 2)
    old, new = (clip.frames.mean(axis=3, dtype=np.float32) for clip in (before, after))
    old, new = old - old.mean(axis=0), new - new.mean(axis=0)
    if reach == 0 or not new.any() or not old.any():
        return 0.0, 0.0
    # Both ways, so that a clip does not lag behind itself because its ends differ.
    shifts = range(-reach, reach + 1)
    fits = [(_fit(old, new, reach, shift) + _fit(new, old, reach, -shift)) / 2 for shift in shifts]
    best = int(np.argmax(fits))
    if best in (0, 2 * reach):
        return float(best - reach), fits[best]
    # The highest point of the parabola through the best shift and its neighbours.
    left, highest, right = fits[best - 1 : best + 2]
    bend = left - 2 * highest + right
    return float(best - reach + ((left - right) / (2 * bend) if bend else 0.0)), highest


def _fit(
    old: Float32[np.ndarray, "f h w"], new: Float32[np.ndarray, "f h w"], reach: int, shift: int
) -> float:
    """Correlation of the middle of one clip with another so many frames before."""
    middle, shifted = new[reach : len(new) - reach], old[reach - shift : len(old) - reach - shift]
    norm = float(np.linalg.norm(shifted) * np.linalg.norm(middle))
    return float((shifted * middle).sum(dtype=np.float64)) / max(norm, float(np.finfo(float).tiny))
