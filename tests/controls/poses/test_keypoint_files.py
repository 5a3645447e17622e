"""controls.poses.keypoint_files: OpenPose and COCO JSON in."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iclora.controls.poses import Poses, holds_keypoints, read_keypoints
from iclora.errors import InputError, RequestError
from tests.controls.poses.people import person


def written(content: Any, folder: Path, name: str = "in.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def record(*bodies: list[float], **more: Any) -> dict[str, Any]:
    """An OpenPose record of one frame."""
    head = {"canvas_width": 200, "canvas_height": 130, "fps": 24}
    return {**head, "people": [{"pose_keypoints_2d": body} for body in bodies], **more}


def flat(num_points: int, *, first: tuple[float, float, float] = (10, 20, 0.5)) -> list[float]:
    return [*first, *[0.0] * (3 * num_points - 3)]


def test_the_25_point_body(tmp_path: Path) -> None:
    """Its point 8 is the middle of the hips, 9 the right hip, 15 the right eye, 18 the left ear."""
    numbers = [float(value) for index in range(25) for value in (index + 2, index + 3, 1)]
    body = read_keypoints(written(record(numbers), tmp_path)).body[0, 0]
    assert body[[0, 7, 8, 14, 17], 0].tolist() == [2, 9, 11, 17, 20]


def test_a_record_alone_a_list_frames_and_a_folder(tmp_path: Path) -> None:
    one = record(flat(18))
    (tmp_path / "many").mkdir()
    for number in (1, 0):
        body = person(number)[:18].reshape(-1).tolist()
        written(record(body), tmp_path / "many", f"a_{number:012}_keypoints.json")
    assert read_keypoints(written(one, tmp_path)).num_frames == 1
    assert read_keypoints(written([one] * 3, tmp_path)).num_frames == 3
    assert read_keypoints(written({"fps": 12, "frames": [{"people": []}, one]}, tmp_path)).fps == 12
    assert read_keypoints(tmp_path / "many").body[:, 0, 0, 0].tolist() == [50, 51]


def test_shares_of_the_picture_become_pixels(tmp_path: Path) -> None:
    poses = read_keypoints(written(record(flat(18, first=(0.25, 0.5, 1))), tmp_path))
    assert poses.body[0, 0, 0].tolist() == [50, 65, 1]


@pytest.mark.parametrize("identity", [[], None, [3], -1])
def test_people_have_an_identity_or_none(tmp_path: Path, identity: object) -> None:
    content = record(person()[:18].reshape(-1).tolist())
    content["people"][0]["person_id"] = identity
    assert read_keypoints(written(content, tmp_path)).num_people == 1


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = written(record(flat(18)), tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_keypoints(path).num_frames == 1


def test_what_holds_keypoints(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    assert not holds_keypoints(folder)
    (folder / "a.json").write_text("{}")
    assert holds_keypoints(folder) and holds_keypoints(folder / "a.json") and holds_keypoints("none.JSON")
    (folder / "a.png").write_bytes(b"")
    assert not holds_keypoints(folder) and not holds_keypoints("in.mp4")


def test_null_parts_and_a_face_of_68_points(tmp_path: Path) -> None:
    content = record()
    content["people"] = [{"face_keypoints_2d": flat(68), "pose_keypoints_2d": None}]
    poses = read_keypoints(written(content, tmp_path))
    assert poses.face[0, 0, 0].tolist() == [10, 20, 0.5] and not poses.body.any()


def test_coco_annotations(tmp_path: Path) -> None:
    keypoints = [0.0] * 51
    keypoints[15:21] = [60, 30, 2, 40, 30, 1]  # left and right shoulder
    content = {
        "images": [{"id": 7, "width": 200, "height": 130}, {"id": 3, "width": 200, "height": 130}],
        "annotations": [{"image_id": 7, "keypoints": keypoints, "category_id": 1}],
    }
    poses = read_keypoints(written(content, tmp_path), fps=10.0)
    assert (poses.num_frames, poses.width, poses.fps) == (2, 200, 10.0)
    assert not poses.points[0].any()
    assert poses.body[1, 0, [1, 2, 5]].tolist() == [[50, 30, 1], [40, 30, 1], [60, 30, 1]]


def test_coco_results(tmp_path: Path) -> None:
    content = [{"image_id": 1, "keypoints": [10, 20, 0.25, *[0.0] * 48], "score": 0.9, "category_id": 1}]
    poses = read_keypoints(written(content, tmp_path), height=130, width=200)
    assert poses.body[0, 0, 0].tolist() == [10, 20, 0.25]


def test_what_the_file_does_not_say_is_asked_for(tmp_path: Path) -> None:
    bare = {"people": [{"pose_keypoints_2d": flat(18)}]}
    with pytest.raises(
        RequestError, match=r"how large the picture is; give the size \(--size WxH; height=, width=\)"
    ):
        read_keypoints(written(bare, tmp_path))
    with pytest.raises(RequestError, match=r"does not say its frame rate; give it \(--fps N; fps=\)"):
        read_keypoints(written([bare, bare], tmp_path), height=130, width=200)
    assert read_keypoints(written(bare, tmp_path), height=130, width=200).num_frames == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a record with 'people'"),
        ({"tracks": []}, "expected a record with 'people'"),
        (3, "expected a record with 'people'"),
        (record([1.0, 2.0]), "'pose_keypoints_2d' must be a list of x, y, score after one another"),
        (record([1.0, 2.0, 1.0]), "'pose_keypoints_2d' has 1 points, but 18 are expected"),
        (record(["a"] * 54), "could not convert"),
        (record(flat(18, first=(1, float("nan"), 1))), "holds numbers that are not finite"),
        (record(flat(18, first=(1, 1e300, 1))), "holds numbers that are not finite"),
        (record(flat(18, first=(1e9, 0, 1))), "lies 1e\\+09 pixels from the corner"),
        (record(flat(18, first=(5, 5, 7))), "scores go from 0 to 7"),
        (record(canvas_width=-3), "'canvas_width' is -3, but must be above 0"),
        (record(canvas_width="ten"), "'canvas_width' is 'ten', but must be a number above 0"),
        (
            record(flat(18), canvas_width=20_000),
            "Keypoints on a picture of 20000x130 pixels; both sides must be from 1",
        ),
        ({"people": 5}, "'people' must be a list of objects, but is '5'"),
        ({"people": ["x"]}, "'people' must be a list of objects"),
        ({"frames": 5}, "'frames' must be a list of objects"),
        ({"annotations": 5}, "'annotations' must be a list of objects"),
        (record(people=[]), "holds nobody: no point has a score above 0. The keypoints that `iclora control"),
        ([{"keypoints": [1, 2, 3]}], "it lacks 'image_id'"),
        ([{"keypoints": [1, 2, 3], "image_id": 1}], "'keypoints' has 1 points, but COCO has 17"),
        ({"annotations": []}, "it has no images"),
    ],
)
def test_what_is_no_keypoints_is_named(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_keypoints(written(content, tmp_path), height=130, width=200, fps=1.0)
    assert "in.json" in str(caught.value)


def test_no_file_no_json_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_keypoints(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot be read as JSON .* show how it is written"):
        read_keypoints(tmp_path / "a.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.json files"):
        read_keypoints(tmp_path / "empty")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=True) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["people", "pose_keypoints_2d", "frames", "annotations", "fps"]), inner
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_whatever_json_is_read_or_refused_in_our_words(tmp_path_factory: Any, content: Any) -> None:
    path = written(content, tmp_path_factory.mktemp("json"))
    try:
        assert isinstance(read_keypoints(path, height=9, width=9, fps=9.0), Poses)
    except InputError as error:
        assert str(path) in str(error)
