"""How steady a clip is from frame to frame.

Of each frame one number is taken; how far it lies from the mean of its two neighbours, in shares of the mean
of all, is the frame's unsteadiness, and the median of these that of the clip, so that a cut does not count.
What is drawn on black is told apart: how bright it is must hold, how much of it there is may change with what
moves.

What flickers in places leaves those numbers as they are. It is looked for in three frames at a time:

    places   a pixel of a frame lies between those before and after it where something moves across it, and
             beyond both where it flickers
    lines    a line that is there before and after, and not in between
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from iclora.media.timing import pick

DRAWN = 64
"""Brightest channel from which up a pixel is taken for drawn on black."""
RUN_FRAMES, NUM_RUNS = 9, 3
"""Frames that follow each other and are looked at in places, and how often: at the start, in the middle, at
the end."""
BEYOND = 4
"""Levels by which a pixel has to lie beyond its neighbours in time to count."""
_WHITE = 128
_NEAR, _GONE = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (3, 7))
"""A line is still there within 1 pixel; it is gone where there is none within 3."""
_MOVING = 0.25
"""Share of all line pixels that is added to those that stay: where nearly all move, few tell little."""


def unsteadiness(frames: Iterable[np.ndarray], shown: Bool[np.ndarray, " f"]) -> dict[str, float]:
    """Measure how unsteady a clip is.

    Args:
        frames: RGB 0..255, each `h w 3`.
        shown: Which frames show anything; others, and what is beside them, do not count.

    Returns:
        `unsteadiness` of the mean level, `unsteady_level` of the mean level of what is drawn, and
        `unsteady_amount` of the share of the picture that is drawn; 0 where there are fewer than 3 frames.
    """
    counted = shown[1:-1] & shown[:-2] & shown[2:]
    if not counted.any():
        return {}
    means, levels, amounts = np.array([_numbers(frame) for frame in frames]).T
    return {
        "unsteadiness": _away(means, counted),
        "unsteady_level": _away(levels, counted),
        "unsteady_amount": _away(amounts, counted),
    }


def unsteadiness_in_places(
    frames: Iterable[np.ndarray],
    shown: Bool[np.ndarray, " f"],
    shrink: Callable[[UInt8[np.ndarray, "h w 3"]], tuple[np.ndarray, np.ndarray]],
) -> dict[str, float]:
    """Measure how much of a clip's picture flickers.

    Args:
        frames: RGB 0..255, each `h w 3`.
        shown: As for `unsteadiness`.
        shrink: Makes of a frame the small picture it is looked at as, `y x`: its grey, 0..255, and its
            brightest channel, with thin lines as bright as they are.

    Returns:
        `unsteady_places`, the share of pixels that lie beyond those before and after them, the median over
        all frames that have both; and `unsteady_lines`, the share of lines that are there before and after
        such a frame and not in it, of all of them together. 0 where there are fewer than 3 frames.
    """
    places, gone, staying = list[float](), 0.0, 0.0
    runs = _runs(len(shown))
    wanted = np.array([index for run in runs for index in run if shown[index]], int)
    # One way through all of them: a film is read anew by each.
    small = dict(zip(wanted.tolist(), map(shrink, pick(frames, wanted)), strict=True))
    for run in runs:
        seen = [small.get(index) for index in run]
        for one, two, three in zip(seen, seen[1:], seen[2:], strict=False):
            if one is None or two is None or three is None:
                continue
            places.append(_beyond(one[0], two[0], three[0]))
            lines = [np.asarray(brightest >= _WHITE, np.uint8) for _, brightest in (one, two, three)]
            stay = lines[0] & np.asarray(cv2.dilate(lines[2], _NEAR), np.uint8)
            gone += int((stay > cv2.dilate(lines[1], _GONE)).sum())
            staying += int(stay.sum()) + _MOVING * int(lines[1].sum())
    if not places:
        return {}
    return {"unsteady_places": float(np.median(places)), "unsteady_lines": gone / max(1.0, staying)}


def _runs(num_frames: int) -> list[range]:
    """Runs of frames that do not overlap, or one of all frames."""
    if num_frames <= RUN_FRAMES * NUM_RUNS:
        return [range(num_frames)]
    starts = np.linspace(0, num_frames - RUN_FRAMES, NUM_RUNS).astype(int).tolist()
    return [range(start, start + RUN_FRAMES) for start in starts]


def _beyond(
    before: UInt8[np.ndarray, "y x"], grey: UInt8[np.ndarray, "y x"], after: UInt8[np.ndarray, "y x"]
) -> float:
    """Share of pixels that lie beyond those before and after."""
    below = cv2.subtract(cv2.min(before, after), grey)
    above = cv2.subtract(grey, cv2.max(before, after))
    return float((np.maximum(below, above) > BEYOND).mean())


def _away(values: np.ndarray, counted: np.ndarray) -> float:
    away = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    return float(np.median(away[counted]) / max(1e-6, float(values.mean())))


def _numbers(frame: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float, float]:
    """Mean level, mean level of what is drawn, share that is drawn."""
    brightest = brightest_channel(frame)
    drawn = np.asarray(brightest >= DRAWN, np.uint8)
    amount = cv2.countNonZero(drawn) / drawn.size
    return float(np.mean(cv2.mean(frame)[:3])), float(cv2.mean(brightest, mask=drawn)[0]), amount


def brightest_channel(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Take the brightest channel of each pixel, as `max(axis=2)` does, in a tenth of the time.

    Args:
        frame: RGB 0..255.

    Returns:
        Levels, 0..255.
    """
    red, green, blue = cv2.split(frame)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
