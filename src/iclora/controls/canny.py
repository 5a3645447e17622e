"""Canny edges: white lines on black, of one thickness, chosen by thresholds that hold for the whole clip.

    frame ─► grey ─► Gaussian blur ─► Sobel 3x3 ─► ridges above `high`, and what joins them above `low`

Thresholds are in units of the 3x3 Sobel magnitude of the blurred 8-bit grey picture: a sharp upright step
of C grey levels measures 4 C unblurred and about 1.9 C at the default blur.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.clip import Clip, Film, Footage, redraw
from iclora.controls.flow import check_stabilise, steadied
from iclora.controls.lines import thicken
from iclora.errors import MissingDependencyError, RequestError

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
DEFAULT_BLUR = 1.5
MEMORY_PX = 2
"""How far a line may have moved since the last frame and still be the one that was there."""
MAX_LENIENCE = 0.4
"""By what share both thresholds fall for a line that was there and rise for one that was not, at
`stabilise` 1."""
LEAD_IN = 8
"""Frames that are played backwards before a film that is stabilised, and not drawn: without them its first
frame is noisier than what follows, and the faint lines of that die in the second."""
BACKENDS = ("opencv", "scikit-image")
_HISTOGRAM_BINS = 2048


MAX_BLUR = 100
"""Pixels; nothing is left of edges long before."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How lines are found.

    Attributes:
        low: Gradient above which a ridge joined to a strong one is kept; None: from the clip.
        high: Gradient above which a ridge is kept; None: from the clip.
        blur: Standard deviation of the blur in pixels.
        sum_of_sides: Whether the gradient's size is the sum of its two sides, not its length.
        in_colour: Whether the strongest channel of each pixel counts, not its grey.
        as_kornia: Whether grey and blur keep their fractions, and the blur reaches 2 pixels far.
        short_side: Pixels of the shorter side that the picture has; None: any. See `drawing_size`.
    """

    low: float | None = None
    high: float | None = None
    blur: float = DEFAULT_BLUR
    sum_of_sides: bool = False
    in_colour: bool = False
    as_kornia: bool = False
    short_side: int | None = None

    @property
    def unit(self) -> int:
        """How many steps of a gradient make one grey level."""
        return 16 if self.as_kornia else 1


PRESETS: Mapping[str, Look] = MappingProxyType(
    {
        "auto": Look(),
        "union": Look(low=92.0, high=200.0, blur=0.0, sum_of_sides=True, in_colour=True, short_side=512),
        "ltx-2": Look(low=0.4 * 255, high=0.8 * 255, blur=1.0, as_kornia=True),
        "trainer": Look(low=100.0, high=200.0, blur=0.0, sum_of_sides=True),
    }
)
"""How released workflows find lines. `union`: CannyEdgePreprocessor (92, 200) of the LTX-2.3 union
workflow, at 512 pixels on the short side there; `ltx-2`: ComfyUI's own Canny (0.4, 0.8) of the LTX-2
workflows, which is kornia's, in floats; `trainer`: the official trainer's `compute_reference.py`, cv2.Canny
(100, 200), grey."""


def drawing_size(preset: str, height: int, width: int) -> tuple[int, int]:
    """Tell how large a film is to be when its lines are drawn as a released workflow draws them.

    `canny` draws at the clip's own size; `generate` and `plan` bring the film to this size first, and the
    lines to the result's.

    Args:
        preset: A name in `PRESETS`.
        height: Of the result, in pixels.
        width: Likewise.

    Returns:
        Height and width of the same shape; those of the result where the preset says none.
    """
    side = PRESETS[preset].short_side
    if side is None:
        return height, width
    scale = side / min(height, width)
    return round(height * scale), round(width * scale)


def canny(  # noqa: PLR0913  each is a dial, and has a default
    clip: Footage,
    *,
    preset: str = "auto",
    low: float | None = None,
    high: float | None = None,
    blur: float | None = None,
    thickness: int = 1,
    min_length: int = 0,
    stabilise: float = 0.0,
    backend: str = "opencv",
    progress: Callable[[int, int | None], None] | None = None,
) -> Footage:
    """Draw the edges of every frame.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        preset: A name in `PRESETS`, for what is left out of `low`, `high` and `blur`.
        low: Gradient above which a ridge joined to a strong one is kept, >= 0. None: the preset's, or
            0.4 of `high`.
        high: Gradient above which a ridge is kept, >= `low`. None: the preset's, or chosen once from the
            gradients of all frames, so that lines do not flicker: their 92nd percentile, at most half the
            99th, within 30 and 300.
        blur: Standard deviation of the Gaussian blur before the gradient, in pixels, >= 0 (0: none).
            None: the preset's; 1.5 without any.
        thickness: Line width in pixels, >= 1, whatever the picture size.
        min_length: Lines of fewer pixels are left out, >= 0.
        stabilise: How much lines are kept from coming and going, 0 (not at all) .. 1: the film is averaged
            along its motion, and thresholds are lower for a line that was there in the frame before, and
            higher for one that was not, by up to 0.4 of them.
        backend: `opencv` or `scikit-image`, which has to be installed; they differ in single pixels.
        progress: Called with (frames done, frames in all).

    Returns:
        White (255) lines on black (0), three equal channels, with the clip's size, rate and sound.

    Raises:
        RequestError: If a number is out of its range, or there is no such preset or backend.
        MissingDependencyError: If scikit-image is asked for and not installed.
    """
    _check(low=low, high=high, blur=blur, thickness=thickness, min_length=min_length)
    check_stabilise(stabilise)
    detector = _detector(backend)
    look = _look(clip, preset=preset, low=low, high=high, blur=blur)
    if backend != "opencv" and look.sum_of_sides:
        raise RequestError(f"The preset {preset!r} is OpenCV's own; use it with the backend opencv.")

    def draw(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        remaining = iter(frames)
        first = list(islice(remaining, 1 + (LEAD_IN if stabilise else 0)))
        num_lead = max(0, len(first) - 1)
        steady = steadied(_led_in(first, remaining), iter, stabilise)
        lines = _remembered((detector(frame, look) for frame in steady), MAX_LENIENCE * stabilise)
        for edges in islice(lines, num_lead, None):
            edges = _without_short(edges, int(min_length)) if min_length > 1 else edges
            yield np.repeat(thicken(edges, int(thickness))[:, :, None], 3, axis=2)

    return redraw(clip, draw, progress=progress)


Detected = Callable[[float], UInt8[np.ndarray, "h w"]]
"""The edges (255) of one frame, at both thresholds times some factor."""


def _led_in(first: list[np.ndarray], remaining: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Play the first frames backwards up to the very first, and then the film; they are held no longer."""
    yield from first[:0:-1]
    while first:
        yield first.pop(0)
    yield from remaining


def _remembered(frames: Iterable[Detected], lenience: float) -> Iterator[UInt8[np.ndarray, "h w"]]:
    """Edges of each frame: weaker ones where the frame before had some, stronger ones elsewhere.

    All are ridges of the frame itself, so that lines stay where they now are.
    """
    brush = np.ones((2 * MEMORY_PX + 1, 2 * MEMORY_PX + 1), np.uint8)
    before: np.ndarray | None = None
    for detected in frames:
        if before is None or lenience == 0:
            before = detected(1.0)
        else:
            near = np.asarray(cv2.dilate(before, brush), np.uint8)
            before = detected(1 + lenience) | (detected(1 - lenience) & near)
        yield before


def _without_short(edges: UInt8[np.ndarray, "h w"], min_length: int) -> UInt8[np.ndarray, "h w"]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(edges, connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= min_length
    return np.asarray(edges * kept[labels].astype(np.uint8))


def _check(
    *, low: float | None, high: float | None, blur: float | None, thickness: int, min_length: int
) -> None:
    if blur is not None and not 0 <= blur <= MAX_BLUR:
        raise RequestError(
            f"The blur is {blur} pixels; it must be 0 (none) to {MAX_BLUR}. 1.5 suits most clips."
        )
    if not (1 <= thickness <= 512 and thickness % 1 == 0):
        raise RequestError(
            f"The line thickness is {thickness} pixels; it must be a whole number from 1 up, at most 512."
        )
    if not min_length >= 0:
        raise RequestError(f"The least length of a line is {min_length} pixels; give 0 (all stay) or more.")
    for name, value in (("low", low), ("high", high)):
        if value is not None and not value >= 0:
            raise RequestError(f"The threshold '{name}' is {value}; give 0 or more, or leave it out.")
    if low is not None and high is not None and low > high:
        raise RequestError(f"The threshold 'low' ({low}) is above 'high' ({high}); swap them.")


def _look(
    clip: Clip | Film, *, preset: str, low: float | None, high: float | None, blur: float | None
) -> Look:
    """Fill in what was not given from the preset, and then from the gradients of all frames together."""
    if preset not in PRESETS:
        raise RequestError(f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    look = PRESETS[preset]
    if blur is not None:
        look = replace(look, blur=blur, as_kornia=False)
    if look.high is not None and look.low is not None:
        # One threshold alone takes the other along, where it would be passed.
        high = max(look.high, low or 0.0) if high is None else high
        return replace(look, low=min(look.low, high) if low is None else low, high=high)
    if high is None:
        smallest, largest = AUTO_HIGH_RANGE
        usual, strong = _gradient_percentiles(clip, look, (AUTO_PERCENTILE, AUTO_STRONG_PERCENTILE))
        high = min(max(min(usual, AUTO_STRONG_SHARE * strong), smallest), largest)
        high = high if low is None else max(high, low)
    return replace(look, low=AUTO_LOW_SHARE * high if low is None else low, high=high)


def _gradient_percentiles(
    clip: Clip | Film, look: Look, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Gradients below which so many percent of all pixels of the clip lie, to within one unit."""
    counts = np.zeros(_HISTOGRAM_BINS)
    for frame in clip.frames:
        magnitude: Float32[np.ndarray, "h w"] = cv2.magnitude(*map(np.float32, _gradients(frame, look)))
        counts += cv2.calcHist([magnitude], [0], None, [_HISTOGRAM_BINS], [0, _HISTOGRAM_BINS]).ravel()
    below = np.cumsum(counts) / counts.sum() * 100
    first, second = np.searchsorted(below, percentiles)
    return float(first), float(second)


def _gradients(frame: UInt8[np.ndarray, "h w 3"], look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal and vertical Sobel gradients of a blurred frame: int16, `h w`, or `h w 3` in colour."""
    if look.as_kornia:
        grey = cv2.GaussianBlur(cv2.cvtColor(np.float32(frame), cv2.COLOR_RGB2GRAY), (5, 5), look.blur)
        sides = (
            cv2.Sobel(grey, cv2.CV_32F, *axis, scale=look.unit, borderType=cv2.BORDER_REPLICATE)
            for axis in ((1, 0), (0, 1))
        )
        across, down = (np.rint(side).astype(np.int16) for side in sides)
        return across, down
    picture: np.ndarray = frame if look.in_colour else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if look.blur > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), look.blur)
    # cv2.Canny of a picture continues it so; the presets that name cv2.Canny are to equal it.
    border = cv2.BORDER_REPLICATE if look.sum_of_sides else cv2.BORDER_REFLECT_101
    return (
        cv2.Sobel(picture, cv2.CV_16S, 1, 0, borderType=border),
        cv2.Sobel(picture, cv2.CV_16S, 0, 1, borderType=border),
    )


def _by_opencv(frame: UInt8[np.ndarray, "h w 3"], look: Look) -> Detected:
    assert look.low is not None and look.high is not None
    sides, low, high = _gradients(frame, look), look.unit * look.low, look.unit * look.high

    def detected(factor: float) -> UInt8[np.ndarray, "h w"]:
        by_length = not look.sum_of_sides
        return np.asarray(cv2.Canny(*sides, factor * low, factor * high, L2gradient=by_length), np.uint8)

    return detected


def _detector(backend: str) -> Callable[[np.ndarray, Look], Detected]:
    """What finds the edges of one frame."""
    if backend not in BACKENDS:
        raise RequestError(f"There is no backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if backend == "opencv":
        return _by_opencv
    try:
        feature: Any = importlib.import_module("skimage.feature")
    except ImportError as error:
        raise MissingDependencyError(
            "The backend scikit-image is not installed: pip install 'iclora[scikit-image]', or use opencv."
        ) from error

    def by_scikit_image(frame: np.ndarray, look: Look) -> Detected:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)

        def detected(factor: float) -> UInt8[np.ndarray, "h w"]:
            assert look.low is not None and look.high is not None
            low, high = factor * look.low, factor * look.high
            edges = feature.canny(grey, sigma=look.blur, low_threshold=low, high_threshold=high)
            return np.asarray(np.where(edges, 255, 0), np.uint8)

        return detected

    return by_scikit_image
