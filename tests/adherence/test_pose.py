"""adherence.pose: somebody who stands 113 pixels high, moved by known distances."""

import math

import numpy as np
import pytest

from iclora import adherence
from iclora.adherence.pose import similarity
from iclora.errors import NothingToFollowError, RequestError
from tests.controls.poses.people import person, poses_of

HEIGHT = 113.0
"""From the eyes at 7 to the ankles at 120: a tenth of it, 11.3 pixels, is near."""
NOBODY = np.zeros_like(person())


def test_the_same_people_follow_fully() -> None:
    score = adherence.pose(poses_of([person()], [person(9)]), poses_of([person()], [person(9)]))
    assert (score.pck, score.oks, score.found, score.extra) == (1.0, 1.0, 1.0, 0.0)
    assert score.frame_pck == (1.0, 1.0)


@pytest.mark.parametrize(("shift", "found"), [(0.09 * HEIGHT, 1.0), (0.11 * HEIGHT, 0.0)])
def test_near_is_a_tenth_of_the_person(shift: float, found: float) -> None:
    assert adherence.pose(poses_of([person()]), poses_of([person(shift)])).pck == found
    assert adherence.pose(poses_of([person()]), poses_of([person(shift)]), near=0.2).pck == 1.0


def test_points_count_one_by_one() -> None:
    """Of 18 points one is far away and one is not there: 16 are found."""
    other = person()
    other[4, :2] += 60
    other[7, 2] = 0.1
    assert adherence.pose(poses_of([person()]), poses_of([other])).pck == pytest.approx(16 / 18)


def test_similarity_of_a_nose_by_hand() -> None:
    """The box is 32 x 113, taken as 32 wide; k of the nose is 0.052; 5 pixels off."""
    counted = np.zeros(18, bool)
    counted[0] = True
    one, other = person()[:18], person(5)[:18]
    expected = math.exp(-25 / (2 * 0.53 * 32 * 113 * 0.052**2))
    assert similarity(one, other, counted) == pytest.approx(expected, rel=1e-5)


def test_people_are_matched_whatever_their_order() -> None:
    control = poses_of([person(), person(100)], [person(), person(100)])
    result = poses_of([person(100), person()], [person(), person(100)])
    assert adherence.pose(control, result).pck == 1.0


def test_who_is_missing_costs_and_who_is_extra_is_told() -> None:
    missing = adherence.pose(poses_of([person(), person(100)]), poses_of([person()]))
    assert (missing.pck, missing.oks, missing.found) == (0.5, 0.5, 0.5)
    extra = adherence.pose(poses_of([person()]), poses_of([person(), person(100)]))
    assert extra.pck == 1.0 and extra.extra == 1.0


def test_frames_without_anybody_are_left_out() -> None:
    score = adherence.pose(poses_of([person()], [NOBODY]), poses_of([person()], [person()]))
    assert score.frame_pck == (1.0, None) and score.pck == 1.0
    with pytest.raises(NothingToFollowError, match="Nobody is in the control"):
        adherence.pose(poses_of([NOBODY]), poses_of([person()]))


def test_a_larger_picture_is_brought_to_the_control() -> None:
    large = poses_of([person(scale=2)], height=260, width=400)
    assert adherence.pose(poses_of([person()]), large).pck == 1.0


def test_a_part_counts_alone() -> None:
    """Everything above the hips is far off: the lower part follows, the upper does not."""
    other = person()
    other[other[:, 1] < 65, :2] += 60
    lower = np.zeros((1, 130, 200), bool)
    lower[:, 75:] = True
    assert adherence.pose(poses_of([person()]), poses_of([other]), where=lower).pck == 1.0
    upper = np.zeros_like(lower)
    upper[:, :65] = True
    assert adherence.pose(poses_of([person()]), poses_of([other]), where=upper).pck == 0.0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(RequestError, match="The control has 1 frames and the result 2"):
        adherence.pose(poses_of([person()]), poses_of([person()], [person()]))
    with pytest.raises(RequestError, match="near is 0.0"):
        adherence.pose(poses_of([person()]), poses_of([person()]), near=0.0)
