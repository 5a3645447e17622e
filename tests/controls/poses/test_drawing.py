"""controls.poses.drawing: colours, places and widths of the OpenPose convention."""

import numpy as np
import pytest

from iclora.controls.poses import Poses, default_stick_width, draw_poses
from iclora.controls.poses.skeleton import COLOURS
from iclora.errors import RequestError
from tests.controls.poses.people import STANDING, person, poses_of


def only(*points: tuple[int, float, float], score: float = 1.0) -> np.ndarray:
    """Somebody of whom only some points are seen: (number, x, y)."""
    somebody = np.zeros((130, 3), np.float32)
    for number, x, y in points:
        somebody[number] = (x, y, score)
    return somebody


def test_one_limb_by_hand() -> None:
    """Neck and right shoulder, 60 apart: an ellipse 60 long and 8 high at 0.6 of red, then two discs."""
    picture = draw_poses(poses_of([only((1, 90, 50), (2, 30, 50))]), stick_width=4).frames[0]
    assert picture[50, 60].tolist() == [153, 0, 0]
    assert [picture[row, 60].any() for row in (45, 46, 54, 55)] == [False, True, True, False]
    assert picture[50, 30].tolist() == list(COLOURS[2]) and picture[50, 90].tolist() == list(COLOURS[1])
    assert picture[50, 26].tolist() == list(COLOURS[2]) and not picture[50, 25].any()
    assert picture[46, 90].tolist() == list(COLOURS[1]) and not picture[45, 90].any()


def test_places_are_cut_to_whole_pixels() -> None:
    whole = draw_poses(poses_of([only((0, 20, 30))]), stick_width=2)
    broken = draw_poses(poses_of([only((0, 20.9, 30.9))]), stick_width=2)
    assert np.array_equal(whole.frames, broken.frames)


def test_every_point_shows_its_colour() -> None:
    picture = draw_poses(poses_of([person()]), stick_width=1).frames[0]
    for (x, y), colour in zip(STANDING, COLOURS, strict=True):
        assert picture[y, x].tolist() == list(colour)


def test_a_limb_needs_both_ends_and_points_their_score() -> None:
    poses = poses_of([only((1, 90, 50), (2, 30, 50), score=0.25)])
    assert not draw_poses(poses, min_score=0.3).frames.any()
    assert draw_poses(poses, min_score=0.2).frames.any()
    alone = draw_poses(poses_of([only((2, 30, 50))]), min_score=0.0, stick_width=1).frames
    assert np.argwhere(alone.any(axis=-1)).tolist() == [
        [0, 49, 30], [0, 50, 29], [0, 50, 30], [0, 50, 31], [0, 51, 30],
    ]  # fmt: skip


def test_a_point_apart_that_no_limb_reaches_has_to_be_sure() -> None:
    """Neck and shoulder, 60 apart; a wrist without its elbow 9 or 10 px from the shoulder, then alone."""

    def wrist_drawn(*points: tuple[int, float, float], score: float) -> bool:
        body = only(*points)
        body[4, 2] = score
        x, y = body[4, :2].astype(int)
        return bool(draw_poses(poses_of([body]), stick_width=1).frames[0, y, x].any())

    limb = ((1, 90, 50), (2, 30, 50))
    assert wrist_drawn(*limb, (4, 30, 58), score=0.4)
    assert not wrist_drawn(*limb, (4, 30, 60), score=0.59) and wrist_drawn(*limb, (4, 30, 60), score=0.6)
    assert not wrist_drawn((4, 30, 60), score=0.59) and wrist_drawn((4, 30, 60), score=0.6)


def test_a_hand_is_blue_discs_and_a_rainbow_of_bones() -> None:
    """The first bone is red, the eleventh of twenty cyan; 2 pixels wide at a stick width of 4."""
    first = only((18, 20, 20), (19, 60, 20))
    eleventh = only((18 + 10, 20, 80), (18 + 11, 60, 80))
    picture = draw_poses(poses_of([first, eleventh]), stick_width=4).frames[0]
    assert picture[20, 40].tolist() == [255, 0, 0] and picture[80, 40].tolist() == [0, 255, 255]
    assert (picture[:50, 40, 0] > 0).sum() in (2, 3)  # as OpenCV draws 2
    assert picture[20, 20].tolist() == [0, 0, 255] == picture[20, 60].tolist()
    assert not draw_poses(poses_of([first]), hands=False).frames.any()


def test_a_face_is_white_discs_of_radius_three() -> None:
    poses = poses_of([only((60 + 30, 50, 50))])
    column = draw_poses(poses, stick_width=4).frames[0, :, 50]
    assert np.flatnonzero(column.all(axis=-1)).tolist() == list(range(47, 54))
    assert column[50].tolist() == [255, 255, 255]
    assert not draw_poses(poses, face=False).frames.any()


def test_later_people_are_drawn_over_earlier_ones() -> None:
    below, above = only((2, 50, 50)), only((5, 50, 50))
    assert draw_poses(poses_of([below, above])).frames[0, 50, 50].tolist() == list(COLOURS[5])
    assert draw_poses(poses_of([above, below])).frames[0, 50, 50].tolist() == list(COLOURS[2])


@pytest.mark.parametrize(
    ("height", "width", "stick"), [(512, 910, 4), (704, 1216, 6), (1080, 1920, 8), (256, 256, 2), (64, 64, 1)]
)
def test_stick_width_by_size(height: int, width: int, stick: int) -> None:
    assert default_stick_width(height, width) == stick == default_stick_width(width, height)


def test_points_beyond_the_picture_do_no_harm() -> None:
    away = only((1, 90, 50), (2, -90000, 50), (0, 90, 90000))
    picture = draw_poses(poses_of([away]), stick_width=4).frames[0]
    assert picture[50, 5].tolist() == [153, 0, 0]


def test_nobody_is_black_and_progress_counts() -> None:
    seen: list[tuple[int, int | None]] = []
    poses = Poses(points=np.zeros((2, 0, 130, 3), np.float32), height=8, width=8, fps=12.0)
    clip = draw_poses(poses, progress=lambda done, total: seen.append((done, total)))
    assert not clip.frames.any() and clip.fps == 12.0 and seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stick_width": 0}, "The stick width is 0 pixels; it must be a whole number from 1 up"),
        ({"min_score": 1.5}, "The least score of a point is 1.5; it must lie in 0..1"),
    ],
)
def test_numbers_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        draw_poses(poses_of([person()]), **options)
