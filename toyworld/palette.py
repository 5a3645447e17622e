"""The colours the world knows by name, and the shades a name may stand for."""

from __future__ import annotations

import colorsys

import numpy as np

NAMED_COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.10, 0.10),
    "orange": (0.96, 0.50, 0.06),
    "yellow": (0.97, 0.85, 0.12),
    "green": (0.14, 0.62, 0.18),
    "blue": (0.12, 0.28, 0.86),
    "purple": (0.50, 0.16, 0.70),
    "pink": (0.96, 0.48, 0.68),
    "white": (0.95, 0.95, 0.94),
    "black": (0.07, 0.07, 0.08),
    "brown": (0.46, 0.27, 0.12),
    "gray": (0.52, 0.52, 0.53),
    "teal": (0.08, 0.62, 0.62),
}
"""sRGB in [0, 1] of each colour name that captions may use."""


def shade_of(rng: np.random.Generator, name: str, *, spread: float = 1.0) -> np.ndarray:
    """Draws a shade that a viewer would still call by the name.

    Args:
        rng: source of randomness.
        name: one of `NAMED_COLOURS`.
        spread: how far a shade may lie from the named colour; 0 gives the named colour itself.

    Returns:
        sRGB in [0, 1], shape "3".
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*NAMED_COLOURS[name])
    hue += float(rng.uniform(-0.018, 0.018)) * spread
    if saturation > 0.1:
        saturation *= 1.0 + float(rng.uniform(-0.15, 0.1)) * spread
    value += float(rng.uniform(-0.05, 0.05)) * spread
    rgb = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.03), 1.0))
    return np.array(rgb, dtype=np.float64)


def other_colour(rng: np.random.Generator, *taken: str) -> str:
    """Draws a colour name that none of the given names is.

    Args:
        rng: source of randomness.
        taken: names not to draw.

    Returns:
        A key of `NAMED_COLOURS`.
    """
    return str(rng.choice([name for name in NAMED_COLOURS if name not in taken]))
