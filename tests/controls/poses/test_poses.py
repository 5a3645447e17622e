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


def test_short_appearances_are_left_out() -> None:
    frames = [[person(), person(100)], [person(), person(100)], [person()]]
    assert np.array_equal(follow(frames, min_frames=3), follow([frame[:1] for frame in frames]))
    assert follow(frames, min_frames=2).shape[1] == 2


def test_a_long_walk_through_takes_few_places() -> None:
    """Every 20 frames somebody new comes and stays for 100: 5 at a time, and 3 places that rest."""
    frames = [
        [person(300 * (number % 16), score=0.5 + number / 200) for number in coming(frame)]
        for frame in range(1000)
    ]
    points = follow(frames)
    poses = Poses(points=points, height=130, width=5000, fps=24.0)
    assert points.shape[1] == 8 and poses.num_people == 50
    assert [len(people) for people in frames] == (points[..., 0, 2] > 0).sum(axis=1).tolist()
    for place, own in poses.people:  # nobody shares a place with somebody else at the same time
        assert len(set(points[own, place, 0, 2].tolist()) - {0.0}) == 1


def coming(frame: int) -> range:
    return range(max(0, frame // 20 - 4), frame // 20 + 1)


@pytest.mark.parametrize(("rest", "num_places"), [(47, 2), (48, 1)])
def test_a_place_rests_before_somebody_else_has_it(rest: int, num_places: int) -> None:
    points = follow([[person()], *[[]] * rest, [person(60)]])
    assert points.shape[1] == num_places
    assert Poses(points=points, height=130, width=200, fps=24.0).num_people == 2


@pytest.mark.parametrize(("gone", "num_people"), [(24, 1), (25, 2)])
def test_who_is_in_a_place_after_a_long_time_is_somebody_else(gone: int, num_people: int) -> None:
    nobody = [person(score=0.0)]
    poses = poses_of([person()], *[nobody] * gone, [person(60)])
    assert poses.num_people == num_people


def test_people_who_share_a_place_are_numbered_as_they_come() -> None:
    """In place 0 stands first 0 and then 2, in place 1 first 1 and then 3."""
    one, other, nobody = person(), person(100), person(score=0.0)
    gone = [[nobody, nobody]] * 30
    poses = poses_of([one, other], *gone, [one, nobody], [one, other])
    assert poses.people == [(0, slice(0, 31)), (1, slice(0, 32)), (0, slice(31, 33)), (1, slice(32, 33))]


def test_the_leading_people_of_a_shared_place() -> None:
    small, large, nobody = person(scale=0.5), person(60), person(score=0.0)
    poses = poses_of([small, large], *[[nobody, nobody]] * 30, [large, small], [large, small])
    kept = leading(poses, max_people=2)
    assert kept.points.shape[1] == 2 and kept.num_people == 2
    assert not kept.points[0, 0].any() and not kept.points[-1, 1].any()
    assert np.array_equal(kept.points[-1, 0], large) and np.array_equal(kept.points[0, 1], large)
    assert leading(poses, max_people=1).points.shape[1] == 1


def test_nobody_at_all() -> None:
    assert follow([[], []]).shape == (2, 0, 130, 3)


def test_the_leading_people() -> None:
    gone = np.zeros((130, 3), np.float32)
    poses = poses_of([person(), person(60, scale=0.5), gone], [person(), person(60, scale=0.5), person(120)])
    assert np.array_equal(leading(poses, max_people=1).points, poses.points[:, :1])
    assert leading(poses).num_people == 3
    with pytest.raises(RequestError, match="Cannot keep 0 people"):
        leading(poses, max_people=0)
