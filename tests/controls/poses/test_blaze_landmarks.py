"""controls.poses.blaze_landmarks: squares, crops, heat and the mapping, by hand."""

import math

import numpy as np
import pytest

from iclora.controls.poses.blaze_landmarks import (
    Region,
    crop,
    next_region,
    refine,
    region_of,
    to_landmarks,
    to_person,
)

LANDMARK_NAMES = (
    *(
        "nose",
        "left eye inner",
        "left eye",
        "left eye outer",
        "right eye inner",
        "right eye",
        "right eye outer",
    ),
    *("left ear", "right ear", "mouth left", "mouth right", "left shoulder", "right shoulder", "left elbow"),
    *("right elbow", "left wrist", "right wrist", "left pinky", "right pinky", "left index", "right index"),
    *("left thumb", "right thumb", "left hip", "right hip", "left knee", "right knee", "left ankle"),
    *("right ankle", "left heel", "right heel", "left foot", "right foot"),
)


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("above", "tilt"),
    [((50, 20), 0), ((90, 60), math.pi / 2), ((10, 60), -math.pi / 2), ((50, 100), math.pi)],
)
def test_region_of_the_alignment_points(above: tuple[float, float], tilt: float) -> None:
    """Both 40 px apart: a square of 2 * 1.25 * 40; the head to the right is a quarter turn clockwise."""
    region = region_of(vector(50, 60), vector(*above))
    assert (region.x, region.y) == (50, 60) and region.size == pytest.approx(100)
    assert region.tilt == pytest.approx(tilt)
    assert region_of(vector(5, 5), vector(5, 5)).size == 1


def test_the_square_leads_to_the_frame() -> None:
    region = Region(x=50.0, y=60.0, size=100.0, tilt=math.pi / 2)
    to_frame = region.to_frame()
    assert np.allclose(to_frame @ (0.5, 0.5, 1), (50, 60))
    assert np.allclose(to_frame @ (0.5, 0, 1), (100, 60))  # the top of the square is on the right


def test_crop_turns_upright_and_continues_the_border() -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[:, 80:] = 255
    picture = crop(frame, Region(x=50.0, y=50.0, size=100.0, tilt=math.pi / 2))
    assert picture[10, 128].tolist() == [1, 1, 1] and picture[246, 128].tolist() == [0, 0, 0]
    beyond = crop(frame, Region(x=100.0, y=50.0, size=100.0, tilt=0.0))
    assert beyond[128, 250].tolist() == [1, 1, 1]


def test_landmarks_return_from_the_crop() -> None:
    raw = np.zeros((39, 5), np.float32)
    raw[0] = (128, 0, 0, 100, 0)
    raw[1] = (128, 128, 0, -100, 0)
    heat = np.full((64, 64, 39), -20, np.float32)
    landmarks = to_landmarks(raw, heat, Region(x=50.0, y=60.0, size=100.0, tilt=0.0))
    assert np.allclose(landmarks[0], (50, 10, 1)) and np.allclose(landmarks[1], (50, 60, 0))


def test_heat_moves_a_landmark() -> None:
    """Equal heat in columns 11 and 13 of row 20: the middle; heat that is weak or far does nothing."""
    heat = np.full((64, 64, 3), -100, np.float32)
    heat[20, [11, 13], 0] = 100
    heat[20, 12, 1] = -1
    heat[20, 30, 2] = 100
    places = np.tile(vector(10.5 / 64, 20.5 / 64), (3, 1))
    moved = refine(places, heat)
    assert np.allclose(moved[0], (12 / 64, 20 / 64), atol=1e-6)
    assert np.array_equal(moved[1:], places[1:])


def test_heat_at_the_border_and_beyond() -> None:
    heat = np.full((64, 64, 2), -100, np.float32)
    heat[0, 0] = 100
    places = np.array([[0, 0], [1.5, -0.2]], np.float32)
    assert np.allclose(refine(places, heat), [[0, 0], [1.5, -0.2]])


def test_the_next_square_comes_from_landmarks_33_and_34() -> None:
    landmarks = np.zeros((39, 3), np.float32)
    landmarks[33, :2], landmarks[34, :2] = (50, 60), (50, 20)
    assert next_region(landmarks) == region_of(vector(50, 60), vector(50, 20))


def test_landmarks_go_where_their_names_are() -> None:
    from iclora.controls.poses.skeleton import BODY_NAMES

    landmarks = np.zeros((39, 3), np.float32)
    landmarks[:, 0] = np.arange(39)
    landmarks[:, 2] = 0.5
    person = to_person(landmarks)
    for number, name in enumerate(BODY_NAMES):
        if name != "neck":
            assert LANDMARK_NAMES[int(person[number, 0])] == name
    assert person[1].tolist() == [11.5, 0, 0.5]
    assert not person[18:].any()
