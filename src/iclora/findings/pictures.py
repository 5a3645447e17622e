"""Whether a picture that a frame shall show has its edges where the control has them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from iclora import controls, media
from iclora.clip import Clip

LOOKED_PX = 256
"""Shorter side at which the two are compared."""
TOLERANCE_PX = 2
LEAST_AGREEMENT = 0.15
"""Measured on 27 first frames, made lighter, blurred, compressed, shifted by a pixel and red for blue:
against edges of the same clip 0.25 to 1 (but for one dim scene: 0.04), its depth from 0.35; against edges of
another clip 0.02 in the middle, and below this limit for 93 of 100 (86 of depth)."""
LEAST_EDGES = 50
"""Edge pixels of a control below which there is nothing to compare."""


def agreement(control: UInt8[np.ndarray, "h w 3"], picture: UInt8[np.ndarray, "y x 3"]) -> float | None:
    """Compare the edges of a control frame with those of a picture.

    Args:
        control: RGB 0..255: lines, depth, or a film; not poses or tracks, which are no edges.
        picture: RGB 0..255; its middle is taken, at the control's aspect ratio.

    Returns:
        1 where all edges of the control lie within 2 pixels (at a shorter side of 256) of one in the picture,
        0 where they do so as often as by chance, below 0 where less; None where there is nothing to compare.
    """
    scale = LOOKED_PX / min(control.shape[:2])
    height, width = (max(1, round(side * scale)) for side in control.shape[:2])
    one = Clip(frames=control[None], fps=1.0)
    wanted = _bright(one, height, width) if controls.is_lines(one) else _edges(one, height, width)
    there = _edges(Clip(frames=picture[None], fps=1.0), height, width)
    if wanted.sum() < LEAST_EDGES:
        return None
    if not there.any():
        return 0.0
    near = (
        cv2.distanceTransform((~there).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= TOLERANCE_PX
    )
    by_chance = float(near.mean())
    if by_chance > 0.95:
        return None
    return (float(near[wanted].mean()) - by_chance) / (1 - by_chance)


def _bright(clip: Clip, height: int, width: int) -> np.ndarray:
    """Where lines run, thinned to their middle."""
    if clip.height >= height and clip.width >= width:
        clip = controls.resize_lines(clip, height, width)
    else:
        clip = media.resize(clip, height, width)
    return np.asarray(clip.frames[0].max(axis=2) > 127)


def _edges(clip: Clip, height: int, width: int) -> np.ndarray:
    return np.asarray(controls.canny(media.resize(clip, height, width)).frames[0, ..., 0] > 0)
