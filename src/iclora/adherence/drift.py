"""How far a clip's colours drift away from its first frame, whatever moves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from iclora.clip import Clip

LAST_SHARE = 0.25
"""Share of the frames, from the end, over which the drift is taken."""


def drift(clip: Clip) -> float:
    """Measure how far the colours of the end lie from those of the first frame.

    Of each frame and colour channel the levels are sorted, and each is compared with the level of the same
    rank in the first frame (the earth mover's distance of the two): what moves within the picture counts
    nothing, what becomes darker, paler or another colour does.

    Args:
        clip: Any clip.

    Returns:
        Mean difference over the last quarter of the frames, in percent of the range 0..255; 0 of one frame.
    """
    if clip.num_frames == 1:
        return 0.0
    first = _sorted(clip.frames[0])
    count = max(1, round(LAST_SHARE * clip.num_frames))
    apart = [float(np.abs(_sorted(frame) - first).mean()) for frame in clip.frames[-count:]]
    return 100 * float(np.mean(apart)) / 255


def _sorted(frame: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "pixels 3"]:
    """The levels of each channel from the lowest up."""
    return np.sort(frame.reshape(-1, 3), axis=0).astype(np.float64)
