"""controls.poses.keypoint_writing: OpenPose and COCO JSON out, and in again."""

import json
from pathlib import Path

import numpy as np
import pytest

from iclora.controls.poses import is_coco, read_keypoints, write_keypoints
from iclora.controls.poses.skeleton import NECK
from iclora.errors import OutputError, RequestError
from tests.controls.poses.people import person, poses_of


def test_what_is_written_is_read(tmp_path: Path) -> None:
    there, gone = person(0.1234), np.zeros((130, 3), np.float32)
    hand = person(80)
    hand[18:39] = (5.5, 6.25, 0.75)
    poses = poses_of([there, gone], [there, hand], fps=29.97)
    path = write_keypoints(poses, tmp_path / "a.json")
    back = read_keypoints(path)
    assert np.allclose(back.points, poses.points, atol=6e-4)
    assert (back.height, back.width, back.fps) == (130, 200, 29.97)
    frames = json.loads(path.read_text())
    assert [len(frame["people"]) for frame in frames] == [1, 2]
    assert frames[1]["people"][1]["person_id"] == [1]
    assert frames[0]["people"][0]["hand_left_keypoints_2d"] == []
    assert len(path.read_text().splitlines()) == 2 + len(frames)


def test_the_places_of_people_survive(tmp_path: Path) -> None:
    """Two who change places, which nobody could guess from where they are."""
    poses = poses_of([person(0), person(100)], [person(100), person(0)])
    back = read_keypoints(write_keypoints(poses, tmp_path / "a.json"))
    assert np.allclose(back.points, poses.points, atol=6e-4)


def test_whole_scores_for_comfyui(tmp_path: Path) -> None:
    sure, unsure = person(), person(100)
    unsure[4, 2] = 0.1
    path = write_keypoints(poses_of([sure, unsure]), tmp_path / "a.json", whole_scores=0.3)
    people = json.loads(path.read_text())[0]["people"]
    assert set(people[0]["pose_keypoints_2d"][2::3]) == {1.0}
    assert people[1]["pose_keypoints_2d"][12:15] == [0.0, 0.0, 0.0]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    poses = poses_of([person()])
    write_keypoints(poses, tmp_path / "a.json")
    with pytest.raises(OutputError, match="exists"):
        write_keypoints(poses, tmp_path / "a.json")
    write_keypoints(poses, tmp_path / "a.json", overwrite=True)


def test_coco_by_hand(tmp_path: Path) -> None:
    somebody = np.zeros((130, 3), np.float32)
    somebody[0] = (50, 20, 0.9)  # nose
    somebody[2], somebody[5] = (40, 30, 0.8), (60, 30.25, 0.7)  # right and left shoulder
    somebody[15] = (55, 18, 0.1)  # left eye, hardly seen
    somebody[18:39] = (5, 5, 1)  # a hand
    gone = np.zeros((130, 3), np.float32)
    path = write_keypoints(poses_of([gone], [somebody], fps=12.0), tmp_path / "a.coco.json")
    content = json.loads(path.read_text())
    assert content["info"] == {"fps": 12.0}
    assert [image["id"] for image in content["images"]] == [0, 1]
    assert content["images"][1] == {"id": 1, "file_name": "000001.png", "width": 200, "height": 130}
    (annotation,) = content["annotations"]
    keypoints = annotation.pop("keypoints")
    assert keypoints[:6] == [50, 20, 2, 0, 0, 0]
    assert keypoints[15:21] == [60, 30.25, 2, 40, 30, 2] and not any(keypoints[21:])
    assert annotation == {
        **{"id": 0, "image_id": 1, "track_id": 0, "category_id": 1, "num_keypoints": 3, "iscrowd": 0},
        **{"bbox": [40, 20, 20, 10.25], "area": 205.0},
    }
    (category,) = content["categories"]
    assert category["keypoints"][:7] == [
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
    ]
    assert len(category["keypoints"]) == 17
    assert [7, 9] in category["skeleton"] and [1, 2] in category["skeleton"]  # upper arm; nose and eye


def test_what_is_written_as_coco_is_read(tmp_path: Path) -> None:
    """Places survive, rate and size too; scores become whole, the neck lies between the shoulders."""
    gone = np.zeros((130, 3), np.float32)
    poses = poses_of([person(0), person(100)], [person(100), person(0)], [gone, person(3)], fps=29.97)
    back = read_keypoints(write_keypoints(poses, tmp_path / "a.coco.json"))
    assert (back.height, back.width, back.fps, back.num_people) == (130, 200, 29.97, 2)
    others = [number for number in range(18) if number != NECK]
    assert np.allclose(back.body[:, :, others, :2], poses.body[:, :, others, :2], atol=6e-4)
    assert (back.body[..., 2] == (poses.body[..., 2] > 0)).all()
    shoulders = (back.body[0, 0, 2] + back.body[0, 0, 5]) / 2
    assert np.allclose(back.body[0, 0, NECK], shoulders) and not back.points[:, :, 18:].any()


def test_which_points_are_there_in_coco(tmp_path: Path) -> None:
    unsure = person()
    unsure[4, 2] = 0.2
    usual = write_keypoints(poses_of([unsure]), tmp_path / "a.coco.json")
    low = write_keypoints(poses_of([unsure]), tmp_path / "b.coco.json", whole_scores=0.1)
    counts = [json.loads(path.read_text())["annotations"][0]["num_keypoints"] for path in (usual, low)]
    assert counts[1] == counts[0] + 1


def test_hands_alone_are_not_written_as_coco(tmp_path: Path) -> None:
    hand = np.zeros((130, 3), np.float32)
    hand[18:39] = (5, 5, 1)
    with pytest.raises(RequestError, match=r"would hold nobody.*Write NAME\.json"):
        write_keypoints(poses_of([hand]), tmp_path / "a.coco.json")
    assert not any(tmp_path.iterdir())


def test_no_rate_in_coco_is_none(tmp_path: Path) -> None:
    path = write_keypoints(poses_of([person()]), tmp_path / "a.coco.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"info": {"fps": 0}}))
    assert read_keypoints(path, fps=24.0).fps == 24.0


def test_the_name_says_the_form() -> None:
    assert is_coco("pose.COCO.json") and is_coco(Path("a/pose.coco.json"))
    assert not is_coco("pose.json") and not is_coco("coco.json")
