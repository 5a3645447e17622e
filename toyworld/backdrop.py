"""Ground, sky, wall and far silhouettes of the solid world."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from toyworld.palette import NAMED_COLOURS, other_colour, shade_of
from toyworld.texture import NUM_TILES, PATTERNS

TABLE = 512
"""Points of a silhouette around the horizon."""

KINDS: tuple[str, ...] = ("hills", "mountains", "city", "forest", "wall", "wall", "sky")
"""What may stand behind, as often as it is drawn."""

GROUNDS: tuple[str, ...] = (
    "solid",
    "solid",
    "noise",
    "checker",
    "stripes",
    "dots",
    "grid",
    "patches",
    "bricks",
)


GROUND_COLOURS: tuple[str, ...] = (
    *("green", "green", "green", "brown", "brown", "gray", "gray", "white", "white", "yellow"),
    *("blue", "orange", "pink", "purple", "red", "black", "teal"),
)

WALLS: tuple[str, ...] = ("solid", "solid", "stripes", "bricks", "noise", "dots", "checker", "patches")

SKY_COLOURS: tuple[str, ...] = ("blue", "blue", "white", "gray", "orange", "pink")

HEIGHTS = {"hills": 7.0, "mountains": 15.0, "city": 12.0, "forest": 6.5}
"""Metres that each silhouette rises, before its random factor."""

_GROWN = ("green", "green", "green", "brown", "orange", "purple", "blue", "yellow", "teal")
_BUILT = ("gray", "blue", "purple", "brown", "black", "white", "red", "pink")
_OPEN = ("blue", "blue", "pink", "orange", "white", "purple", "gray", "yellow", "teal")
BEHIND_COLOURS = {"hills": _GROWN, "forest": _GROWN, "mountains": _BUILT, "city": _BUILT, "sky": _OPEN}
"""Colours of each background, as often as they are drawn; a wall takes any but the ground's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backdrop:
    """Everything around the solids, as numbers. Colours are sRGB in [0, 1]."""

    sky_top: np.ndarray
    sky_low: np.ndarray
    clouds: float
    cloud_tile: float
    sun: np.ndarray
    """Direction to the sun, unit, "3"."""
    ground: np.ndarray
    ground_second: np.ndarray
    ground_pattern: float
    ground_frequency: float
    ground_tile: float
    ground_edge: float
    ground_turn: float
    wall: float
    """1 where a wall closes the scene at `wall_depth`."""
    wall_depth: float
    wall_colour: np.ndarray
    wall_second: np.ndarray
    wall_pattern: float
    wall_frequency: float
    near_radius: float
    near_colour: np.ndarray
    near_heights: np.ndarray
    far_radius: float
    far_colour: np.ndarray
    far_heights: np.ndarray
    seed_shift: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackdropNames:
    """What a caption may say of it."""

    background: str
    background_colour: str
    ground: str
    ground_colour: str


def _silhouette(rng: np.random.Generator, kind: str, tall: float) -> np.ndarray:
    """Draws heights around the horizon, metres, "512"."""
    angle = np.linspace(0, 2 * math.pi, TABLE, endpoint=False)
    if kind == "city":
        blocks = np.repeat(rng.uniform(0.15, 1.0, TABLE // 4), 4)
        keep = np.repeat(rng.random(TABLE // 8) < 0.7, 8)
        return tall * np.where(keep, blocks, 0.12)
    if kind == "forest":
        heights = np.zeros(TABLE)
        for _ in range(110):
            centre, wide, high = rng.uniform(0, 2 * math.pi), rng.uniform(0.02, 0.06), rng.uniform(0.35, 0.8)
            away = np.abs(np.mod(angle - centre + math.pi, 2 * math.pi) - math.pi) / wide
            heights = np.maximum(heights, high * np.clip(1 - away, 0, None) ** 0.7)
        return tall * np.maximum(heights, 0.12)
    waves = np.zeros(TABLE)
    top = 9 if kind == "hills" else 26
    for k in range(3, top):
        wave = rng.uniform(0.4, 1.0) / k**0.8 * np.sin(k * angle + rng.uniform(0, 2 * math.pi))
        waves += wave if kind == "hills" else -np.abs(wave) * 1.6
    waves = (waves - waves.min()) / (waves.max() - waves.min())
    return tall * (0.12 + 0.88 * waves)


def _random_names(rng: np.random.Generator, style: str) -> BackdropNames:
    kind = str(rng.choice(KINDS))
    ground_colour = "white" if style == "snow" else str(rng.choice(GROUND_COLOURS))
    if kind == "wall":
        colour = other_colour(rng, ground_colour)
    else:
        colour = str(rng.choice(BEHIND_COLOURS[kind]))
    ground = str(rng.choice(GROUNDS))
    return BackdropNames(
        background=kind, background_colour=colour, ground=ground, ground_colour=ground_colour
    )


def _random_sky(rng: np.random.Generator, name: str) -> dict[str, Any]:
    sky = shade_of(rng, name)
    angle, height = float(rng.normal(0, 1.0)), float(rng.uniform(0.6, 1.2))
    level = math.cos(height)
    return {
        "sky_top": sky,
        "sky_low": sky + (1 - sky) * float(rng.uniform(0.25, 0.6)),
        "clouds": float(rng.random() < 0.5) * float(rng.uniform(0.3, 0.9)),
        "cloud_tile": float(rng.integers(6, NUM_TILES)),
        "sun": np.array([math.sin(angle) * level, math.sin(height), -math.cos(angle) * level]),
        "seed_shift": float(rng.random()),
    }


def _random_ground(rng: np.random.Generator, names: BackdropNames) -> dict[str, Any]:
    ground = shade_of(rng, names.ground_colour)
    second = ground * float(rng.uniform(0.45, 0.75)) if ground.mean() > 0.25 else ground + 0.3
    if names.ground in ("checker", "stripes") and rng.random() < 0.5:
        second = np.array(NAMED_COLOURS["white" if ground.mean() < 0.6 else "gray"])
    return {
        "ground": ground,
        "ground_second": second,
        "ground_pattern": float(PATTERNS.index(names.ground)),
        "ground_frequency": float(rng.uniform(0.9, 2.4)),
        "ground_tile": float(rng.integers(2, NUM_TILES)),
        "ground_edge": float(rng.choice([0.1, 0.1, 0.6])),
        "ground_turn": float(rng.uniform(0, math.pi)),
    }


def _random_wall(rng: np.random.Generator, kind: str, colour: np.ndarray) -> dict[str, Any]:
    return {
        "wall": float(kind == "wall"),
        "wall_depth": float(rng.uniform(2.2, 4.5)),
        "wall_colour": colour,
        "wall_second": colour * float(rng.uniform(0.6, 0.85)) + 0.1,
        "wall_pattern": float(PATTERNS.index(str(rng.choice(WALLS)))),
        "wall_frequency": float(rng.uniform(1.0, 2.5)),
    }


def _random_horizon(
    rng: np.random.Generator, kind: str, behind: np.ndarray, sky: np.ndarray
) -> dict[str, Any]:
    tall = HEIGHTS.get(kind, 0.0) * float(rng.uniform(0.7, 1.3))
    zeros = np.zeros(TABLE)
    return {
        "near_radius": float(rng.uniform(16, 26)),
        "near_colour": behind,
        "near_heights": _silhouette(rng, kind, 0.55 * tall) if tall else zeros,
        "far_radius": float(rng.uniform(34, 50)),
        "far_colour": behind + (sky - behind) * float(rng.uniform(0.2, 0.5)),
        "far_heights": _silhouette(rng, kind, 1.5 * tall) if tall else zeros,
    }


def random_backdrop(rng: np.random.Generator, *, style: str) -> tuple[Backdrop, BackdropNames]:
    """Draws the surroundings.

    Args:
        rng: source of randomness.
        style: name of the style; snow has white ground.

    Returns:
        The numbers, and the words for them.
    """
    names = _random_names(rng, style)
    kind = names.background
    sky = _random_sky(rng, names.background_colour if kind == "sky" else str(rng.choice(SKY_COLOURS)))
    behind = shade_of(rng, names.background_colour)
    numbers = Backdrop(
        **sky,
        **_random_ground(rng, names),
        **_random_wall(rng, kind, behind),
        **_random_horizon(rng, kind, behind, sky["sky_top"]),
    )
    return numbers, names
