"""The world of free shapes: layers of blobs, polygons, stars, strokes and bands that drift with parallax.

Its contours and textures are arbitrary, as those of filmed pictures are. Lengths are half the picture's
shorter side; a layer's depth in metres sets how much it moves with the camera.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from toyworld.camera import MOVES
from toyworld.contours import contour, stroke
from toyworld.describe import Attributes, Thing
from toyworld.film import Film, random_film
from toyworld.palette import NAMED_COLOURS, other_colour, shade_of
from toyworld.styles import Style, style_named
from toyworld.texture import NUM_TILES, PATTERNS

HEAP_KINDS: tuple[str, ...] = (
    *("blob", "blob", "blob", "splash", "splash", "circle", "square", "hexagon", "band", "stroke", "leaf"),
    "island",
)
"""Kinds in a heap, as often as they are drawn."""

HEAP_SHARE = 0.35
"""Share of scenes with a heap of unnamed shapes of all sizes: edges spread as a photograph's are."""

KINDS: tuple[str, ...] = (
    "blob",
    "blob",
    "blob",
    "circle",
    "triangle",
    "square",
    "hexagon",
    "star",
    "star",
    "flower",
    "gear",
    "heart",
    "ring",
    "stroke",
    "stroke",
    "band",
    "island",
    "leaf",
    "splash",
)
"""Shape kinds, as often as they are drawn."""

PATTERN_CHOICES: tuple[str, ...] = (
    "solid",
    "solid",
    "solid",
    "noise",
    "noise",
    "checker",
    "stripes",
    "dots",
    "patches",
    "grid",
    "bricks",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeRecipe:
    """A shape before time is known."""

    kind: str
    depth: float
    place: tuple[float, float]
    velocity: tuple[float, float]
    sway: tuple[float, float, float]
    """Amplitude, angular rate and phase of a wobble."""
    angle: float
    spin: float
    scale: float
    pulse: float
    table: np.ndarray
    """Radius of the contour around the centre, "256"."""
    ring: float
    """Half thickness of a ring; 0 fills the shape."""
    segments: np.ndarray
    """Strokes: x0, y0, x1, y1 of each piece, "6 4"."""
    thickness: float
    soft: float
    """Width of the edge beyond a pixel's."""
    colour: np.ndarray
    second: np.ndarray
    pattern: str
    frequency: float
    tile: int
    bevel: float
    """Width of the rounded rim that catches light; 0 is flat."""
    number: int
    named: bool = True
    """False for the heap of leaves behind what the caption names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ground2D:
    """Numbers of a shape scene's backmost layer, and of its light and camera."""

    colour: np.ndarray
    second: np.ndarray
    third: np.ndarray
    pattern: float
    frequency: float
    tile: float
    edge: float
    angle: float
    grain: float
    """Strength of fine colour noise (a photograph's detail)."""
    gradient: float
    sun: np.ndarray
    seed_shift: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift:
    """A flat camera: how the layers slide, zoom and roll together."""

    move: str
    handheld: bool
    speed: float
    phase: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeScene:
    """A scene of shapes before time is known; recipes run from far to near."""

    attributes: Attributes
    style: Style
    ground: Ground2D
    drift: Drift
    film: Film
    recipes: tuple[ShapeRecipe, ...]


def _random_shape(
    rng: np.random.Generator, kind: str, names: tuple[str, str], order: tuple[int, float]
) -> ShapeRecipe:
    number, depth = order
    colour = shade_of(rng, names[0])
    pattern = str(rng.choice(PATTERN_CHOICES))
    second = shade_of(rng, names[1])
    if pattern == "noise" or rng.random() < 0.4:
        second = np.clip(colour * float(rng.uniform(0.45, 0.7)) + float(rng.uniform(0, 0.15)), 0, 1)
    size = float(np.exp(rng.uniform(math.log(0.16), math.log(0.62))))
    moving = rng.random() < 0.8
    velocity = rng.normal(0, 0.35, 2) if moving else np.zeros(2)
    return ShapeRecipe(
        kind=kind,
        depth=depth,
        place=(float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.9, 0.9))),
        velocity=(float(velocity[0]), float(velocity[1])),
        sway=(float(rng.uniform(0, 0.12)), float(rng.uniform(1, 6)), float(rng.uniform(0, 6.28))),
        angle=float(rng.uniform(0, 2 * math.pi)) if kind not in ("heart",) else float(rng.normal(0, 0.3)),
        spin=float(rng.normal(0, 0.9)) if rng.random() < 0.6 else 0.0,
        scale=size * (1.3 if kind == "stroke" else 1.0),
        pulse=float(np.clip(rng.normal(0, 0.25), -0.6, 0.6)),
        table=contour(rng, kind),
        ring=float(rng.uniform(0.1, 0.25)) if kind == "ring" else 0.0,
        segments=stroke(rng),
        thickness=float(rng.uniform(0.09, 0.2)),
        soft=float(rng.choice([0.0, 0.0, 0.0, 0.02, 0.06])),
        colour=colour,
        second=second,
        pattern=pattern,
        frequency=float(np.exp(rng.uniform(math.log(1.5), math.log(4)))),
        tile=int(rng.integers(0, NUM_TILES)),
        bevel=float(rng.choice([0.0, 0.0, 0.15, 0.4, 1.0])),
        number=number,
    )


def _random_ground(rng: np.random.Generator, names: tuple[str, str], pattern: str) -> Ground2D:
    colour, second = shade_of(rng, names[0]), shade_of(rng, names[1])
    if rng.random() < 0.5:
        second = colour * float(rng.uniform(0.4, 0.8)) + float(rng.uniform(0, 0.2))
    angle, high = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.5, 1.1))
    sun = np.array([math.cos(angle) * math.cos(high), math.sin(angle) * math.cos(high), math.sin(high)])
    return Ground2D(
        colour=colour,
        second=second,
        third=shade_of(rng, str(rng.choice(list(NAMED_COLOURS)))),
        pattern=float(PATTERNS.index(pattern)),
        frequency=float(np.exp(rng.uniform(math.log(1.2), math.log(4)))),
        tile=float(rng.integers(0, NUM_TILES)),
        edge=float(rng.choice([0.08, 0.08, 0.5, 1.5])),
        angle=float(rng.uniform(0, math.pi)),
        grain=float(rng.choice([0.0, 0.1, 0.2, 0.35])),
        gradient=float(rng.uniform(0, 0.6)),
        sun=sun,
        seed_shift=float(rng.random()),
    )


def _random_heap(rng: np.random.Generator) -> list[ShapeRecipe]:
    """Draws overlapping shapes with sizes by a power law, behind everything that is named, far ones first."""
    leaves = []
    count = int(rng.integers(8, 20))
    gray = float(rng.uniform(0.0, 0.85))
    for i, depth in enumerate(np.linspace(11.5, 9.1, count)):
        kind = str(rng.choice(HEAP_KINDS))
        recipe = _random_shape(rng, kind, ("gray", "brown"), (200 + 2 * i, float(depth)))
        colour, second = rng.uniform(0.05, 0.95, 3), rng.uniform(0.05, 0.95, 3)
        colour, second = (tone + gray * (tone.mean() - tone) for tone in (colour, second))
        size = 0.85 * (1 - i / count) ** 1.5 + float(rng.uniform(0.1, 0.25))
        leaves.append(
            dataclasses.replace(
                recipe,
                scale=size,
                colour=colour,
                second=colour + (second - colour) * float(rng.uniform(0.1, 0.8)),
                place=(float(rng.uniform(-1.2, 1.2)), float(rng.uniform(-1.2, 1.2))),
                named=False,
                velocity=(recipe.velocity[0] * 0.3, recipe.velocity[1] * 0.3),
                spin=recipe.spin * 0.3,
                pulse=0.0,
            )
        )
    return leaves


def _random_groups(rng: np.random.Generator, background: str) -> tuple[list[ShapeRecipe], list[Thing]]:
    """Draws one to three groups of like shapes, from far to near, and the words for them."""
    named: list[tuple[str, str]] = []
    for _ in range(int(rng.integers(1, 4))):
        taken = [background, *(colour for _, colour in named)]
        named.append((str(rng.choice(KINDS)), other_colour(rng, *taken)))
    members = [group for group in named for _ in range(int(rng.choice([1, 1, 2, 3, 4])))]
    depths = np.sort(rng.uniform(2.0, 9.0, len(members)))[::-1]
    recipes, things = [], []
    for i, place in enumerate(rng.permutation(len(members))):
        kind, colour = members[place]
        recipe = _random_shape(rng, kind, (colour, other_colour(rng, colour)), (8 + 2 * i, float(depths[i])))
        recipes.append(recipe)
        moves = math.hypot(*recipe.velocity) > 0.15
        action = "drifting" if moves else "turning" if abs(recipe.spin) > 0.4 else "still"
        things.append(Thing(kind=kind, colour=colour, action=action, pattern=recipe.pattern))
    return recipes, things


def build_shapes(rng: np.random.Generator, style: str) -> ShapeScene:
    """Draws a scene of shapes.

    Args:
        rng: source of randomness.
        style: a name that `styles.style_named` knows.

    Returns:
        The scene, timeless.
    """
    background_colour = str(rng.choice(list(NAMED_COLOURS)))
    pattern = str(rng.choice(PATTERN_CHOICES))
    ground = _random_ground(rng, (background_colour, other_colour(rng, background_colour)), pattern)
    recipes, things = _random_groups(rng, background_colour)
    leaves = _random_heap(rng) if rng.random() < HEAP_SHARE else []
    drift = Drift(
        move=str(rng.choice([move for move in MOVES if not move.startswith("orbit")])),
        handheld=bool(rng.random() < 0.3),
        speed=float(rng.uniform(0.4, 1.2)),
        phase=float(rng.uniform(0, 6.28)),
    )
    attributes = Attributes(
        family="shapes",
        style=style,
        figures=(),
        objects=tuple(things),
        background=pattern,
        background_colour=background_colour,
        ground="none",
        ground_colour=background_colour,
        busy=bool(leaves),
        camera=drift.move + ("+handheld" if drift.handheld else ""),
    )
    return ShapeScene(
        attributes=attributes,
        style=style_named(style),
        ground=ground,
        drift=drift,
        film=random_film(rng),
        recipes=(*leaves, *recipes),
    )


def layer_at(drift: Drift, time: np.ndarray, depth: float) -> np.ndarray:
    """Gives how the camera shifts a layer.

    Args:
        drift: the camera.
        time: seconds, "f".
        depth: metres.

    Returns:
        x and y shift, and zoom: "f 3".
    """
    near = 4.0 / depth
    swing = drift.speed * (time - 0.5) * near
    x, y, zoom = 0 * time, 0 * time, 1 + 0 * time
    if drift.move.startswith("pan"):
        x = swing * (0.7 if drift.move.endswith("left") else -0.7)
    elif drift.move.startswith("crane"):
        y = swing * (0.7 if drift.move.endswith("up") else -0.7)
    elif drift.move.startswith("dolly"):
        zoom = np.exp(swing * (0.3 if drift.move.endswith("in") else -0.3))
    if drift.handheld:
        x = x + near * 0.025 * np.sin(7.1 * time + drift.phase) + near * 0.01 * np.sin(18 * time)
        y = y + near * 0.025 * np.sin(6.2 * time + 2 * drift.phase)
    return np.stack([x, y, zoom], axis=-1)


def shape_at(recipe: ShapeRecipe, drift: Drift, time: np.ndarray) -> np.ndarray:
    """Places a shape.

    Args:
        recipe: the shape.
        drift: the camera.
        time: seconds, "f".

    Returns:
        Centre x and y (y down), cosine and sine of its turn, and scale: "f 5".
    """
    camera = layer_at(drift, time, recipe.depth)
    swing, wobble = time - 0.5, recipe.sway[0] * np.sin(recipe.sway[1] * time + recipe.sway[2])
    x = (recipe.place[0] + recipe.velocity[0] * swing + wobble) * camera[:, 2] + camera[:, 0]
    y = (recipe.place[1] + recipe.velocity[1] * swing + 0.5 * wobble) * camera[:, 2] + camera[:, 1]
    angle = recipe.angle + recipe.spin * time
    scale = recipe.scale * camera[:, 2] * (1 + recipe.pulse * np.sin(3 * time + recipe.sway[2]))
    return np.stack([x, y, np.cos(angle), np.sin(angle), scale], axis=-1)
