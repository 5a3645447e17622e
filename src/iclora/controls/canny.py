"""Canny edges: white lines on black, of one thickness, chosen by thresholds that hold for the whole clip.

    frame ─► grey ─► Gaussian blur ─► Sobel 3x3 ─► ridges above `high`, and what joins them above `low`

Thresholds are in units of the 3x3 Sobel magnitude of the blurred 8-bit grey picture: a sharp upright step
of C grey levels measures 4 C unblurred and about 1.9 C at the default blur.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from jaxtyping import Float32, Int16

from iclora.clip import Clip
from iclora.controls.lines import thicken
from iclora.errors import RequestError

AUTO_PERCENTILE = 92.0
"""Share of all pixels of the clip, in percent, whose gradient lies below the automatic `high`:
in a busy clip only the stronger lines stay."""
AUTO_STRONG_PERCENTILE = 99.0
AUTO_STRONG_SHARE = 0.5
"""The automatic `high` is at most this share of the 99th percentile, so that a clip of nothing but
equally strong lines keeps them."""
AUTO_HIGH_RANGE = (30.0, 300.0)
"""Bounds of the automatic `high`: no lines from film grain, none of the strong ones lost in a busy clip."""
AUTO_LOW_SHARE = 0.4
"""The automatic `low` as a share of `high`."""
_HISTOGRAM_BINS = 2048


def canny(
    clip: Clip,
    *,
    low: float | None = None,
    high: float | None = None,
    blur: float = 1.5,
    thickness: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Draw the edges of every frame.

    Args:
        clip: The filmed clip, RGB 0..255.
        low: Gradient above which a ridge joined to a strong one is kept, >= 0. None: 0.4 of `high`.
        high: Gradient above which a ridge is kept, >= `low`. None: chosen once from the gradients of all
            frames, so that lines do not flicker: their 92nd percentile, at most half the 99th, within 30 and
            300.
        blur: Standard deviation of the Gaussian blur before the gradient, in pixels, >= 0 (0: none).
        thickness: Line width in pixels, >= 1, whatever the picture size.
        progress: Called with (frames done, frames in all).

    Returns:
        White (255) lines on black (0), three equal channels, with the clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range.
    """
    _check(low=low, high=high, blur=blur, thickness=thickness)
    low, high = _thresholds(clip, low, high, blur)
    lines = np.empty_like(clip.frames)
    for index, (gradient_x, gradient_y) in enumerate(_gradients(clip, blur)):
        edges = cv2.Canny(gradient_x, gradient_y, low, high, L2gradient=True)
        lines[index] = thicken(edges, int(thickness))[:, :, None]
        if progress is not None:
            progress(index + 1, clip.num_frames)
    return dataclasses.replace(clip, frames=lines)


def _check(*, low: float | None, high: float | None, blur: float, thickness: int) -> None:
    if not 0 <= blur < math.inf:
        raise RequestError(f"The blur is {blur} pixels; it must be 0 (none) or more. 1.5 suits most clips.")
    if not (thickness >= 1 and thickness % 1 == 0):
        raise RequestError(f"The line thickness is {thickness} pixels; it must be a whole number from 1 up.")
    for name, value in (("low", low), ("high", high)):
        if value is not None and not value >= 0:
            raise RequestError(f"The threshold '{name}' is {value}; give 0 or more, or leave it out.")
    if low is not None and high is not None and low > high:
        raise RequestError(f"The threshold 'low' ({low}) is above 'high' ({high}); swap them.")


def _thresholds(clip: Clip, low: float | None, high: float | None, blur: float) -> tuple[float, float]:
    """Fill in the thresholds that were not given, from the gradients of all frames together."""
    if high is None:
        smallest, largest = AUTO_HIGH_RANGE
        usual, strong = _gradient_percentiles(clip, blur, (AUTO_PERCENTILE, AUTO_STRONG_PERCENTILE))
        high = min(max(min(usual, AUTO_STRONG_SHARE * strong), smallest), largest)
        high = high if low is None else max(high, low)
    return (AUTO_LOW_SHARE * high if low is None else low), high


def _gradient_percentiles(clip: Clip, blur: float, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Gradients below which so many percent of all pixels of the clip lie, to within one unit."""
    counts = np.zeros(_HISTOGRAM_BINS, np.int64)
    for gradient_x, gradient_y in _gradients(clip, blur):
        magnitude: Float32[np.ndarray, "h w"] = cv2.magnitude(np.float32(gradient_x), np.float32(gradient_y))
        counts += np.bincount(magnitude.astype(np.int64).ravel(), minlength=_HISTOGRAM_BINS)[:_HISTOGRAM_BINS]
    below = np.cumsum(counts) / counts.sum() * 100
    first, second = np.searchsorted(below, percentiles)
    return float(first), float(second)


def _gradients(
    clip: Clip, blur: float
) -> Iterator[tuple[Int16[np.ndarray, "h w"], Int16[np.ndarray, "h w"]]]:
    """Horizontal and vertical Sobel gradients of each blurred grey frame."""
    for frame in clip.frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if blur > 0:
            grey = cv2.GaussianBlur(grey, (0, 0), blur)
        yield cv2.Sobel(grey, cv2.CV_16S, 1, 0), cv2.Sobel(grey, cv2.CV_16S, 0, 1)
