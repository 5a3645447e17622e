"""Solids over time: their parameters for every picture, their look, and the spheres that bound them."""

from __future__ import annotations

import dataclasses

import numpy as np

from toyworld.figure import Build
from toyworld.texture import PATTERNS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """Colours of a solid; `number` tells things apart (outlines run where it changes)."""

    colour: np.ndarray
    number: int
    second: np.ndarray | None = None
    pattern: str = "solid"
    frequency: float = 2.0

    def row(self) -> np.ndarray:
        """Lays the look out as the renderer reads it, "9"."""
        second = self.colour if self.second is None else self.second
        tail = [PATTERNS.index(self.pattern), self.frequency, self.number]
        return np.concatenate([self.colour, second, tail]).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solid:
    """One primitive over time."""

    kind: str
    geometry: np.ndarray
    """Parameters of `trace.HITS[kind]`, "f k"."""
    spheres: np.ndarray
    """Bounding spheres x, y, z, radius: "f m 4"; the solid lies in their hull."""
    look: Look
    shadow: bool = True


def _ball(centre: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    return np.concatenate([centre, np.broadcast_to(radius, centre.shape[:-1])[..., None]], axis=-1)


def capsule(start: np.ndarray, end: np.ndarray, radius: float, look: Look) -> Solid:
    """Makes a capsule.

    Args:
        start: first end, metres, "f 3".
        end: second end, "f 3".
        radius: metres.
        look: its colours.

    Returns:
        The solid.
    """
    width = np.full((len(start), 1), radius)
    spheres = np.stack([_ball(start, radius), _ball(end, radius)], axis=1)
    return Solid(
        kind="capsule", geometry=np.concatenate([start, end, width], axis=-1), spheres=spheres, look=look
    )


def ellipsoid(centre: np.ndarray, axes: np.ndarray, radii: np.ndarray, look: Look) -> Solid:
    """Makes an ellipsoid.

    Args:
        centre: metres, "f 3".
        axes: rows are its own axes in the world, "f 3 3".
        radii: half lengths along its axes, "3".
        look: its colours.

    Returns:
        The solid.
    """
    matrix = (axes / radii[:, None]).reshape(len(centre), 9)
    spheres = _ball(centre, float(radii.max()))[:, None]
    return Solid(
        kind="ellipsoid", geometry=np.concatenate([centre, matrix], axis=-1), spheres=spheres, look=look
    )


def box(centre: np.ndarray, axes: np.ndarray, half: np.ndarray, look: Look) -> Solid:
    """Makes a box.

    Args:
        centre: metres, "f 3".
        axes: rows are its own axes in the world, "f 3 3".
        half: half sizes, "3".
        look: its colours.

    Returns:
        The solid.
    """
    size = np.broadcast_to(half, centre.shape)
    geometry = np.concatenate([centre, axes.reshape(len(centre), 9), size], axis=-1)
    return Solid(
        kind="box", geometry=geometry, spheres=_ball(centre, float(np.linalg.norm(half)))[:, None], look=look
    )


def cone(start: np.ndarray, end: np.ndarray, radii: tuple[float, float], look: Look) -> Solid:
    """Makes a cone frustum; equal radii make a cylinder.

    Args:
        start: middle of its first end, metres, "f 3".
        end: middle of its second end, "f 3".
        radii: radius at start and end; zero is a point.
        look: its colours.

    Returns:
        The solid.
    """
    wide = np.broadcast_to(np.array(radii), (len(start), 2))
    spheres = np.stack([_ball(start, radii[0]), _ball(end, radii[1])], axis=1)
    return Solid(
        kind="cone", geometry=np.concatenate([start, end, wide], axis=-1), spheres=spheres, look=look
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dress:
    """Colours of a figure's parts."""

    body: np.ndarray
    limbs: np.ndarray
    legs: np.ndarray
    head: np.ndarray
    dark: np.ndarray
    pattern: str
    second: np.ndarray
    hat: str
    first_number: int


def _upright(joints: dict[str, np.ndarray]) -> np.ndarray:
    """Gives the head's axes (left, up, front) as rows, "f 3 3"."""
    up = joints["head_up"] - joints["head"]
    front = joints["nose"] - joints["head"]
    front = front - (front * up).sum(-1, keepdims=True) * up
    front = front / np.linalg.norm(front, axis=-1, keepdims=True)
    return np.stack([np.cross(up, front), up, front], axis=1)


def figure_solids(joints: dict[str, np.ndarray], build: Build, dress: Dress) -> list[Solid]:
    """Clothes a skeleton in capsules and a head.

    Args:
        joints: what `figure.joints_at` returned.
        build: the body.
        dress: its colours.

    Returns:
        Its solids, always in the same order.
    """
    number, limb, torso = dress.first_number, build.limb_radius, build.torso_radius
    plain = {
        name: Look(colour=getattr(dress, name), number=number + i)
        for i, name in enumerate(("limbs", "legs", "head", "dark"))
    }
    shirt = Look(
        colour=dress.body, second=dress.second, pattern=dress.pattern, frequency=3.0, number=number + 4
    )
    chest = joints["neck"] + 0.2 * (joints["pelvis"] - joints["neck"])
    belly = joints["pelvis"] + 0.12 * (joints["neck"] - joints["pelvis"])
    solids = [
        capsule(belly, chest, torso, shirt),
        capsule(joints["left_shoulder"], joints["right_shoulder"], limb * 1.25, shirt),
        capsule(joints["left_hip"], joints["right_hip"], limb * 1.45, plain["legs"]),
        capsule(joints["neck"], joints["head"], limb * 0.95, plain["head"]),
    ]
    for side in ("left", "right"):
        hip, knee, ankle, toe = (joints[f"{side}_{part}"] for part in ("hip", "knee", "ankle", "toe"))
        shoulder, elbow, wrist, hand = (
            joints[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist", "hand")
        )
        solids += [
            capsule(hip, knee, limb * 1.3, plain["legs"]),
            capsule(knee, ankle, limb * 1.05, plain["legs"]),
            capsule(ankle, toe, limb * 0.95, plain["dark"]),
            capsule(shoulder, elbow, limb, plain["limbs"]),
            capsule(elbow, wrist, limb * 0.88, plain["limbs"]),
            capsule(wrist, hand, limb * 0.98, plain["head"]),
        ]
    return solids + _head_solids(joints, build, dress, plain)


def _head_solids(
    joints: dict[str, np.ndarray], build: Build, dress: Dress, plain: dict[str, Look]
) -> list[Solid]:
    radius, axes, head = build.head_radius, _upright(joints), joints["head"]
    solids = [ellipsoid(head, axes, radius * np.array([0.88, 1.05, 0.94]), plain["head"])]
    eye = radius * np.array([0.16, 0.2, 0.14])
    for side in ("left", "right"):
        solids.append(ellipsoid(joints[f"{side}_eye"], axes, eye, plain["dark"]))
    up, back = axes[:, 1], -axes[:, 2]
    if dress.hat == "hair":
        centre = head + radius * (0.22 * up + 0.16 * back)
        solids.append(ellipsoid(centre, axes, radius * np.array([1.0, 1.0, 0.98]), plain["dark"]))
    elif dress.hat == "hat":
        brim = head + 0.5 * radius * up
        solids.append(cone(brim, brim + 0.12 * radius * up, (1.5 * radius, 1.4 * radius), plain["limbs"]))
        solids.append(cone(brim, brim + 1.1 * radius * up, (0.95 * radius, 0.75 * radius), plain["limbs"]))
    return solids
