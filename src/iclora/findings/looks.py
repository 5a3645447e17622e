"""A clip measured: all frames for emptiness and steadiness, a few of them for everything else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from iclora.clip import Clip
from iclora.controls import is_lines

EMPTY_LEVELS = 16
"""A frame whose brightest and darkest values differ by less, in every channel, shows nothing: compression
leaves 2 to 6 levels of noise on black."""
NUM_LOOKED = 5
"""Frames that are looked at closely, evenly spread over those that show something."""
_DARK, _BRIGHT = 64, 192
_COLOURFUL = 48
_TAIL = 1e-4
_FINE = np.ones((7, 7), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a clip looks like; shares are 0..1, medians over the frames looked at.

    Attributes:
        num_frames: Frames there are.
        empty: Numbers of the frames that show nothing.
        spread: Levels between the darkest and the brightest pixels, 0..255, but for one in ten thousand.
        dark: Share of dark pixels (brightest channel below 64).
        light: Share of light pixels (darkest channel above 191).
        drawn: Share of bright pixels (brightest channel above 127).
        coloured: Share of strongly coloured pixels among those that are not dark.
        lines: Share of frames that are thin white lines on black.
        inverted_lines: Share of frames that are thin black lines on white.
        texture: Share of pixels whose Laplacian exceeds 2 levels: high in films, low in smooth pictures.
        edges: Share of pixels beside which the grey level changes by more than 32.
        upside: Mean of the lower third less that of the upper, in shares of 255.
        red, blue: Share of pixels in which one of these channels is bright and the other is not.
        unsteadiness: How far the mean level of a frame lies from that of its two neighbours, in shares of the
            clip's mean: the median over the clip, so that a cut does not count.
    """

    num_frames: int
    empty: tuple[int, ...] = ()
    spread: float = 0.0
    dark: float = 0.0
    light: float = 0.0
    drawn: float = 0.0
    coloured: float = 0.0
    lines: float = 0.0
    inverted_lines: float = 0.0
    texture: float = 0.0
    edges: float = 0.0
    upside: float = 0.0
    red: float = 0.0
    blue: float = 0.0
    unsteadiness: float = 0.0


def look(clip: Clip) -> Look:
    """Measure a clip.

    Args:
        clip: Any clip, RGB 0..255.

    Returns:
        Its measures; all 0 where no frame shows anything.
    """
    shown = np.array([_shows(frame) for frame in clip.frames])
    empty = tuple(int(index) for index in np.flatnonzero(~shown))
    if len(empty) == clip.num_frames:
        return Look(num_frames=clip.num_frames, empty=empty)
    filled = np.flatnonzero(shown)
    places = np.linspace(0, len(filled) - 1, min(NUM_LOOKED, len(filled))).round().astype(int)
    measured = [_measure(np.ascontiguousarray(clip.frames[filled[place]])) for place in places]
    # Lines are counted by frames; of everything else the usual frame tells.
    values = {
        name: float((np.mean if "lines" in name else np.median)([one[name] for one in measured]))
        for name in measured[0]
    }
    return Look(
        num_frames=clip.num_frames, empty=empty, unsteadiness=_unsteadiness(clip.frames, shown), **values
    )


def _shows(frame: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether anything differs from the rest of the frame, in any channel."""
    for channel in cv2.split(frame):
        darkest, brightest, _, _ = cv2.minMaxLoc(channel)
        if brightest - darkest >= EMPTY_LEVELS:
            return True
    return False


def _measure(frame: UInt8[np.ndarray, "h w 3"]) -> dict[str, float]:
    red, green, blue = cv2.split(frame)
    brightest = cv2.max(cv2.max(red, green), blue)
    darkest = cv2.min(cv2.min(red, green), blue)
    below = np.bincount(brightest.ravel(), minlength=256).cumsum() / brightest.size
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    curved = np.abs(cv2.Laplacian(grey, cv2.CV_16S, ksize=1)) > 2
    steep = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 32
    not_dark = max(1, int((brightest >= _DARK).sum()))
    colourful = (brightest - darkest > _COLOURFUL) & (brightest >= _DARK)
    third = max(1, len(grey) // 3)
    dark, light = float((brightest < _DARK).mean()), float((darkest >= _BRIGHT).mean())
    return {
        "spread": float(np.searchsorted(below, 1 - _TAIL) - np.searchsorted(below, _TAIL, side="right")),
        "dark": dark,
        "light": light,
        "drawn": float((brightest > 127).mean()),
        "coloured": float(colourful.sum() / not_dark),
        "lines": float(_fine_lines(frame, dark)),
        "inverted_lines": float(_fine_lines(255 - frame, light)),
        "texture": float(curved.mean()),
        "edges": float(steep.mean()),
        "upside": float(grey[-third:].mean() - grey[:third].mean()) / 255,
        "red": float(((red > 127) & (blue < 128)).mean()),
        "blue": float(((blue > 127) & (red < 128)).mean()),
    }


def _fine_lines(frame: UInt8[np.ndarray, "h w 3"], dark: float) -> bool:
    """Whether a frame is lines, and thinner ones than small things in a depth picture are."""
    if dark < 0.5:
        return False
    brightest = max(1, int(frame.max()))
    if brightest < 128:  # faint lines are lines; that they are faint is said of its own
        frame = np.asarray(cv2.convertScaleAbs(frame, alpha=255 / brightest), np.uint8)
    if not is_lines(Clip(frames=frame[None], fps=1.0)):
        return False
    bright = (cv2.transform(frame, np.full((1, 3), 1 / 3)) > 127).astype(np.uint8)
    return bool(cv2.erode(bright, _FINE).sum() <= 0.02 * bright.sum())


def _unsteadiness(frames: UInt8[np.ndarray, "f h w 3"], shown: np.ndarray) -> float:
    if len(frames) < 3:
        return 0.0
    means: Float[np.ndarray, " f"] = np.array([_mean(frame) for frame in frames])
    away = np.abs(means[1:-1] - (means[:-2] + means[2:]) / 2)
    filled = shown[1:-1] & shown[:-2] & shown[2:]  # what is empty is said of its own
    return float(np.median(away[filled]) / max(1.0, float(means.mean()))) if filled.any() else 0.0


def _mean(frame: UInt8[np.ndarray, "h w 3"]) -> float:
    return float(np.mean(cv2.mean(frame)[:3]))
