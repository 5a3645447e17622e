"""How closely a result follows its control: the control is extracted from the result again and compared.

Scores are of pixels, tolerant to small shifts:

    precision   share of the result's edge pixels that have a control line within the tolerance
    recall      share of the control's line pixels that have an edge of the result within the tolerance
    F1          2 · precision · recall / (precision + recall), frame by frame, then the mean

And how steady a clip is: `flicker` along the motion, and `lag_frames` behind what it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from iclora import controls, media
from iclora.clip import Clip, Film
from iclora.controls.flow import Motion, moved
from iclora.errors import RequestError

_ASPECT_TOLERANCE = 0.02
"""Largest difference of the aspect ratios, relative, for which two clips show the same picture."""

MAX_LAG = 5
"""Largest lag that is looked for, in frames."""


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


def flicker(clip: Clip | Film, *, flow_of: Clip | Film | None = None) -> float:
    """Measure how much a clip changes that does not move.

    Each frame is compared with the one before, brought along the optical flow, where that flow is sure: what
    moves steadily counts nothing, and what comes and goes counts in full.

    Args:
        clip: Any clip, such as a control.
        flow_of: The film it was made from, with as many frames of the same size; None: the clip itself.

    Returns:
        Mean absolute difference in percent of the range 0..255; 0 for one frame, or where no flow is sure.

    Raises:
        RequestError: If the two differ in size or length.
    """
    total, count = 0.0, 0
    for brought, shown, sure in _along_motion(clip, flow_of):
        total += float(np.abs(brought - shown)[sure].sum(dtype=np.float64))
        count += 3 * int(sure.sum())
    return 100 * total / (255 * count) if count else 0.0


def line_flicker(
    clip: Clip | Film, *, flow_of: Clip | Film | None = None, tolerance_px: float = 2.0
) -> float:
    """Measure how many lines come and go, whatever single pixels do.

    Args:
        clip: Lines (above 127) on black.
        flow_of: The film they were made from, with as many frames of the same size; None: the clip itself.
        tolerance_px: How far a line may lie from where the motion brings it, in pixels, >= 0.

    Returns:
        Of the line pixels of each frame and of the one before, the percentage that has no line of the other
        within the tolerance, where the optical flow is sure; 0 where there are none.

    Raises:
        RequestError: If the two differ in size or length.
    """
    alone, count = 0, 0
    for brought, shown, sure in _along_motion(clip, flow_of):
        pair = [picture.max(axis=2) > 127 for picture in (brought, shown)]
        for lines, others in (pair, pair[::-1]):
            alone += int((lines & sure & (_distance_px(others) > tolerance_px)).sum())
            count += int((lines & sure).sum())
    return 100 * alone / count if count else 0.0


def _along_motion(
    clip: Clip | Film, flow_of: Clip | Film | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, from the second frame on, the one before moved along, the frame, and what is sure."""
    filmed = clip if flow_of is None else flow_of
    _check_alike(clip, filmed, "film it was made from")
    motion: Motion | None = None
    before = np.empty(0, np.uint8)
    for frame, shown in zip(filmed.frames, clip.frames, strict=True):
        if motion is None:
            motion = Motion(frame)
        else:
            place, sure = motion.step(frame)
            yield moved(before, place), shown, sure
        before = shown


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
    _check_alike(after, before, "clip it was made from")
    reach = min(MAX_LAG, (before.num_frames - 1) // 2)
    old, new = (clip.frames.mean(axis=3, dtype=np.float32) for clip in (before, after))
    middle = new[reach : len(new) - reach] - new.mean(axis=0)
    old = old - old.mean(axis=0)
    if reach == 0 or not middle.any() or not old.any():
        return 0.0
    fits = []
    for shift in range(-reach, reach + 1):
        shifted = old[reach - shift : len(old) - reach - shift]
        norm = float(np.linalg.norm(shifted) * np.linalg.norm(middle))
        fits.append(float((shifted * middle).sum(dtype=np.float64)) / max(norm, np.finfo(float).tiny))
    best = int(np.argmax(fits))
    if best in (0, 2 * reach):
        return float(best - reach)
    # The highest point of the parabola through the best shift and its neighbours.
    left, highest, right = fits[best - 1 : best + 2]
    bend = left - 2 * highest + right
    return float(best - reach + ((left - right) / (2 * bend) if bend else 0.0))


def _check_alike(clip: Clip | Film, other: Clip | Film, what: str) -> None:
    shapes = [(one.num_frames, one.height, one.width) for one in (clip, other)]
    if shapes[0] != shapes[1]:
        texts = [f"{frames} frames of {width}x{height}" for frames, height, width in shapes]
        raise RequestError(
            f"The clip has {texts[0]} and the {what} {texts[1]}; bring both to one form first."
        )


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
