"""controls.point_tracks.splines: the official curve, and keypoints at chosen frames on it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iclora.controls.point_tracks import even_spline, keyed_spline
from iclora.errors import RequestError

GOLDEN = Path(os.environ.get("ICLORA_GOLDEN", Path(__file__).parents[2] / "data" / "golden"))
CASES: dict[str, Any] = json.loads((GOLDEN / "tracks.json").read_text())


def array(points: list[dict[str, float]]) -> np.ndarray:
    return np.array([[point["x"], point["y"]] for point in points], float)


@pytest.mark.parametrize("name", CASES)
def test_golden_splines(name: str) -> None:
    case = CASES[name]
    for keypoints, expected in zip(case["control_points"], case["splines"], strict=True):
        assert np.array_equal(even_spline(array(keypoints), case["samples"]), array(expected))


def test_one_point_stands_and_two_make_a_line() -> None:
    assert even_spline(np.array([[3.0, 4.0]]), 2).tolist() == [[3, 4], [3, 4]]
    assert even_spline(np.array([[0.0, 0.0], [8.0, 4.0]]), 5).tolist() == [
        [0, 0],
        [2, 1],
        [4, 2],
        [6, 3],
        [8, 4],
    ]


def test_one_sample_is_the_first_keypoint() -> None:
    assert even_spline(np.array([[3.0, 4.0], [9.0, 9.0]]), 1).tolist() == [[3, 4]]


def test_the_middle_of_a_piece_by_hand() -> None:
    """Catmull-Rom at 1/2: (-p0 + 9 p1 + 9 p2 - p3) / 16; with p0 = p1 = 0, p2 = 160, p3 = 0: 90."""
    points = np.array([[0.0, 0.0], [160.0, 0.0], [0.0, 0.0]])
    assert even_spline(points, 5)[:, 0].tolist() == [0, 90, 160, 90, 0]


def test_keypoints_are_met_at_their_frames() -> None:
    points = np.array([[0.0, 0.0], [100.0, 50.0], [0.0, 90.0]])
    places = keyed_spline(points, np.array([4, 6, 14]))
    assert places.shape == (11, 2)
    assert places[[0, 2, 10]].tolist() == points.tolist()


@given(
    st.lists(st.tuples(st.integers(-50, 500), st.integers(-50, 500)), min_size=2, max_size=6),
    st.integers(1, 9),
    st.integers(0, 30),
)
def test_even_frames_give_the_even_curve(points: list[tuple[int, int]], step: int, start: int) -> None:
    keypoints = np.array(points, float)
    frames = start + step * np.arange(len(points))
    even = even_spline(keypoints, step * (len(points) - 1) + 1)
    # The same curve; a half may round to either side, as the places are divided in another order.
    assert np.abs(keyed_spline(keypoints, frames) - even).max() <= 1


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([0, 5, 5], "frame 5 comes after frame 5; put them in the order"),
        ([0, 9, 5], "frame 5 comes after frame 9"),
    ],
)
def test_frames_out_of_order_are_named(frames: list[int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        keyed_spline(np.zeros((3, 2)), np.array(frames))


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_missing_frame_is_named() -> None:
    with pytest.raises(RequestError, match="2 frames do not fit 3 keypoints; give one for each"):
        keyed_spline(np.zeros((3, 2)), np.array([0, 9]))


@pytest.mark.parametrize(("count", "samples"), [(0, 5), (3, 0)])
def test_nothing_is_no_curve(count: int, samples: int) -> None:
    with pytest.raises(RequestError, match="are no curve; both must be 1 or more"):
        even_spline(np.zeros((count, 2)), samples)
