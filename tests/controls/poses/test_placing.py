"""controls.poses.placing: other sizes, clocks, places and bodies."""

import numpy as np
import pytest

from iclora.controls.poses import fit, limb_lengths, place, retime, with_body
from iclora.controls.poses.skeleton import LIMBS
from iclora.errors import RequestError
from tests.controls.poses.people import person, poses_of


@pytest.mark.parametrize(
    ("how", "nose"),
    [("cover", (50 * 2 - 100, 10 * 2)), ("contain", (50, 10 + 65)), ("stretch", (50, 10 * 2))],
)
def test_fit_moves_points_as_the_picture_is_resized(how: str, nose: tuple[int, int]) -> None:
    """200x130 to 200x260: cover doubles it and cuts the sides, contain adds 65 rows above and below."""
    poses = poses_of([person()])
    fitted = fit(poses, 260, 200, how=how)  # type: ignore[arg-type]
    assert (fitted.height, fitted.width) == (260, 200)
    assert fitted.body[0, 0, 0, :2].tolist() == list(nose)
    assert np.array_equal(fitted.points[..., 2], poses.points[..., 2])
    assert not fitted.left_hand.any()  # what is not there stays at nowhere


@pytest.mark.usefixtures("unchecked_shapes")
def test_fit_refuses_what_cannot_be() -> None:
    with pytest.raises(RequestError, match="cannot be fitted to 0x5 pixels"):
        fit(poses_of([person()]), 5, 0)
    with pytest.raises(RequestError, match="Unknown fit 'wide'"):
        fit(poses_of([person()]), 5, 5, how="wide")  # type: ignore[arg-type]


def test_retime_takes_the_nearest_frame() -> None:
    poses = poses_of(*([person(step)] for step in range(4)), fps=24.0)
    slow = retime(poses, fps=12.0, num_frames=3)
    assert slow.fps == 12.0 and slow.body[:, 0, 0, 0].tolist() == [50, 52, 53]
    assert retime(poses, fps=12.0).num_frames == 2 and retime(poses, fps=48.0).num_frames == 8
    for num_frames in (0, 100_001):
        with pytest.raises(RequestError, match=f"keypoints of {num_frames} frames; ask for 1 to 100000"):
            retime(poses, fps=12.0, num_frames=num_frames)
    with pytest.raises(RequestError, match="keypoints of 166667 frames"):
        retime(poses, fps=1e6)
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(RequestError, match=f"The frame rate is {fps}"):
            retime(poses, fps=fps)


def test_place_keeps_the_ground() -> None:
    """The lowest points, at y 120, stay; x grows from the middle of 34 and 66."""
    placed = place(poses_of([person()]), scale=0.5, move=(10.0, -3.0)).body[0, 0]
    assert placed[10, :2].tolist() == [50 - 3 + 10, 117] and placed[4, :2].tolist() == [50 - 8 + 10, 95 - 3]


def test_place_one_of_many() -> None:
    poses = poses_of([person(), person(100)])
    placed = place(poses, move=(7.0, 0.0), person=1)
    assert np.array_equal(placed.points[:, 0], poses.points[:, 0])
    assert (placed.body[0, 1, :, 0] - poses.body[0, 1, :, 0] == 7).all()
    for wrong, message in (({"scale": 0.0}, "Cannot scale by 0.0"), ({"person": 2}, "There is no person 2")):
        with pytest.raises(RequestError, match=message):
            place(poses, **wrong)


def test_limbs_are_as_long_left_and_right() -> None:
    short = person()
    short[7, :2] = short[6, :2] + (0, 1)  # the left forearm points at the camera
    lengths = limb_lengths(poses_of([short]), 0)
    assert lengths[LIMBS.index((6, 7))] == lengths[LIMBS.index((3, 4))] == pytest.approx(np.hypot(2, 20))
    assert lengths[LIMBS.index((1, 2))] == 10


def test_the_same_body_changes_nothing() -> None:
    poses = poses_of([person()], [person(20)])
    assert np.allclose(with_body(poses, poses).points, poses.points, atol=1e-4)


def test_another_body_keeps_directions_and_ground() -> None:
    """Twice as large: every limb twice as long, the feet still at y 120."""
    poses = poses_of([person()], [person(20)])
    changed = with_body(poses, poses_of([person(scale=2.0)]))
    for start, end in LIMBS:
        old = poses.body[:, 0, end, :2] - poses.body[:, 0, start, :2]
        new = changed.body[:, 0, end, :2] - changed.body[:, 0, start, :2]
        assert np.allclose(new, 2 * old, atol=1e-3)
    assert changed.body[0, 0, :, 1].max() == pytest.approx(120)
    assert np.allclose(changed.body[1, 0, 1, 0] - changed.body[0, 0, 1, 0], 20, atol=1e-4)


def test_long_legs_alone() -> None:
    long_legged = person()
    long_legged[[9, 12], 1] += 10  # thighs
    long_legged[[10, 13], 1] += 10
    changed = with_body(poses_of([person()]), poses_of([long_legged])).body[0, 0]
    assert changed[10, 1] == pytest.approx(120)
    assert changed[10, 1] - changed[8, 1] == pytest.approx(60) and changed[8, 1] - changed[
        1, 1
    ] == pytest.approx(40)


def test_hands_and_face_go_with_what_they_hang_on() -> None:
    with_parts = person()
    with_parts[18] = (66, 74, 1)  # 4 below the left wrist
    with_parts[60] = (50, 13, 1)  # 3 below the nose
    changed = with_body(poses_of([with_parts]), poses_of([person(scale=2.0)])).points[0, 0]
    assert np.allclose(changed[18, :2] - changed[7, :2], (0, 8), atol=1e-3)
    assert np.allclose(changed[60, :2] - changed[0, :2], (0, 6), atol=1e-3)


def test_missing_points_stay_missing_and_bridge() -> None:
    """Without an elbow the wrist hangs on the shoulder; without a neck nothing above a limb is moved."""
    armless, neckless = person(), person()
    armless[3] = 0
    neckless[1] = 0
    changed = with_body(poses_of([armless]), poses_of([person(scale=2.0)])).body[0, 0]
    assert not changed[3].any()
    assert np.allclose(changed[4, :2] - changed[2, :2], 2 * (armless[4, :2] - armless[2, :2]), atol=1e-3)
    head = with_body(poses_of([neckless]), poses_of([person(scale=2.0)])).body[0, 0]
    assert not head[1].any() and np.isfinite(head).all()


def test_bodies_that_share_no_limb() -> None:
    nose = np.zeros((130, 3), np.float32)
    nose[0] = (5, 5, 1)
    with pytest.raises(RequestError, match="share no limb"):
        with_body(poses_of([person()]), poses_of([nose]))
    with pytest.raises(RequestError, match="There is no person 3; there are 1"):
        with_body(poses_of([person()]), poses_of([person()]), other_person=3)


def test_people_who_share_a_place_are_placed_each_for_themselves() -> None:
    """The second stands higher and is twice as large; each keeps their own ground and limbs."""
    nobody = [person(score=0.0)]
    one, other = person(y=300), person(100, scale=2.0)
    poses = poses_of([one], *[nobody] * 48, [other], height=430, width=400)
    low = place(poses, scale=0.5)
    assert low.points[0, 0, :18, 1].max() == one[:18, 1].max()
    assert low.points[-1, 0, :18, 1].max() == other[:18, 1].max()
    moved = place(poses, move=(5.0, 0.0), person=1)
    assert np.array_equal(moved.points[0, 0], one) and moved.points[-1, 0, 0, 0] == other[0, 0] + 5
    assert np.allclose(limb_lengths(poses, 1), 2 * limb_lengths(poses, 0))
    alike = with_body(poses, poses_of([person()]))
    assert np.allclose(limb_lengths(alike, 0), limb_lengths(alike, 1), atol=1e-3)
    assert alike.points[-1, 0, :18, 1].max() == pytest.approx(other[:18, 1].max())
    with pytest.raises(RequestError, match="no person 2; there are 2"):
        place(poses, move=(5.0, 0.0), person=2)
