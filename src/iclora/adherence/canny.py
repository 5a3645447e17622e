"""How closely the edges of a result lie on the lines of its canny control.

Scores are of pixels, tolerant to small shifts:

    precision   share of the result's edge pixels that have a control line within the tolerance
    recall      share of the control's line pixels that have an edge of the result within the tolerance
    F1          2 · precision · recall / (precision + recall), frame by frame, then the mean
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from iclora import controls, media
from iclora.adherence.parts import Where, check_where, distance_px
from iclora.clip import Clip
from iclora.errors import NothingToFollowError, RequestError

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
    where: Where | None = None,
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
        where: The part of the control's picture in which lines and edges count; None: all of it.
        progress: Called with (frames done, frames in all).

    Returns:
        The score. A frame without lines in both agrees fully (1); with lines in one only, not at all (0).

    Raises:
        NothingToFollowError: If the control has no line at all (there).
        RequestError: If the frame counts or aspect ratios differ, or the tolerance is negative.
    """
    _check(control, result, tolerance_px)
    edges = edges_of(result, height=control.height, width=control.width, blur=blur)
    return agreement(control, edges, tolerance_px=tolerance_px, where=where, progress=progress)


def edges_of(result: Clip, *, height: int, width: int, blur: float = 1.5) -> Clip:
    """Extract the edges of a result as `canny` compares them.

    Args:
        result: The generated clip.
        height: Of the control, in pixels.
        width: Likewise.
        blur: Blur before the edges are extracted, in pixels of the control.

    Returns:
        Thin white lines on black, at the control's size.
    """
    if (result.height, result.width) != (height, width):
        result = media.resize(result, height, width, fit="stretch")
    return controls.canny(result, blur=blur)


def agreement(
    control: Clip,
    edges: Clip,
    *,
    tolerance_px: float = 2.0,
    where: Where | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> CannyScore:
    """Compare the lines of a control with edges that are extracted already.

    Args:
        control: As for `canny`.
        edges: From `edges_of`, of the control's size and length.
        tolerance_px: As for `canny`.
        where: As for `canny`.
        progress: As for `canny`.

    Returns:
        The score.

    Raises:
        NothingToFollowError: If the control has no line at all (there).
        RequestError: If `where` is of another shape.
    """
    shape = control.frames.shape[:3]
    inside = np.ones((1, 1, 1), bool) if where is None else check_where(where, shape)
    if not ((control.frames.max(axis=3) > 127) & inside).any():
        raise NothingToFollowError(
            "The control has no line there (nothing brighter than 127 of 255), so there is nothing to follow."
        )
    scores = np.empty((control.num_frames, 3))
    for index, (frame, part) in enumerate(zip(control.frames, np.broadcast_to(inside, shape), strict=True)):
        scores[index] = _frame_score(_lines(frame), edges.frames[index, ..., 0] > 127, part, tolerance_px)
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


def _lines(frame: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """The one-pixel middle of a control frame's lines."""
    return np.asarray(controls.thin(frame.max(axis=2)) > 0)


def _frame_score(
    lines: Bool[np.ndarray, "h w"],
    edges: Bool[np.ndarray, "h w"],
    part: Bool[np.ndarray, "h w"],
    tolerance_px: float,
) -> tuple[float, float, float]:
    """Precision, recall and F1 of one frame; what lies in the part is compared with what lies anywhere."""
    wanted, there = lines & part, edges & part
    if not wanted.any() and not there.any():
        return 1.0, 1.0, 1.0
    if not lines.any() or not edges.any():
        return 0.0, 0.0, 0.0
    close = (distance_px(lines)[there] <= tolerance_px, distance_px(edges)[wanted] <= tolerance_px)
    # Where a part has lines and no edges, or the other way round, what is there speaks for both.
    precision, recall = (float((one if one.size else other).mean()) for one, other in (close, close[::-1]))
    return precision, recall, 2 * precision * recall / max(precision + recall, np.finfo(float).tiny)
