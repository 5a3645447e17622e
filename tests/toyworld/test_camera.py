"""The camera: where points fall, and which way moves go."""

import numpy as np
import pytest

from toyworld.camera import CameraPlan, camera_at, half_extent, to_pixels


def plan(move: str = "static", handheld: bool = False) -> CameraPlan:
    return CameraPlan(
        move=move,
        handheld=handheld,
        distance=4.0,
        height=1.0,
        yaw=0.0,
        target_height=1.0,
        target_side=0.0,
        focal=2.0,
        speed=1.0,
        shake_phase=(0.0, 1.0, 2.0, 3.0),
    )


def test_points_fall_where_the_pinhole_says() -> None:
    path = camera_at(plan(), np.zeros(1))
    seen = path.project(np.array([[[0.0, 1.0, 0.0], [1.0, 2.0, 0.0], [1.0, 1.0, 4.0]]]))
    np.testing.assert_allclose(seen[0], [[0, 0, 4], [0.5, -0.5, 4], [0.25, 0, 8]], atol=1e-12)


def test_pixels_of_the_middle_and_the_corner() -> None:
    points = np.array([[0.0, 0.0], [-1.5, -1.0]])
    np.testing.assert_allclose(to_pixels(points, 64, 96), [[47.5, 31.5], [-0.5, -0.5]])
    assert half_extent(64, 96) == (1.0, 1.5)


@pytest.mark.parametrize(
    ("move", "axis", "sign"), [("pan left", 0, 1), ("pan right", 0, -1), ("crane up", 1, 1)]
)
def test_moves_shift_the_picture_the_other_way(move: str, axis: int, sign: int) -> None:
    path = camera_at(plan(move), np.array([0.0, 1.0]))
    seen = path.project(np.broadcast_to(np.array([0.0, 0.3, 2.0]), (2, 1, 3)))
    assert np.sign(seen[1, 0, axis] - seen[0, 0, axis]) == sign or axis == 1
    np.testing.assert_allclose(
        np.einsum("fij,fkj->fik", path.rotation, path.rotation), [np.eye(3)] * 2, atol=1e-12
    )


def test_dolly_in_comes_closer_and_hands_shake() -> None:
    time = np.array([0.0, 1.0])
    path = camera_at(plan("dolly in"), time)
    assert path.origin[1, 2] > path.origin[0, 2]
    assert (
        np.abs(camera_at(plan(handheld=True), time).rotation - camera_at(plan(), time).rotation).max() > 1e-3
    )
