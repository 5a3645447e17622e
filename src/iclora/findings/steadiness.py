"""How steady a clip is from frame to frame.

Of each frame one number is taken; how far it lies from the mean of its two neighbours, in shares of the mean
of all, is the frame's unsteadiness, and the median of these that of the clip, so that a cut does not count.
What is drawn on black is told apart: how bright it is must hold, how much of it there is may change with what
moves.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

DRAWN = 64
"""Brightest channel from which up a pixel is taken for drawn on black."""


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


def _away(values: np.ndarray, counted: np.ndarray) -> float:
    away = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    return float(np.median(away[counted]) / max(1e-6, float(values.mean())))


def _numbers(frame: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float, float]:
    """Mean level, mean level of what is drawn, share that is drawn."""
    brightest = cv2.max(cv2.max(frame[..., 0], frame[..., 1]), frame[..., 2])
    drawn = np.asarray(brightest >= DRAWN, np.uint8)
    amount = cv2.countNonZero(drawn) / drawn.size
    return float(np.mean(cv2.mean(frame)[:3])), float(cv2.mean(brightest, mask=drawn)[0]), amount
