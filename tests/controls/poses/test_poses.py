"""controls.poses.poses: the record, who is who, and who matters."""

import numpy as np
import pytest

from iclora.controls.poses import Poses, follow, leading
from iclora.controls.poses.poses import distance, extent
from iclora.errors import InputError, RequestError
from tests.controls.poses.people import person, poses_of


def test_parts_of_the_record() -> None:
    poses = poses_of([person()], [person(score=0.2)])
    assert (poses.num_frames, poses.num_people) == (2, 1)
    parts = (poses.body, poses.left_hand, poses.right_hand, poses.face)
    assert [part.shape[2] for part in parts] == [18, 21, 21, 70]
    assert sum(part.shape[2] for part in parts) == poses.points.shape[2]
    assert poses.seen(0.3).tolist() == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((2, 1, 18, 3), np.float32)}, r"shape \(2, 1, 18, 3\) and type float32; give"),
        ({"points": np.full((1, 1, 130, 3), np.nan, np.float32)}, "not finite"),
        ({"points": np.full((1, 1, 130, 3), 2, np.float32)}, "scores go from 2 to 2"),
        ({"points": np.full((1, 1, 130, 3), 1e7, np.float32)}, "lies 1e\\+07 pixels from the corner"),
        ({"height": 0}, "200x0 pixels"),
        ({"fps": 0.0}, "frame rate of the keypoints is 0.0"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_what_cannot_be_is_refused(change: dict, message: str) -> None:
    given = {"points": np.zeros((1, 0, 130, 3), np.float32), "height": 130, "width": 200, "fps": 24.0}
    assert Poses(**given).num_people == 0
    with pytest.raises(InputError, match=message):
        Poses(**given | change)


def test_extent_is_the_longer_side() -> None:
    """The figure reaches from y 7 to y 120."""
    assert extent(person()) == 113
    assert extent(np.zeros((130, 3), np.float32)) == 0


def test_distance_in_sizes() -> None:
    assert distance(person(), person(11.3)) == pytest.approx(0.1)
    assert distance(person(), np.zeros((130, 3), np.float32)) == float("inf")


def test_people_keep_their_places_in_any_order() -> None:
    left, right = person(0), person(100)
    moved_left, moved_right = person(5), person(95)
    points = follow([[left, right], [moved_right, moved_left], [], [moved_left]])
    assert points.shape == (4, 2, 130, 3)
    assert np.array_equal(points[1, 0], moved_left) and np.array_equal(points[1, 1], moved_right)
    assert not points[2].any()
    assert np.array_equal(points[3, 0], moved_left) and not points[3, 1].any()


@pytest.mark.parametrize(("gap", "num_people"), [(2, 1), (3, 2)])
def test_who_was_gone_for_long_is_new(gap: int, num_people: int) -> None:
    points = follow([[person()], *[[]] * gap, [person()]], max_gap=2)
    assert points.shape[1] == num_people


def test_who_jumps_is_somebody_else() -> None:
    assert follow([[person()], [person(100)]]).shape[1] == 2


def test_nobody_at_all() -> None:
    assert follow([[], []]).shape == (2, 0, 130, 3)


def test_the_leading_people() -> None:
    gone = np.zeros((130, 3), np.float32)
    poses = poses_of([person(), person(60, scale=0.5), gone], [person(), person(60, scale=0.5), person(120)])
    assert np.array_equal(leading(poses, max_people=1).points, poses.points[:, :1])
    assert np.array_equal(leading(poses, min_frames=2).points, poses.points[:, :2])
    assert leading(poses).num_people == 3
    with pytest.raises(RequestError, match="Cannot keep 0 people"):
        leading(poses, max_people=0)
