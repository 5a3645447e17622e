"""How closely a result follows its control: the control is extracted from the result again and compared.

Scores are of pixels, tolerant to small shifts:

    precision   share of the result's edge pixels that have a control line within the tolerance
    recall      share of the control's line pixels that have an edge of the result within the tolerance
    F1          2 · precision · recall / (precision + recall), frame by frame, then the mean
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from iclora import controls, media
from iclora.clip import Clip
from iclora.errors import RequestError

_ASPECT_TOLERANCE = 0.02
"""Largest difference of the aspect ratios, relative, for which two clips show the same picture."""


@dataclass(frozen=True, kw_only=True)
class CannyScore:
    """Edge agreement, each number 0 (none) .. 1 (all), the mean over the frames.

    Args:
        precision: Share of the result's edges that lie on a control line.
        recall: Share of the control's lines that are edges in the result.
        f1: Mean of the frames' harmonic means of the two.
        frame_f1: The F1 of each frame, to see where a result departs from its control.
    """

    precision: float
    recall: float
    f1: float
    frame_f1: tuple[float, ...]


def canny(
    control: Clip,
    result: Clip,
    *,
    tolerance_px: float = 2.0,
    blur: float = 1.5,
    progress: Callable[[int, int | None], None] | None = None,
) -> CannyScore:
    """Score how well the edges of a result lie on the lines of its canny control.

    Fair to any control: its lines may have any thickness or soft borders (what is brighter than half is a
    line, and is thinned to its middle), and the result's edges are extracted with `controls.canny` at
    thresholds chosen from the result itself, so that neither a dark style nor a bright one is favoured.

    Args:
        control: White lines on black, as the model was given them.
        result: The generated clip, with as many frames; scaled to the control's size before extraction.
        tolerance_px: Largest distance that counts as agreement, in pixels of the control, >= 0.
        blur: Blur before the result's edges are extracted, in pixels of the control.
        progress: Called with (frames done, frames in all).

    Returns:
        The score. A frame without lines in both agrees fully (1); with lines in one only, not at all (0).

    Raises:
        RequestError: If the frame counts or aspect ratios differ, the control has no line at all, or the
            tolerance is negative.
    """
    _check(control, result, tolerance_px)
    if (result.height, result.width) != (control.height, control.width):
        result = media.resize(result, control.height, control.width, fit="stretch")
    edges = controls.canny(result, blur=blur).frames[..., 0] > 127
    scores = np.empty((control.num_frames, 3))
    for index, frame in enumerate(control.frames):
        scores[index] = _frame_score(_lines(frame), edges[index], tolerance_px)
        if progress is not None:
            progress(index + 1, control.num_frames)
    precision, recall, f1 = (float(mean) for mean in scores.mean(axis=0))
    return CannyScore(precision=precision, recall=recall, f1=f1, frame_f1=tuple(scores[:, 2].tolist()))


def _check(control: Clip, result: Clip, tolerance_px: float) -> None:
    if tolerance_px < 0:
        raise RequestError(f"The tolerance is {tolerance_px} pixels; give 0 or more, such as 2.")
    if control.num_frames != result.num_frames:
        raise RequestError(
            f"The control has {control.num_frames} frames and the result {result.num_frames}; frames are "
            "compared one to one, so bring both to one count and rate first (media.resample)."
        )
    aspects = (control.width / control.height, result.width / result.height)
    if abs(aspects[0] / aspects[1] - 1) > _ASPECT_TOLERANCE:
        raise RequestError(
            f"The control is {control.width}x{control.height} and the result {result.width}x{result.height}: "
            "different aspect ratios show different parts of the picture. Crop the control alike."
        )
    if not (control.frames > 127).any():
        raise RequestError(
            "The control has no line (nothing brighter than 127 of 255), so there is nothing to follow."
        )


def _lines(frame: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """The one-pixel middle of a control frame's lines."""
    return np.asarray(controls.thin(frame.max(axis=2)) > 0)


def _frame_score(
    lines: Bool[np.ndarray, "h w"], edges: Bool[np.ndarray, "h w"], tolerance_px: float
) -> tuple[float, float, float]:
    """Precision, recall and F1 of one frame."""
    if not lines.any() or not edges.any():
        agree = float(lines.any() == edges.any())
        return agree, agree, agree
    precision = float((_distance_px(lines)[edges] <= tolerance_px).mean())
    recall = float((_distance_px(edges)[lines] <= tolerance_px).mean())
    return precision, recall, 2 * precision * recall / max(precision + recall, np.finfo(float).tiny)


def _distance_px(lines: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """Exact Euclidean distance of every pixel to the nearest line pixel."""
    return np.asarray(cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
