"""How much of the control's own drawing shows in a result.

    result = (1 - share) · picture + share · drawing

The fine structure of both (what differs from its surroundings) is compared around what is drawn: lines,
skeletons and trails have a profile that no picture has there, as edges of a picture are steps, of either
sign, and people have not the colours of a skeleton.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.adherence.parts import check_alike
from iclora.clip import Clip

_LOOKED_PX = 256
"""Larger pictures are made smaller first, to this on the shorter side; shares stay what they are."""
_BLUR_PX = 3.0
"""Standard deviation of the blur that takes the fine structure away, on a picture of that size."""
_LEAST = 1 / 255
"""Fine structure of the drawing, blurred, from which a place counts."""


def leak(drawing: Clip, result: Clip) -> float:
    """Measure how much of a control's drawing shows in a result.

    Measured on 3 filmed and 4 rendered clips with edges, skeletons and trails mixed into them: the share of
    the mixture to within 0.03, and at most 0.03 where nothing is mixed in. Soft edges and depth have edges
    where the picture has its own, so what is measured can be 0.2 too high or, of depth, anything too low:
    there only a high value tells, as of a result that is a picture of the control.

    Args:
        drawing: The control as the model was given it.
        result: The generated clip, of the same size and length.

    Returns:
        0 (nothing) .. 1 (the result is the drawing): the slope of the result's fine structure over that of
        the drawing, or their correlation where that is less.

    Raises:
        RequestError: If the two differ in size or length.
    """
    check_alike(result, drawing, "control")
    scale = min(1.0, _LOOKED_PX / min(drawing.height, drawing.width))
    size = (max(1, round(scale * drawing.width)), max(1, round(scale * drawing.height)))
    blur = max(1.0, _BLUR_PX * min(size) / _LOOKED_PX)
    together = drawn = shown = 0.0
    for frame, other in zip(drawing.frames, result.frames, strict=True):
        wanted, there = (_fine(one, size, blur) for one in (frame, other))
        near = cv2.GaussianBlur(np.abs(wanted).max(axis=2), (0, 0), blur) > _LEAST
        wanted, there = wanted[near], there[near]
        together += float((wanted * there).sum(dtype=np.float64))
        drawn += float((wanted**2).sum(dtype=np.float64))
        shown += float((there**2).sum(dtype=np.float64))
    if drawn == 0 or shown == 0:
        return 0.0
    return max(0.0, min(1.0, together / drawn, together / float(np.sqrt(drawn * shown))))


def _fine(
    frame: UInt8[np.ndarray, "h w 3"], size: tuple[int, int], blur: float
) -> Float32[np.ndarray, "y x 3"]:
    """What differs from its surroundings, in shares of the range."""
    picture = cv2.resize(frame.astype(np.float32), size, interpolation=cv2.INTER_AREA) / np.float32(255)
    return np.asarray(picture - cv2.GaussianBlur(picture, (0, 0), blur))
