"""What figures do: joint angles of each action in continuous time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

ACTIONS: tuple[str, ...] = (
    "standing",
    "walking",
    "running",
    "waving",
    "dancing",
    "jumping",
    "cheering",
    "kicking",
    "bowing",
    "clapping",
)
"""What a figure may do."""


@dataclasses.dataclass(kw_only=True)
class Pose:
    """Angles in radians over time, each an array "f"; limbs are [left, right]."""

    lean: np.ndarray
    roll: np.ndarray
    twist: np.ndarray
    turn: np.ndarray
    lift: np.ndarray
    nod: np.ndarray
    arm_swing: list[np.ndarray]
    arm_raise: list[np.ndarray]
    elbow: list[np.ndarray]
    elbow_plane: list[np.ndarray]
    leg_swing: list[np.ndarray]
    leg_raise: list[np.ndarray]
    knee: list[np.ndarray]


def rest(time: np.ndarray) -> Pose:
    """Stands still with hanging arms."""
    zero = np.zeros_like(time)
    return Pose(
        lean=zero + 0.02,
        roll=zero,
        twist=zero,
        turn=zero,
        lift=zero,
        nod=zero,
        arm_swing=[zero, zero],
        arm_raise=[zero + 0.15, zero + 0.15],
        elbow=[zero + 0.2, zero + 0.2],
        elbow_plane=[zero, zero],
        leg_swing=[zero, zero],
        leg_raise=[zero + 0.05, zero + 0.05],
        knee=[zero + 0.05, zero + 0.05],
    )


def _gait(pose: Pose, phase: np.ndarray, size: float, bent_arms: float) -> None:
    for side, shift in enumerate((0.0, math.pi)):
        pose.leg_swing[side] = size * np.sin(phase + shift) + 0.12 * size
        pose.knee[side] = 0.12 + 1.25 * size * np.clip(np.cos(phase + shift), 0, None) ** 1.5
        pose.arm_swing[side] = -0.85 * size * np.sin(phase + shift)
        pose.elbow[side] = bent_arms + 0.25 * np.sin(phase + shift + math.pi) * size
    pose.twist = 0.18 * size * np.sin(phase)


def _wave(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    both = rng.random() < 0.25
    side = int(rng.integers(2))
    high = float(rng.uniform(1.3, 2.3))
    for arm in [0, 1] if both else [side]:
        pose.arm_raise[arm] = high + 0.12 * np.sin(phase + 1.0)
        pose.elbow[arm] = 0.75 + 0.6 * np.sin(phase + arm * math.pi * float(rng.integers(2)))
        pose.elbow_plane[arm] = np.full_like(phase, 1.4)
    pose.roll = 0.06 * np.sin(phase * 0.5)


def _dance(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    def swing(low: float, high: float) -> np.ndarray:
        middle, reach = (low + high) / 2, (high - low) / 2 * float(rng.uniform(0.6, 1.0))
        return middle + reach * np.sin(phase * float(rng.choice([0.5, 1.0, 1.0, 1.5])) + rng.uniform(0, 6.28))

    for side in range(2):
        pose.arm_swing[side] = swing(-0.6, 1.0)
        pose.arm_raise[side] = swing(0.2, 2.5)
        pose.elbow[side] = swing(0.1, 1.7)
        pose.elbow_plane[side] = swing(0.0, 1.5)
        pose.leg_swing[side] = swing(-0.25, 0.6)
        pose.leg_raise[side] = swing(0.0, 0.4)
        pose.knee[side] = swing(0.1, 0.9)
    pose.roll, pose.lean, pose.twist = swing(-0.25, 0.25), swing(-0.1, 0.25), swing(-0.5, 0.5)
    pose.turn = swing(-0.5, 0.5) if rng.random() < 0.7 else phase * float(rng.choice([-0.35, 0.35]))


def _jump(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    rise = np.sin(phase)
    height = float(rng.uniform(0.2, 0.5))
    pose.lift = height * np.clip(rise, 0, None) ** 0.8
    crouch = np.clip(-rise, 0, None)
    spread = float(rng.uniform(0, 0.6))
    lifted = float(rng.uniform(0.6, 2.7))
    for side in range(2):
        pose.leg_swing[side] = 0.75 * crouch
        pose.knee[side] = 0.1 + 1.35 * crouch
        pose.leg_raise[side] = 0.06 + spread * np.clip(rise, 0, None)
        pose.arm_raise[side] = 0.3 + lifted * np.clip(rise, 0, None)
        pose.arm_swing[side] = -0.6 * crouch
    pose.lean = 0.35 * crouch


def _cheer(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    wide = float(rng.uniform(2.0, 2.7))
    for side in range(2):
        pose.arm_raise[side] = wide + 0.3 * np.sin(phase + side * float(rng.uniform(0, 3)))
        pose.elbow[side] = 0.3 + 0.3 * np.cos(phase)
        pose.elbow_plane[side] = np.full_like(phase, 1.3)
        pose.knee[side] = 0.25 + 0.2 * np.sin(phase)
        pose.leg_swing[side] = pose.knee[side] * 0.5
        pose.leg_raise[side] = np.full_like(phase, 0.2)


def _kick(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    leg = int(rng.integers(2))
    swing = np.sin(phase)
    pose.leg_swing[leg] = 0.45 + float(rng.uniform(0.6, 0.95)) * swing
    pose.knee[leg] = 0.15 + 0.9 * np.clip(-swing, 0, None)
    pose.lean = -0.12 * swing
    for side in range(2):
        pose.arm_raise[side] = 0.6 + 0.25 * swing
        pose.arm_swing[side] = (0.5 if side != leg else -0.5) * swing


def _bow(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    pose.lean = float(rng.uniform(0.4, 0.65)) * (1 - np.cos(phase))
    pose.nod = 0.2 * (1 - np.cos(phase))
    spread = float(rng.uniform(0.1, 0.9))
    for side in range(2):
        pose.arm_raise[side] = np.full_like(phase, spread)
        pose.arm_swing[side] = 0.3 * pose.lean


def _clap(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    high = float(rng.uniform(0.9, 1.6))
    for side in range(2):
        pose.arm_swing[side] = np.full_like(phase, high)
        pose.arm_raise[side] = 0.15 + 0.35 * (1 + np.sin(phase)) / 2
        pose.elbow[side] = 0.75 - 0.3 * (1 + np.sin(phase)) / 2
        pose.elbow_plane[side] = np.full_like(phase, -1.3)


def _walk(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    _gait(pose, phase, float(rng.uniform(0.4, 0.6)), 0.35)
    pose.lean = np.full_like(phase, 0.05)


def _run(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    _gait(pose, phase, float(rng.uniform(0.65, 0.85)), 1.5)
    pose.lean = np.full_like(phase, 0.22)
    pose.lift = 0.06 * np.abs(np.sin(phase))


def _stand(pose: Pose, phase: np.ndarray, rng: np.random.Generator) -> None:
    pose.roll, pose.twist = 0.04 * np.sin(phase), 0.12 * np.sin(phase * 0.7)
    pose.nod = 0.08 * np.sin(phase)
    if rng.random() < 0.4:  # hands on the hips
        for side in range(2):
            pose.arm_raise[side], pose.elbow[side] = np.full_like(phase, 0.75), np.full_like(phase, 1.7)
            pose.elbow_plane[side] = np.full_like(phase, -1.2)


TEMPO = {
    **{"walking": 6.0, "running": 10.0, "waving": 9.0, "dancing": 7.5, "jumping": 7.0, "cheering": 8.0},
    **{"kicking": 5.5, "bowing": 3.0, "clapping": 10.0, "standing": 1.5},
}
"""Angular rate of each action, radians a second, before its random factor."""

MAKERS = {
    **{"waving": _wave, "dancing": _dance, "jumping": _jump, "cheering": _cheer, "kicking": _kick},
    **{"bowing": _bow, "clapping": _clap, "walking": _walk, "running": _run, "standing": _stand},
}
"""What moves the limbs in each action."""


def pose_at(action: str, time: np.ndarray, rng: np.random.Generator) -> Pose:
    """Gives the joint angles of an action over time.

    Args:
        action: one of `ACTIONS`.
        time: seconds, "f".
        rng: draws amplitude, tempo and phase; the draws do not depend on `time`.

    Returns:
        The pose, every angle "f".
    """
    phase = TEMPO[action] * float(rng.uniform(0.8, 1.2)) * time + float(rng.uniform(0, 2 * math.pi))
    pose = rest(time)
    loose = float(rng.uniform(0.02, 0.3))
    for side in range(2):
        pose.arm_raise[side] = 0.1 + loose + 0.04 * np.sin(phase * 0.6 + side)
        pose.elbow[side] = np.full_like(time, float(rng.uniform(0.1, 0.6)))
        pose.leg_raise[side] = np.full_like(time, float(rng.uniform(0.03, 0.18)))
    MAKERS[action](pose, phase, rng)
    return pose
