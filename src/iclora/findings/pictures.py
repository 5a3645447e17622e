"""Whether a picture that a frame shall show has its edges, or its people, where the control has them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from iclora import controls, media
from iclora.clip import Clip
from iclora.errors import MissingDependencyError
from iclora.findings.steadiness import DRAWN

LOOKED_PX = 256
"""Shorter side at which the two are compared."""
TOLERANCE_PX = 2.0
LEAST_AGREEMENT = 0.15
"""Measured on 27 first frames, made lighter, blurred, compressed, shifted by a pixel and red for blue:
against edges of the same clip 0.25 to 1 (but for one dim scene: 0.04), its depth from 0.35; against edges of
another clip 0.02 in the middle, and below this limit for 93 of 100 (86 of depth)."""
LEAST_EDGES = 50
"""Edge pixels of a control below which there is nothing to compare."""
FIGURES_TOLERANCE_PX = 8.0
FIGURES_SCALE = 2
"""People are looked for at so many times the size at which they are compared, as they may be small."""
LEAST_FIGURES_AGREEMENT = 0.25
"""Measured on 18 poses, found and exact, of filmed and rendered clips, where people are found in the picture:
the same frame, also made lighter, from 0.61 (a rabbit, red for blue: 0.31), 8 frames later from 0.25; the
frame shifted by a quarter of its width to 0.05; other clips below this limit for 69 of 76."""


def agreement(control: UInt8[np.ndarray, "h w 3"], picture: UInt8[np.ndarray, "y x 3"]) -> float | None:
    """Compare the edges of a control frame with those of a picture.

    Args:
        control: RGB 0..255: lines, depth, or a film; not poses or tracks, which are no edges.
        picture: RGB 0..255; its middle is taken, at the control's aspect ratio.

    Returns:
        1 where all edges of the control lie within 2 pixels (at a shorter side of 256) of one in the picture,
        0 where they do so as often as by chance, below 0 where less; None where there is nothing to compare.
    """
    height, width = _size(control)
    one = Clip(frames=control[None], fps=1.0)
    wanted = _bright(one, height, width) if controls.is_lines(one) else _edges(one, height, width)
    there = _edges(Clip(frames=picture[None], fps=1.0), height, width)
    return _beyond_chance(wanted, there, TOLERANCE_PX)


def figures_agreement(
    control: UInt8[np.ndarray, "h w 3"], picture: UInt8[np.ndarray, "y x 3"]
) -> float | None:
    """Compare the skeletons of a control frame with those of the people in a picture.

    Nothing is fetched for it: where the usual estimator of poses is not here, nothing is compared.

    Args:
        control: RGB 0..255: skeletons on black.
        picture: RGB 0..255; its middle is taken, at the control's aspect ratio.

    Returns:
        1 where the control's skeletons lie within 8 pixels (at a shorter side of 256) of those found in the
        picture, 0 where they do so as often as by chance, below 0 where less; None where nobody is found in
        the picture, or there is nothing to find them with.
    """
    if not _can_find_people():
        return None
    height, width = _size(control)
    one = media.resize(Clip(frames=control[None], fps=1.0), height, width)
    wanted = np.asarray(one.frames[0].max(axis=2) >= DRAWN)
    clip = media.resize(Clip(frames=picture[None], fps=1.0), FIGURES_SCALE * height, FIGURES_SCALE * width)
    found = controls.draw_poses(controls.find_poses(clip), hands=False, face=False)
    there = np.asarray(media.resize(found, height, width).frames[0].max(axis=2) >= DRAWN)
    if not there.any():
        return None
    return _beyond_chance(wanted, there, FIGURES_TOLERANCE_PX)


def _can_find_people() -> bool:
    estimator = controls.estimator_of("pose", {})
    assert estimator is not None
    try:
        controls.check_installed(estimator)
    except MissingDependencyError:
        return False
    return not controls.missing_weights(estimator)


def _size(control: UInt8[np.ndarray, "h w 3"]) -> tuple[int, int]:
    """Height and width at which a control is compared."""
    scale = LOOKED_PX / min(control.shape[:2])
    return max(1, round(control.shape[0] * scale)), max(1, round(control.shape[1] * scale))


def _beyond_chance(
    wanted: Bool[np.ndarray, "h w"], there: Bool[np.ndarray, "h w"], tolerance_px: float
) -> float | None:
    """How much of what is wanted is near what is there: 1 all, 0 as much as by chance; None: too little."""
    if wanted.sum() < LEAST_EDGES:
        return None
    if not there.any():
        return 0.0
    away = cv2.distanceTransform((~there).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = away <= tolerance_px
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
