"""controls.poses.blazepose: who is looked at, with made-up networks; and the real ones on a filmed clip."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iclora import media
from iclora.clip import Clip
from iclora.controls.poses import Poses, find_poses, flicker, lag_frames, smooth_poses
from iclora.controls.poses import blazepose as subject
from iclora.controls.poses.blaze_landmarks import Region
from iclora.controls.poses.blazepose import BlazePose, Sighting, agree, around, distinct, unlike
from iclora.controls.poses.tiles import Tile
from iclora.errors import MissingDependencyError, ModelError

HERE = Region(x=50.0, y=50.0, size=100.0, tilt=0.0)
FACE_AND_SHOULDERS = (0, 1, 2, 5, 14, 15, 16, 17)


class MadeUp:
    """Two networks: one that finds somebody at given places, one that draws a body into each square.

    Args:
        places: For each frame (224x224 pixels) the middle of the hips of those found; heads are 40 px above.
        presence: How sure the second network is of anybody.
    """

    def __init__(self, places: Sequence[Sequence[tuple[float, float]]], presence: float = 1.0) -> None:
        self.places, self.presence, self.looks = iter(places), presence, 0

    def load(self, _: object, path: Path) -> subject.Network:
        return self.detect if path.name == "pose_detection.tflite" else self.look

    def detect(self, picture: np.ndarray) -> list[np.ndarray]:
        assert picture.shape == (224, 224, 3)
        raw, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -100, np.float32)
        for number, (x, y) in enumerate(next(self.places)):
            # Anchors 0, 2, 4, ... stand at 4, 12, 20, ... pixels of the first row.
            offset = np.array([8 * number + 4, 4] * 6, np.float32)
            logits[2 * number] = 5
            raw[2 * number] = np.array([x, y - 35, 0, 0, x, y, x, y - 40, 0, 0, 0, 0]) - offset
            raw[2 * number, 2:4] = 10
        return [raw, logits]

    def look(self, picture: np.ndarray) -> list[np.ndarray]:
        assert picture.shape == (256, 256, 3)
        self.looks += 1
        raw = np.zeros((39, 5), np.float32)
        raw[:, 0], raw[:, 1], raw[:, 3] = 128, np.linspace(28, 228, 39), 9
        raw[33, :2], raw[34, :2] = (128, 128), (128, 128 - 256 / 2.5)
        heat = np.full((64, 64, 39), -20, np.float32)
        flag = np.array([self.presence], np.float32)
        return [raw.reshape(195), flag, np.zeros((256, 256, 1), np.float32), heat]


def found_by(networks: MadeUp, num_frames: int, monkeypatch: pytest.MonkeyPatch) -> list[list[np.ndarray]]:
    monkeypatch.setattr(subject, "runtime", lambda: None)
    monkeypatch.setattr(subject, "_load", networks.load)
    paths = {name: Path(name) for name in ("pose_detection.tflite", "pose_landmark_full.tflite")}
    return list(BlazePose(paths)(np.zeros((num_frames, 224, 224, 3), np.uint8)))


def test_the_body_lies_where_the_square_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The square is 100 px large around (60, 150); the nose at 28/256 of its height."""
    ((person,),) = found_by(MadeUp([[(60, 150)]]), 1, monkeypatch)
    assert person[0, :2].tolist() == pytest.approx([60, 100 + 28 / 2.56], abs=0.01)
    assert person[0, 2] == pytest.approx(1, abs=1e-3)


def test_somebody_is_followed_where_the_detector_sees_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = MadeUp([[(60, 150)], [], [(61, 150)]])
    frames = found_by(networks, 3, monkeypatch)
    assert [len(people) for people in frames] == [1, 1, 1]
    assert np.allclose(frames[0][0], frames[2][0], atol=0.1)
    assert networks.looks == 3  # nobody is looked at twice


def test_several_people(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = found_by(MadeUp([[(60, 150), (160, 150)], [(160, 150)]]), 2, monkeypatch)
    assert [len(people) for people in frames] == [2, 2]
    assert [round(float(person[0, 0])) for person in frames[1]] == [60, 160]


def test_who_is_not_there_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = MadeUp([[(60, 150)], []], presence=0.4)
    assert found_by(networks, 2, monkeypatch) == [[], []]
    assert networks.looks == 1


@pytest.mark.parametrize(
    ("change", "same"),
    [({"x": 60.0}, True), ({"x": 70.0}, False), ({"tilt": 0.4}, True), ({"tilt": 0.6}, False)]
    + [({"tilt": 6.2}, True), ({"size": 140.0}, True), ({"size": 160.0}, False)],
)
def test_squares_that_show_the_same(change: dict[str, float], same: bool) -> None:
    assert agree(HERE, replace(HERE, **change)) is same


def test_only_the_first_of_squares_that_agree_stays() -> None:
    other, elsewhere = replace(HERE, x=60.0), replace(HERE, x=90.0)
    assert unlike([HERE, other, elsewhere], []) == [HERE, elsewhere]
    assert unlike([HERE, elsewhere], [other]) == [elsewhere]


def test_squares_around_somebody_lie_within_the_picture() -> None:
    assert around(HERE, 0.5, 200, 200) == Tile(left=25, top=25, side=50)
    assert around(HERE, 1.5, 120, 200) == Tile(left=0, top=0, side=120)
    assert around(replace(HERE, x=190.0, y=5.0), 0.5, 100, 200) == Tile(left=150, top=0, side=50)


class FarOff(BlazePose):
    """People are red pixels, 64 px large, and seen only in parts of the picture; green ones lie.

    Dim ones are seen from far, but not from nearer by.
    """

    def _detect(self, frame: np.ndarray) -> list[Region]:
        side = max(frame.shape[:2])
        places = np.argwhere(frame[..., 0] >= (200 if side < 140 else 100)) if side < 300 else []
        return [Region(x=float(x), y=float(y), size=64.0, tilt=1.5 * bool(frame[y, x, 1])) for y, x in places]


def far_off(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int]]]:
    """Middle of everybody who is found in each frame."""
    monkeypatch.setattr(subject, "runtime", lambda: None)
    monkeypatch.setattr(subject, "_load", MadeUp([]).load)
    paths = {name: Path(name) for name in ("pose_detection.tflite", "pose_landmark_full.tflite")}
    found = FarOff(paths)(frames)
    return [[tuple(person[:18, :2].mean(axis=0).round(-1).astype(int)) for person in some] for some in found]


def test_small_people_are_found_in_parts_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((20, 600, 600, 3), np.uint8)
    frames[:, 300, 200, 0] = 255
    frames[:, 100, 400, 0] = 120  # dim: nobody, from nearer by
    frames[:, 500, 500, :2] = 255  # lies
    frames[1:, 400:, :200, 2] = 255  # something changes there
    frames[1:, 500, 100, 0] = 255  # where somebody has come
    found = far_off(frames, monkeypatch)
    assert len(found[0]) == 1 and len(found[-1]) == 2
    (here,), (also_here, late) = found[0], found[-1]
    assert here == also_here and abs(here[0] - 200) <= 10 and abs(here[1] - 300) <= 20
    assert abs(late[0] - 100) <= 10 and abs(late[1] - 500) <= 20


@pytest.mark.parametrize(("size", "looks"), [(2000.0, []), (600.0, [0, 8, 16]), (300.0, list(range(20)))])
def test_somebody_large_is_not_searched_and_leaves_less_to_search(
    size: float, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A square of 2000 px covers the picture, one of 300 px is not large."""
    frames = np.random.default_rng(0).integers(0, 99, (20, 600, 600, 3), np.uint8)
    whole: list[np.ndarray] = []

    def detect(self: FarOff, frame: np.ndarray) -> list[Region]:
        if len(frame) == 600:
            whole.append(frame)
            return [Region(x=250.0, y=300.0, size=size, tilt=0.0)]
        seen_at.add(len(whole) - 1)
        return []

    seen_at: set[int] = set()
    monkeypatch.setattr(FarOff, "_detect", detect)
    frames[1::2] += 100
    far_off(frames, monkeypatch)
    assert sorted(seen_at) == looks


def sighting(region: Region, visibility: float) -> Sighting:
    landmarks = np.full((39, 3), visibility, np.float32)
    landmarks[:, 0], landmarks[:, 1] = region.x, region.y + np.linspace(-40, 40, 39)
    return Sighting(region=region, presence=1.0, landmarks=landmarks)


def test_the_sighting_in_which_more_is_seen_is_kept() -> None:
    turned = replace(HERE, tilt=2.0)
    elsewhere = replace(HERE, x=200.0)
    kept = distinct([sighting(HERE, 0.5), sighting(turned, 0.9), sighting(elsewhere, 0.3)])
    assert [one.region for one in kept] == [turned, elsewhere]
    assert [one.region for one in distinct([sighting(HERE, 0.82), sighting(turned, 0.84)])] == [HERE]


def test_a_missing_runtime_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'iclora\[pose\]'"):
        BlazePose({})


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    broken = {name: tmp_path / name for name in ("pose_detection.tflite", "pose_landmark_full.tflite")}
    for path in broken.values():
        path.write_bytes(b"no network")
    with pytest.raises(ModelError, match="cannot be read as a network"):
        BlazePose(broken)


@pytest.fixture(scope="module")
def carphone(filmed_clips: Path) -> Clip:
    return media.read(filmed_clips / "carphone_pristine.mp4")


@pytest.fixture(scope="module")
def carphone_poses(carphone: Clip, blazepose_weights: dict[str, Path]) -> Poses:
    return find_poses(carphone, estimator=BlazePose(blazepose_weights))


@pytest.mark.weights
def test_face_and_shoulders_in_nine_of_ten_frames(carphone_poses: Poses) -> None:
    assert carphone_poses.num_people == 1
    for point in FACE_AND_SHOULDERS:
        assert (carphone_poses.body[:, 0, point, 2] >= 0.5).mean() >= 0.9


@pytest.mark.weights
def test_landmarks_are_those_of_mediapipe(carphone: Clip, blazepose_weights: dict[str, Path]) -> None:
    """Nose, shoulders, right eye and left ear of frames 0 and 60, from mediapipe 0.10.21 itself."""
    expected = {
        0: ((94.1, 65.0), (53.8, 127.7), (143.6, 103.0), (80.0, 58.2), (107.3, 56.1)),
        60: ((79.5, 60.6), (43.2, 129.4), (144.2, 96.9), (66.3, 54.1), (100.1, 54.0)),
    }
    for frame, places in expected.items():
        # One frame alone, as the figures were made: nobody is followed into it.
        ((person,),) = BlazePose(blazepose_weights)(carphone.frames[frame : frame + 1])
        assert np.allclose(person[[0, 2, 5, 14, 17], :2], places, atol=1.0)


@pytest.mark.weights
def test_smoothing_of_a_filmed_clip(carphone_poses: Poses) -> None:
    calm = smooth_poses(carphone_poses, 0.5)
    assert flicker(calm) < 0.5 * flicker(carphone_poses)
    assert abs(lag_frames(carphone_poses, calm)) < 0.1


@pytest.mark.weights
def test_two_people_in_a_picture(carphone: Clip, blazepose_weights: dict[str, Path]) -> None:
    """The man beside his mirror image, with room between them."""
    frames = carphone.frames[:12]
    gap = np.zeros((*frames.shape[:2], 60, 3), np.uint8)
    both = replace(carphone, frames=np.concatenate([frames, gap, frames[:, :, ::-1]], axis=2))
    poses = find_poses(both, estimator=BlazePose(blazepose_weights))
    assert poses.num_people == 2
    left, right = sorted(float(poses.body[0, number, 0, 0]) for number in range(2))
    assert left == pytest.approx(94, abs=8) and right == pytest.approx(both.width - 94, abs=8)


@pytest.mark.weights
def test_loading_says_nothing(blazepose_weights: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    BlazePose(blazepose_weights)
    assert capfd.readouterr() == ("", "")


@pytest.mark.weights
def test_small_people_of_a_film(pedestrians_film: Path, blazepose_weights: dict[str, Path]) -> None:
    """Three people walk there, an eighth as high as the picture; a tripod stands, a jacket lies."""
    clip = media.read(pedestrians_film, max_frames=8)
    poses = find_poses(clip, estimator=BlazePose(blazepose_weights))
    assert poses.num_people == 3
    necks = sorted(poses.body[0, :, 1, :2].tolist())
    assert np.allclose(necks, [(268, 231), (516, 171), (660, 255)], atol=8)
