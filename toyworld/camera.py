"""The moving camera: where it is and how it is turned, in continuous time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

MOVES: tuple[str, ...] = (
    "static",
    "static",
    "pan left",
    "pan right",
    "orbit left",
    "orbit right",
    "dolly in",
    "dolly out",
    "crane up",
    "crane down",
)
"""Camera moves, as often as they are drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraPlan:
    """A camera before time is known. Angles in radians, lengths in metres."""

    move: str
    handheld: bool
    distance: float
    height: float
    yaw: float
    target_height: float
    target_side: float
    focal: float
    """Focal length as a multiple of half the picture's shorter side."""
    speed: float
    shake_phase: tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraPath:
    """A camera over time: origin "f 3"; rotation "f 3 3", rows right, up, forward; focal as in the plan."""

    origin: np.ndarray
    rotation: np.ndarray
    focal: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Projects world points.

        Args:
            points: metres, "f ... 3".

        Returns:
            "f ... 3": x right and y down from the picture's middle, in half shorter sides; depth in metres.
        """
        middle = points.shape[1:-1]
        shape = (len(points), *([1] * len(middle)))
        seen = np.einsum("fij,f...j->f...i", self.rotation, points - self.origin.reshape(*shape, 3))
        depth = seen[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        return np.stack([self.focal * seen[..., 0] / safe, -self.focal * seen[..., 1] / safe, depth], axis=-1)


def random_camera(rng: np.random.Generator, *, distance: float, target_height: float) -> CameraPlan:
    """Draws a camera.

    Args:
        rng: source of randomness.
        distance: metres to what it looks at.
        target_height: height of what it looks at, metres.

    Returns:
        The plan.
    """
    return CameraPlan(
        move=str(rng.choice(MOVES)),
        handheld=bool(rng.random() < 0.3),
        distance=distance,
        height=float(target_height + rng.uniform(-0.25, 0.9) * distance / 4.5),
        yaw=float(rng.uniform(-0.5, 0.5)),
        target_height=target_height,
        target_side=float(rng.uniform(-0.25, 0.25)),
        focal=float(rng.uniform(2.2, 2.9)),
        speed=float(rng.uniform(0.5, 1.3)),
        shake_phase=tuple(float(v) for v in rng.uniform(0, 6.28, 4)),
    )


def _shake(plan: CameraPlan, time: np.ndarray) -> np.ndarray:
    """Gives a hand's tremor as three small angles, "f 3"."""
    if not plan.handheld:
        return np.zeros((len(time), 3))
    a, b, c, d = plan.shake_phase
    tilt = 0.012 * np.sin(7.3 * time + a) + 0.006 * np.sin(17.1 * time + b)
    side = 0.012 * np.sin(6.1 * time + c) + 0.006 * np.sin(19.3 * time + d)
    return np.stack([side, tilt, 0.008 * np.sin(5.2 * time + b)], axis=-1)


def camera_at(plan: CameraPlan, time: np.ndarray) -> CameraPath:
    """Places the camera.

    Args:
        plan: the camera.
        time: seconds, "f"; moves are centred on half a second.

    Returns:
        The path.
    """
    swing = plan.speed * (time - 0.5)
    way = -1.0 if plan.move.endswith("left") else 1.0
    yaw = np.full_like(time, plan.yaw)
    distance, height = np.full_like(time, plan.distance), np.full_like(time, plan.height)
    side = np.full_like(time, plan.target_side)
    if plan.move.startswith("orbit"):
        yaw = yaw - way * 0.45 * swing
    elif plan.move.startswith("dolly"):
        distance = plan.distance * np.exp((-0.22 if plan.move.endswith("in") else 0.22) * swing)
    elif plan.move.startswith("crane"):
        height = np.maximum(plan.height + (0.8 if plan.move.endswith("up") else -0.8) * swing, 0.25)
    look_side = np.full_like(time, 0.0)
    if plan.move.startswith("pan"):
        look_side = way * 0.9 * swing
    target = np.stack([side, np.full_like(time, plan.target_height), np.zeros_like(time)], axis=-1)
    origin = target + np.stack(
        [-distance * np.sin(yaw), height - plan.target_height, -distance * np.cos(yaw)], axis=-1
    )
    origin[:, 1] = np.maximum(origin[:, 1], 0.2)
    aim = target + np.stack([look_side * np.cos(yaw), 0 * yaw, -look_side * np.sin(yaw)], axis=-1)
    shake = _shake(plan, time)
    aim = aim + plan.distance * np.stack([shake[:, 0], shake[:, 1], 0 * yaw], axis=-1)
    forward = aim - origin
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    roll = np.stack([np.sin(shake[:, 2]), np.cos(shake[:, 2]), 0 * yaw], axis=-1)
    right = np.cross(roll, forward)
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return CameraPath(origin=origin, rotation=rotation, focal=plan.focal)


def half_extent(height: int, width: int) -> tuple[float, float]:
    """Gives half the picture's height and width in half shorter sides.

    Args:
        height: pixels.
        width: pixels.

    Returns:
        Half height and half width; the shorter one is 1.
    """
    short = min(height, width)
    return height / short, width / short


def to_pixels(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Takes projected points to pixel coordinates; the first pixel's centre lies at (0, 0).

    Args:
        points: "... 2" or wider, as `CameraPath.project` gives them.
        height: pixels.
        width: pixels.

    Returns:
        "... 2": x, y in pixels.
    """
    scale = min(height, width) / 2
    middle = np.array([width / 2 - 0.5, height / 2 - 0.5])
    return points[..., :2] * scale + middle


def field_of_view(focal: float) -> float:
    """Gives the angle that the shorter side spans, in radians, for a focal length in half shorter sides."""
    return 2 * math.atan(1 / focal)
