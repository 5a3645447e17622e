"""Curves through keypoints: the uniform Catmull-Rom spline of the official track editor.

keypoints  A ──── B ──────── C      each piece takes one unit of `place`, however long it is:
place      0      1          2      evenly spread over the frames, or as the keypoints' frames say
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from iclora.errors import RequestError


def even_spline(
    keypoints: Float[np.ndarray, "keypoints 2"], num_samples: int
) -> Float[np.ndarray, "samples 2"]:
    """Go along a curve through keypoints, with equal time for each piece.

    Args:
        keypoints: Places `(x, y)` in pixels, at least one; one alone stands still, two make a line.
        num_samples: Places wanted, from the first keypoint to the last, at least 1.

    Returns:
        Whole numbers of pixels, as the editor gives them (halves go to the even number).

    Raises:
        RequestError: If there is no keypoint or no sample.

    Source: `_interpolate_spline` of ComfyUI-LTXVideo's sparse_tracks.py (August 2026).
    """
    if len(keypoints) == 0 or num_samples < 1:
        raise RequestError(
            f"{num_samples} places along {len(keypoints)} keypoints are no curve; both must be 1 or more."
        )
    # Multiplied in this order the floats are the official ones, and so are the halves.
    shares = np.arange(num_samples) / max(1, num_samples - 1)
    return np.asarray(np.rint(_curve(keypoints, shares * (len(keypoints) - 1))))


def keyed_spline(
    keypoints: Float[np.ndarray, "keypoints 2"], frames: Int[np.ndarray, " keypoints"]
) -> Float[np.ndarray, "samples 2"]:
    """Go along a curve through keypoints, each met at its frame.

    Args:
        keypoints: Places `(x, y)` in pixels, at least one.
        frames: The frame of each, ascending.

    Returns:
        Whole numbers of pixels for each frame from the first keypoint's to the last one's: the same curve as
        `even_spline`'s, and the same places where the frames are evenly spread.

    Raises:
        RequestError: If there is no keypoint, a frame is missing, or the frames do not ascend.
    """
    if len(keypoints) == 0 or len(keypoints) != len(frames):
        raise RequestError(f"{len(frames)} frames do not fit {len(keypoints)} keypoints; give one for each.")
    steps = np.diff(frames)
    if (steps <= 0).any():
        late = int(np.argmax(steps <= 0))
        raise RequestError(
            f"Keypoints are out of order: frame {frames[late + 1]} comes after frame {frames[late]}; "
            "put them in the order of their frames, each frame once."
        )
    wanted = np.arange(frames[0], frames[-1] + 1)
    return np.asarray(np.rint(_curve(keypoints, np.interp(wanted, frames, np.arange(len(frames))))))


def _curve(
    keypoints: Float[np.ndarray, "keypoints 2"], places: Float[np.ndarray, " samples"]
) -> Float[np.ndarray, "samples 2"]:
    """Places along the curve, counted in pieces from the first keypoint."""
    if len(keypoints) == 1:
        return np.repeat(keypoints, len(places), axis=0)
    piece = np.minimum(places.astype(int), len(keypoints) - 2)
    time = (places - piece)[:, None]
    if len(keypoints) == 2:
        return np.asarray(keypoints[0] + (keypoints[1] - keypoints[0]) * time)
    # The ends are doubled, so that the first and the last piece have neighbours.
    doubled = np.concatenate([keypoints[:1], keypoints, keypoints[-1:]])
    before, start, end, after = (doubled[piece + number] for number in range(4))
    linear = (end - before) * time
    square = (2 * before - 5 * start + 4 * end - after) * time**2
    cubic = (3 * start - before - 3 * end + after) * time**3
    return np.asarray(0.5 * (2 * start + linear + square + cubic))
