"""Articulated bodies: proportions, and joints from joint angles by forward kinematics.

A figure's own axes are `out` (to its left), `up`, `front`. An arm or leg hangs down at rest;
`swing` lifts it to the front, `raise_` sideways, `bend` folds its second half.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from toyworld.poses import Pose

KEYPOINTS: tuple[str, ...] = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
"""The OpenPose 18-body order."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Build:
    """A body: lengths in metres."""

    height: float
    limb_radius: float
    torso_radius: float
    head_radius: float
    shoulder: float
    hip: float
    thigh: float
    shin: float
    torso: float
    upper_arm: float
    forearm: float


def random_build(rng: np.random.Generator) -> Build:
    """Draws a body with plausible proportions.

    Args:
        rng: source of randomness.

    Returns:
        The body; its total height lies in [1.25, 1.95] metres.
    """
    height = float(rng.uniform(1.3, 1.95))
    stout = float(rng.uniform(0.85, 1.35))
    leg = float(rng.uniform(0.46, 0.52)) * height
    arm = float(rng.uniform(0.32, 0.38)) * height
    return Build(
        height=height,
        limb_radius=0.036 * height * stout,
        torso_radius=0.078 * height * stout,
        head_radius=float(rng.uniform(0.075, 0.1)) * height,
        shoulder=float(rng.uniform(0.105, 0.13)) * height,
        hip=0.06 * height * (0.6 + 0.4 * stout),
        thigh=0.5 * leg,
        shin=0.46 * leg,
        torso=0.29 * height,
        upper_arm=0.47 * arm,
        forearm=0.44 * arm,
    )


def _mix(front: np.ndarray, out: np.ndarray, up: np.ndarray, parts: tuple[np.ndarray, ...]) -> np.ndarray:
    a, b, c = (np.asarray(part)[:, None] for part in parts)
    return a * out + b * up + c * front


def _limb(
    pose_angles: tuple[np.ndarray, ...], axes: tuple[np.ndarray, ...], backwards: bool
) -> list[np.ndarray]:
    """Gives the directions of a limb's two halves from swing, raise, bend and the plane of the bend."""
    swing, raise_, bend, plane = pose_angles
    out, up, front = axes
    first = _mix(
        front, out, up, (np.sin(raise_), -np.cos(raise_) * np.cos(swing), np.cos(raise_) * np.sin(swing))
    )
    forward = _mix(front, out, up, (0 * swing, np.sin(swing), np.cos(swing)))
    outward = _mix(
        front, out, up, (np.cos(raise_), np.sin(raise_) * np.cos(swing), -np.sin(raise_) * np.sin(swing))
    )
    fold = np.cos(plane)[:, None] * forward + np.sin(plane)[:, None] * outward
    if backwards:
        fold = -forward
    return [first, np.cos(bend)[:, None] * first + np.sin(bend)[:, None] * fold]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def joints_at(build: Build, pose: Pose, place: np.ndarray, yaw: np.ndarray) -> dict[str, np.ndarray]:
    """Places every joint in the world, with the lower foot on the ground (or `lift` above it).

    Args:
        build: the body.
        pose: its angles over time.
        place: where it stands on the ground, metres, "f 2" (x, z).
        yaw: the way it faces, radians, "f"; 0 looks away from the first camera.

    Returns:
        Joints by name, each "f 3"; beside `KEYPOINTS` also pelvis, chest, head, hands and toes.
    """
    yaw = yaw + pose.turn
    up = np.broadcast_to(np.array([0.0, 1.0, 0.0]), (len(yaw), 3))
    front = np.stack([np.sin(yaw), 0 * yaw, np.cos(yaw)], axis=-1)
    left = np.stack([-np.cos(yaw), 0 * yaw, np.sin(yaw)], axis=-1)
    spine = _unit(
        _mix(front, left, up, (np.sin(pose.roll), 1 + 0 * yaw, np.tan(np.clip(pose.lean, -0.4, 1.35))))
    )
    joints: dict[str, np.ndarray] = {"pelvis": np.zeros((len(yaw), 3))}
    joints["neck"] = joints["pelvis"] + build.torso * spine
    chest_left = _unit(np.cos(pose.twist)[:, None] * left + np.sin(pose.twist)[:, None] * front)
    chest_left = _unit(chest_left - (chest_left * spine).sum(-1, keepdims=True) * spine)
    chest_front = _chest_front(chest_left, spine, front)
    for side, name in enumerate(("left", "right")):
        sign = 1.0 if side == 0 else -1.0
        hip = sign * build.hip * left
        upper, lower = _limb(
            (pose.leg_swing[side], pose.leg_raise[side], pose.knee[side], 0 * yaw),
            (sign * left, up, front),
            backwards=True,
        )
        joints[f"{name}_hip"] = hip
        joints[f"{name}_knee"] = hip + build.thigh * upper
        joints[f"{name}_ankle"] = joints[f"{name}_knee"] + build.shin * lower
        joints[f"{name}_toe"] = joints[f"{name}_ankle"] + 0.085 * build.height * _unit(
            front + 0.25 * left * sign
        )
        shoulder = joints["neck"] + sign * build.shoulder * chest_left - 0.04 * build.height * spine
        upper, lower = _limb(
            (pose.arm_swing[side], pose.arm_raise[side], pose.elbow[side], pose.elbow_plane[side]),
            (sign * chest_left, spine, chest_front),
            backwards=False,
        )
        joints[f"{name}_shoulder"] = shoulder
        joints[f"{name}_elbow"] = shoulder + build.upper_arm * upper
        joints[f"{name}_wrist"] = joints[f"{name}_elbow"] + build.forearm * lower
        joints[f"{name}_hand"] = joints[f"{name}_wrist"] + 0.045 * build.height * lower
    _add_head(joints, build, (spine, chest_left, chest_front), pose.nod)
    lowest = np.minimum(joints["left_ankle"][:, 1], joints["right_ankle"][:, 1])
    offset = np.stack([place[:, 0], build.limb_radius * 1.05 - lowest + pose.lift, place[:, 1]], axis=-1)
    return {name: joint + offset for name, joint in joints.items()}


def _chest_front(chest_left: np.ndarray, spine: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Gives the way the chest faces: square to its left and to the spine, on the front's side."""
    facing = np.cross(chest_left, spine)
    return facing * np.sign((facing * front).sum(-1, keepdims=True) + 1e-9)


def _add_head(
    joints: dict[str, np.ndarray], build: Build, axes: tuple[np.ndarray, ...], nod: np.ndarray
) -> None:
    spine, left, front = axes
    radius = build.head_radius
    upward = _unit(np.cos(nod)[:, None] * spine + np.sin(nod)[:, None] * front)
    ahead = _unit(front - (front * upward).sum(-1, keepdims=True) * upward)
    head = joints["neck"] + (0.035 * build.height + radius) * upward
    joints["head"] = head
    joints["head_up"] = head + upward
    joints["nose"] = head + 0.92 * radius * ahead - 0.1 * radius * upward
    for name, sign in (("left", 1.0), ("right", -1.0)):
        joints[f"{name}_eye"] = head + radius * (0.38 * sign * left + 0.82 * ahead + 0.28 * upward)
        joints[f"{name}_ear"] = head + radius * (0.78 * sign * left + 0.05 * ahead + 0.05 * upward)


def keypoints(joints: dict[str, np.ndarray]) -> np.ndarray:
    """Orders the joints as OpenPose's 18-body does.

    Args:
        joints: what `joints_at` returned.

    Returns:
        World positions in metres, "f 18 3".
    """
    return np.stack([joints[name] for name in KEYPOINTS], axis=1)
