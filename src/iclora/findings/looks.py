"""A clip measured: all frames for emptiness and steadiness, a few of them for everything else.

What depends on the picture's size is measured on a picture made smaller, so that limits hold at any size:

    levels        of the clip's own pixels: averages of thin lines would be a faint grey
    lines drawn   a pixel of the small picture is as bright as the brightest that it stands for
    the rest      a pixel of the small picture is the average of those that it stands for
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Int16, UInt8

from iclora.clip import Clip, Film
from iclora.findings.steadiness import brightest_channel, unsteadiness, unsteadiness_in_places
from iclora.media.shaping import scale_picture
from iclora.media.timing import pick

LOOKED_PX = 256
"""Shorter side at which a clip is measured; a smaller clip is measured as it is."""
EMPTY_LEVELS = 16
"""A frame whose brightest and darkest values differ by less, in every channel, shows nothing: compression
leaves 2 to 6 levels of noise on black."""
NUM_LOOKED = 5
"""Frames that are looked at closely, evenly spread over those that show something."""
_DARK, _MIDDLE, _BRIGHT = 64, 128, 192
_COLOURFUL = 48
_TAIL = 1e-4
_STEP = 32
_BROAD = np.ones((7, 7), np.uint8)
_MOST_BROAD = 0.02
_LEAST_WHITE = 0.3
"""Of what is not black, in lines; good: from 0.97, and from 0.33 where they were enlarged, or interpolated at
three quarters. Thin lines averaged to half: to 0.006, to a quarter: to 0.13."""
_UNIT = 0.15
"""Length by which a colour read as a normal may miss 1."""
_THIN_PX = 17
"""What is thinner, in a small picture of 256, is a line or an edge; in smaller ones edges are not as much
thinner as things are."""
_MOST_BLACK = 32
"""Of what counts as black where lines are faint."""
_PLACES = 64
"""Shorter side, in pixels, of the picture on which levels are followed from place to place."""
_PURPLE, _BLUE = 32, 128

Picture = UInt8[np.ndarray, "h w 3"]
Small = UInt8[np.ndarray, "y x 3"]
Grey = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a clip looks like; shares are 0..1, medians over the frames looked at.

    Attributes:
        num_frames: Frames there are.
        empty: Numbers of the frames that show nothing.
        spread: Levels between the darkest and the brightest pixels, 0..255, but for one in ten thousand.
        dark: Share of dark pixels (brightest channel below 64).
        light: Share of light pixels (darkest channel above 191).
        drawn: Share of the small picture that something bright (brightest channel above 127) reaches into.
        coloured: Share of strongly coloured pixels among those that are not dark.
        lines: Share of frames that are thin white lines on black.
        inverted_lines: Share of frames that are thin black lines on white.
        detail: How far pixels lie from the median around them (5x5), the mean, in shares of the picture's
            standard deviation; less in proportion where the shorter side is below 256.
        grain: Share of pixels that differ from the median around them though no edge is near.
        relief: Share of pixels around which (9x9) the grey level changes by more than 32.
        broad: Share of the light that stays where all that is thinner than 17 pixels is taken away: none of
            lines, some of soft edges, nearly all of anything else.
        inverted_broad: The same of the picture inverted.
        restless: How far the grey level goes up and down on the way once across and once down the picture, in
            its standard deviations, the mean over such ways.
        even: The mean of the gradient over its root mean square: near 0 where the level changes in a few
            places alone, about 0.8 where it changes everywhere.
        upside: Mean of the lower third less that of the upper, in shares of 255.
        red, blue: Share of pixels in which one of these channels is bright and the other is not.
        yellow_above: How much higher pixels from orange to yellow green lie than those of the colours that
            they become where red and blue are swapped, in shares of the height; what is missing lies at 0.
        green: Share of pure green.
        purple, heads: Share of strongly coloured pixels that are purple (red and blue above green), and that
            are blue as heads of trails are.
        normals: Share of pixels whose colour is a normal: a direction, of length 1.
        normal_red, normal_blue: How far to the right and towards the eye these point, the mean, -1..1.
        unsteadiness: From frame to frame, of the mean level; see `steadiness`.
        unsteady_level: The same of the mean level of what is drawn (brightest channel from 64 up).
        unsteady_amount: The same of the share of the picture that is drawn.
        unsteady_places: Share of the picture that flickers by itself.
        unsteady_lines: Share of lines that are gone for a frame.
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
    detail: float = 0.0
    grain: float = 0.0
    relief: float = 0.0
    broad: float = 0.0
    inverted_broad: float = 0.0
    restless: float = 0.0
    even: float = 0.0
    upside: float = 0.0
    red: float = 0.0
    blue: float = 0.0
    yellow_above: float = 0.0
    green: float = 0.0
    purple: float = 0.0
    heads: float = 0.0
    normals: float = 0.0
    normal_red: float = 0.0
    normal_blue: float = 0.0
    unsteadiness: float = 0.0
    unsteady_level: float = 0.0
    unsteady_amount: float = 0.0
    unsteady_places: float = 0.0
    unsteady_lines: float = 0.0


def look(clip: Clip | Film) -> Look:
    """Measure a clip.

    Args:
        clip: Any clip, or a film, which is gone through several times; RGB 0..255.

    Returns:
        Its measures; all 0 where no frame shows anything.
    """
    shown = np.array([_shows(frame) for frame in clip.frames])
    empty = tuple(int(index) for index in np.flatnonzero(~shown))
    if len(empty) == clip.num_frames:
        return Look(num_frames=clip.num_frames, empty=empty)
    filled = np.flatnonzero(shown)
    places = np.linspace(0, len(filled) - 1, min(NUM_LOOKED, len(filled))).round().astype(int)
    measured = [_measure(np.ascontiguousarray(frame)) for frame in pick(clip.frames, filled[places])]
    # Lines are counted by frames; of everything else the usual frame tells.
    values = {
        name: float((np.mean if "lines" in name else np.median)([one[name] for one in measured]))
        for name in measured[0]
    }
    values |= unsteadiness(clip.frames, shown) | unsteadiness_in_places(clip.frames, shown, _in_places)
    return Look(num_frames=clip.num_frames, empty=empty, **values)


def _shows(frame: Picture) -> bool:
    """Whether anything differs from the rest of the frame, in any channel."""
    for channel in cv2.split(frame):
        darkest, brightest, _, _ = cv2.minMaxLoc(channel)
        if brightest - darkest >= EMPTY_LEVELS:
            return True
    return False


def _measure(frame: Picture) -> dict[str, float]:
    small = _small(frame)
    brightest, darkest = small.max(axis=2), small.min(axis=2)
    not_dark = brightest >= _DARK
    colourful = not_dark & (brightest - darkest > _COLOURFUL)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    third = max(1, len(grey) // 3)
    return {
        "spread": _spread(brightest_channel(frame)),
        "dark": float((~not_dark).mean()),
        "light": float((darkest >= _BRIGHT).mean()),
        "drawn": float((_reached(brightest_channel(frame)) >= _MIDDLE).mean()),
        "coloured": float(colourful.sum() / max(1, int(not_dark.sum()))),
        "lines": float(_fine_lines(frame, small)),
        "inverted_lines": float(_fine_lines(255 - frame, 255 - small)),
        "upside": float(grey[-third:].mean() - grey[:third].mean()) / 255,
        **_fineness(grey),
        "broad": _broad(grey),
        "inverted_broad": _broad(255 - grey),
        **_slopes(grey),
        **_colours(small, colourful),
        **_normals(small),
    }


def _small(frame: Picture) -> Small:
    scale = LOOKED_PX / min(frame.shape[:2])
    height, width = (round(side * scale) for side in frame.shape[:2])
    return frame if scale >= 1 else scale_picture(frame, height, width)


def _reached(brightest: Grey) -> UInt8[np.ndarray, "y x"]:
    """The small picture with each pixel as bright as the brightest that it stands for."""
    side = max(1, round(min(brightest.shape) / LOOKED_PX))
    reached = cv2.dilate(brightest, np.ones((side, side), np.uint8))
    return np.asarray(reached[side // 2 :: side, side // 2 :: side], np.uint8)


def _in_places(frame: Picture) -> tuple[np.ndarray, np.ndarray]:
    """A frame's small grey picture, and that of its brightest channel."""
    frame = np.ascontiguousarray(frame)
    grey = np.asarray(cv2.cvtColor(_small(frame), cv2.COLOR_RGB2GRAY), np.uint8)
    return grey, _reached(brightest_channel(frame))


def _spread(brightest: Grey) -> float:
    below = np.bincount(brightest.ravel(), minlength=256).cumsum() / brightest.size
    return float(np.searchsorted(below, 1 - _TAIL) - np.searchsorted(below, _TAIL, side="right"))


def _fine_lines(frame: Picture, small: Small) -> bool:
    """Whether a frame is white lines on black, thinner ones than small things in a depth picture are.

    Lines of any size of picture are black and white themselves; that they are thin, the small picture shows,
    in which broad things stay bright. Lines that were enlarged have grey sides, as much as there is white.
    """
    darkest, brightest = int(frame.min()), int(frame.max())
    if brightest - darkest < _MIDDLE:  # faint lines are lines; that they are faint is said of its own
        frame, small = (_stretched(one, darkest, brightest) for one in (frame, small))
    levels = brightest_channel(frame)
    bright = levels >= _MIDDLE
    share = float(bright.mean())
    if not share or (levels < _DARK).mean() < 0.5:
        return False
    grey = float(((levels >= _DARK) & (levels < _BRIGHT)).mean())
    white = float((levels >= _BRIGHT).mean())
    colourless = float((levels - frame.min(axis=2) <= _COLOURFUL)[bright].mean())
    broad = float(cv2.erode((small.max(axis=2) >= _BRIGHT).astype(np.uint8), _BROAD).mean())
    are_white = grey <= max(0.1, share) and white >= _LEAST_WHITE * (white + grey)
    return are_white and colourless >= 0.9 and broad <= _MOST_BROAD * share


def _stretched(picture: Picture, darkest: int, brightest: int) -> Picture:
    gain = 255 / max(1, brightest - darkest)
    return np.asarray(cv2.convertScaleAbs(picture, alpha=gain, beta=-gain * darkest), np.uint8)


def _fineness(grey: Grey) -> dict[str, float]:
    away = cv2.absdiff(grey, cv2.medianBlur(grey, 5))
    scale = min(1.0, min(grey.shape) / LOOKED_PX)  # in a smaller picture the same window sees more
    calm = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) <= _STEP
    steep = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8)) > _STEP
    return {
        "detail": scale * float(away.mean() / max(1.0, float(grey.std()))),
        "grain": float((away[calm] > 0).mean()) if calm.any() else 1.0,
        "relief": float(steep.mean()),
    }


def _broad(grey: Grey) -> float:
    light = cv2.subtract(grey, np.full_like(grey, min(int(grey.min()), _MOST_BLACK)))
    side = round(_THIN_PX * min(1.0, min(grey.shape) / LOOKED_PX) ** 0.5) | 1
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return float(cv2.morphologyEx(light, cv2.MORPH_OPEN, brush).mean() / max(0.1, float(light.mean())))


def _slopes(grey: Grey) -> dict[str, float]:
    height, width = (max(2, round(_PLACES * side / min(grey.shape))) for side in grey.shape)
    places = cv2.resize(grey.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    across, down = (float(np.abs(np.diff(places, axis=axis)).mean()) for axis in (1, 0))
    right, below = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    steepness = cv2.magnitude(right, below)
    usual = float(np.sqrt(np.mean(np.square(steepness))))
    return {
        "restless": _PLACES * (across + down) / max(1.0, float(places.std())),
        "even": float(steepness.mean()) / max(0.1, usual),
    }


def _colours(small: Small, colourful: Bool[np.ndarray, "y x"]) -> dict[str, float]:
    count = max(1, int(colourful.sum()))
    red, green, blue = (small[..., channel].astype(np.int16) for channel in range(3))
    pure = (green >= _BRIGHT) & (red < _DARK) & (blue < _DARK)
    return {
        "red": float(((red >= _MIDDLE) & (blue < _MIDDLE)).mean()),
        "blue": float(((blue >= _MIDDLE) & (red < _MIDDLE)).mean()),
        "yellow_above": _height(np.minimum(red, green) - blue) - _height(np.minimum(blue, green) - red),
        "green": float(pure.mean()),
        "purple": float((colourful & (np.minimum(red, blue) - green > _PURPLE)).sum() / count),
        "heads": float((colourful & (blue - np.maximum(red, green) > _BLUE)).sum() / count),
    }


def _height(strength: Int16[np.ndarray, "h w"]) -> float:
    """How high a colour lies: 0 is the bottom, 1 the top, the mean; 0 where there is none."""
    rows = np.linspace(1, 0, len(strength))
    counts = (strength > _COLOURFUL).sum(axis=1)
    return float((rows * counts).sum() / counts.sum()) if counts.any() else 0.0


def _normals(small: Small) -> dict[str, float]:
    """Read colours as normals: red right, green up, blue towards the eye."""
    towards = small.astype(np.float32) / 127.5 - 1
    unit = np.abs(np.linalg.norm(towards, axis=2) - 1) <= _UNIT
    red, _, blue = towards[unit].mean(axis=0) if unit.any() else (0.0, 0.0, 0.0)
    return {"normals": float(unit.mean()), "normal_red": float(red), "normal_blue": float(blue)}
