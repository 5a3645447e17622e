"""Objects of the solid world (balls, boxes, cones, pillars, pills, trees) and how they move."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from toyworld.solids import Look, Solid, box, capsule, cone, ellipsoid

MOTIONS: dict[str, tuple[str, ...]] = {
    "ball": ("still", "bouncing", "bouncing", "rolling", "rolling", "floating"),
    "box": ("still", "sliding", "spinning", "tumbling", "floating"),
    "cone": ("still", "spinning", "sliding", "floating"),
    "pillar": ("still", "still", "sliding"),
    "pill": ("still", "tumbling", "spinning", "bouncing"),
    "tree": ("still", "still", "swaying"),
    "tower": ("still", "sliding", "spinning"),
}
"""Object kinds, and how each may move."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """An object before time is known."""

    kind: str
    motion: str
    place: tuple[float, float]
    """Where it stands at the middle of a second, metres (x, z)."""
    size: float
    """Half its height, metres."""
    look: Look
    yaw: float
    speed: float
    phase: float
    heading: float
    slender: float


def random_recipe(rng: np.random.Generator, kind: str, place: tuple[float, float], look: Look) -> Recipe:
    """Draws how an object of a kind looks and moves.

    Args:
        rng: source of randomness.
        kind: a key of `MOTIONS`.
        place: metres (x, z).
        look: its colours.

    Returns:
        The recipe.
    """
    low, high = {"tree": (0.7, 1.3), "pillar": (0.4, 0.95), "tower": (0.5, 0.9), "box": (0.22, 0.42)}.get(
        kind, (0.22, 0.55)
    )
    heading = float(rng.choice([-1.0, 1.0]) * math.pi / 2 + rng.uniform(-0.7, 0.7))
    return Recipe(
        kind=kind,
        motion=str(rng.choice(MOTIONS[kind])),
        place=place,
        size=float(rng.uniform(low, high)),
        look=look,
        yaw=float(rng.uniform(0, 2 * math.pi)),
        speed=float(rng.uniform(0.6, 1.5)),
        phase=float(rng.uniform(0, 2 * math.pi)),
        heading=heading,
        slender=float(rng.uniform(0.6, 1.4)),
    )


def _turn(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Rows are the axes of a thing turned by yaw about up, after pitch about its own x, "f 3 3"."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(yaw)
    rows = [[cy, zero, -sy], [sy * sp, cp, cy * sp], [sy * cp, -sp, cy * cp]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def path_of(recipe: Recipe, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives where an object's centre is and how it is turned.

    Args:
        recipe: the object.
        time: seconds, "f".

    Returns:
        Centre in metres, "f 3", and its axes as rows, "f 3 3".
    """
    shift = np.zeros_like(time)
    height = np.full_like(time, recipe.size)
    yaw, pitch = np.full_like(time, recipe.yaw), np.zeros_like(time)
    motion, phase = recipe.motion, recipe.phase
    if motion in ("rolling", "sliding"):
        shift = recipe.speed * (time - 0.5)
        if motion == "rolling":
            yaw, pitch = np.full_like(time, recipe.heading), -shift / recipe.size
    elif motion == "bouncing":
        beat = np.mod(time * (1.1 + 0.5 * recipe.speed) + phase, 1.0)
        height = recipe.size + (0.35 + 0.5 * recipe.speed) * 4 * beat * (1 - beat)
        shift = 0.25 * recipe.speed * (time - 0.5)
        yaw = recipe.yaw + 0.8 * time
    elif motion == "floating":
        height = recipe.size * 1.6 + 0.35 + 0.22 * np.sin(2.5 * recipe.speed * time + phase)
        yaw, pitch = recipe.yaw + recipe.speed * time, 0.3 * np.sin(1.7 * time + phase)
    elif motion == "spinning":
        yaw = recipe.yaw + 2.4 * recipe.speed * np.sign(recipe.heading) * time
    elif motion == "tumbling":
        yaw, pitch = np.full_like(time, recipe.heading), 2.6 * recipe.speed * time + phase
        height = recipe.size * (1 + 0.35 * np.abs(np.sin(2 * pitch)))
        shift = 0.4 * recipe.speed * (time - 0.5)
    elif motion == "swaying":
        pitch = 0.07 * np.sin(3.0 * recipe.speed * time + phase)
    x = recipe.place[0] + shift * math.sin(recipe.heading)
    z = recipe.place[1] + shift * math.cos(recipe.heading)
    return np.stack([x, height, z], axis=-1), _turn(yaw, pitch)


def solids_of(recipe: Recipe, time: np.ndarray) -> tuple[list[Solid], np.ndarray]:
    """Builds an object over time.

    Args:
        recipe: the object.
        time: seconds, "f".

    Returns:
        Its solids, and its centre in metres, "f 3".
    """
    centre, axes = path_of(recipe, time)
    size, look, up = recipe.size, recipe.look, axes[:, 1]
    dark = dataclasses.replace(look, number=look.number + 1, colour=look.colour * 0.6, pattern="solid")
    if recipe.kind == "ball":
        return [ellipsoid(centre, axes, np.full(3, size), look)], centre
    if recipe.kind == "box":
        return [box(centre, axes, size * np.array([recipe.slender, 1.0, 0.9]), look)], centre
    if recipe.kind == "cone":
        return [
            cone(centre - size * up, centre + size * up, (0.75 * size * recipe.slender, 0.0), look)
        ], centre
    if recipe.kind == "pillar":
        wide = 0.3 * size * recipe.slender
        top = box(centre + 0.95 * size * up, axes, np.array([1.5 * wide, 0.06 * size, 1.5 * wide]), dark)
        return [cone(centre - size * up, centre + 0.9 * size * up, (wide, wide), look), top], centre
    if recipe.kind == "pill":
        return [capsule(centre - 0.55 * size * up, centre + 0.55 * size * up, 0.45 * size, look)], centre
    if recipe.kind == "tower":
        parts = [(-0.62, 0.38, 0.5), (0.05, 0.29, 0.38), (0.6, 0.26, 0.27)]
        looks = [look, dark, dataclasses.replace(look, number=look.number + 2)]
        return [
            box(centre + at * size * up, axes, size * np.array([wide, tall, wide]), part)
            for (at, tall, wide), part in zip(parts, looks, strict=True)
        ], centre
    return _tree(recipe, centre, axes), centre


def _tree(recipe: Recipe, centre: np.ndarray, axes: np.ndarray) -> list[Solid]:
    size, look, up = recipe.size, recipe.look, axes[:, 1]
    foot = centre - size * up
    bark = Look(colour=np.array([0.34, 0.21, 0.11]), number=look.number + 1)
    solids = [cone(foot, centre, (0.11 * size, 0.08 * size), bark)]
    if recipe.slender > 1.0:
        for i, (low, high, wide) in enumerate(((-0.35, 0.45, 0.55), (0.05, 0.75, 0.44), (0.4, 1.05, 0.32))):
            crown = dataclasses.replace(look, number=look.number + 2 + i % 2)
            solids.append(
                cone(centre + low * size * up, centre + high * size * up, (wide * size, 0.0), crown)
            )
        return solids
    for x, y, z, wide in ((0.0, 0.45, 0.0, 0.5), (0.35, 0.2, 0.1, 0.36), (-0.33, 0.28, -0.1, 0.38)):
        place = centre + size * (x * axes[:, 0] + y * up + z * axes[:, 2])
        solids.append(ellipsoid(place, axes, size * wide * np.array([1.0, 0.9, 1.0]), look))
    return solids
