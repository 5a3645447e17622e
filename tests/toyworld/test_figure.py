"""Bodies keep their proportions, stand on the ground, and move as their action says."""

import numpy as np
import pytest

from toyworld.figure import KEYPOINTS, joints_at, keypoints, random_build
from toyworld.poses import ACTIONS, pose_at

TIME = np.arange(24) / 12


def body(action: str, seed: int = 0, yaw: float = np.pi) -> tuple[dict[str, np.ndarray], object]:
    build = random_build(np.random.default_rng(seed))
    pose = pose_at(action, TIME, np.random.default_rng(seed))
    joints = joints_at(build, pose, np.zeros((len(TIME), 2)), np.full(len(TIME), yaw))
    return joints, build


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_keep_their_length(action: str) -> None:
    joints, build = body(action)
    for start, end, length in (
        ("left_hip", "left_knee", build.thigh),
        ("right_knee", "right_ankle", build.shin),
        ("left_shoulder", "left_elbow", build.upper_arm),
        ("right_elbow", "right_wrist", build.forearm),
        ("pelvis", "neck", build.torso),
    ):
        measured = np.linalg.norm(joints[end] - joints[start], axis=-1)
        np.testing.assert_allclose(measured, length, rtol=1e-9)


@pytest.mark.parametrize("action", ACTIONS)
def test_no_foot_sinks_into_the_ground_and_the_figure_moves(action: str) -> None:
    joints, build = body(action, seed=3)
    lowest = np.minimum(joints["left_ankle"][:, 1], joints["right_ankle"][:, 1])
    assert lowest.min() >= build.limb_radius - 1e-9
    assert np.ptp(keypoints(joints), axis=0).max() > 0.02


def test_only_jumping_and_running_leave_the_ground() -> None:
    for action, leaves in (("jumping", True), ("walking", False), ("dancing", False)):
        joints, build = body(action)
        lowest = np.minimum(joints["left_ankle"][:, 1], joints["right_ankle"][:, 1])
        assert (lowest.max() > 3 * build.limb_radius) == leaves


def test_a_figure_facing_the_camera_shows_its_left_on_the_right() -> None:
    joints, _ = body("standing")
    assert (joints["left_shoulder"][:, 0] > joints["right_shoulder"][:, 0]).all()
    assert (joints["nose"][:, 2] < joints["head"][:, 2]).all()


def test_keypoints_follow_openpose() -> None:
    joints, _ = body("standing")
    points = keypoints(joints)
    assert points.shape == (24, 18, 3)
    assert KEYPOINTS[0] == "nose" and KEYPOINTS[4] == "right_wrist" and KEYPOINTS[17] == "left_ear"
    np.testing.assert_array_equal(points[:, 4], joints["right_wrist"])


def test_waving_lifts_a_hand_above_the_shoulder() -> None:
    for seed in range(5):
        joints, _ = body("waving", seed=seed)
        hands = np.maximum(joints["left_wrist"][:, 1], joints["right_wrist"][:, 1])
        assert hands.max() > joints["neck"][:, 1].min()
