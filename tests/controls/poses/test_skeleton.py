"""controls.poses.skeleton: the OpenPose order, and COCO brought to it."""

import numpy as np

from iclora.controls.poses.skeleton import (
    BODY25_TO_BODY,
    BODY_NAMES,
    COCO_TO_BODY,
    COLOURS,
    FINGERS,
    LIMBS,
    from_coco,
)

COCO_NAMES = (
    *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder"),
    *("left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip"),
    *("left knee", "right knee", "left ankle", "right ankle"),
)
BODY25_NAMES = (*BODY_NAMES[:8], "middle of the hips", *BODY_NAMES[8:])


def test_limbs_in_the_published_order_and_colours() -> None:
    """ControlNet's list, counted from 1 there."""
    published = [[2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12]]
    published += [[12, 13], [13, 14], [2, 1], [1, 15], [15, 17], [1, 16], [16, 18]]
    assert [[start + 1, end + 1] for start, end in LIMBS] == published
    assert len(COLOURS) == len(BODY_NAMES) == 18 == len(set(COLOURS))
    assert COLOURS[0] == (255, 0, 0) and COLOURS[6] == (0, 255, 0) and COLOURS[17] == (255, 0, 85)


def test_every_limb_starts_at_a_point_that_is_reached() -> None:
    reached = {1}
    for start, end in LIMBS:
        assert start in reached
        reached.add(end)
    assert reached == set(range(18))


def test_five_fingers_of_four_bones_from_the_wrist() -> None:
    assert FINGERS[:5] == ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5))
    assert FINGERS[-1] == (19, 20) and len(FINGERS) == 20


def test_coco_points_go_where_their_names_are() -> None:
    assert {COCO_NAMES[coco]: BODY_NAMES[own] for coco, own in COCO_TO_BODY} == {
        name: name for name in COCO_NAMES
    }
    assert [BODY25_NAMES[index] for index in BODY25_TO_BODY] == list(BODY_NAMES)


def test_the_neck_is_between_the_shoulders() -> None:
    points = np.zeros((2, 17, 3), np.float32)
    points[0, 5], points[0, 6] = (10, 20, 0.5), (30, 40, 0.75)
    points[1, 5] = (10, 20, 0.5)
    body = from_coco(points)
    assert body[0, 1].tolist() == [20, 30, 0.5]
    assert body[1, 1].tolist() == [0, 0, 0]
    assert body[0, 5].tolist() == [10, 20, 0.5] and body[0, 2].tolist() == [30, 40, 0.75]
