"""cli: control pose, and the pose control in generate."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from iclora.cli.asking import gather, references_of
from iclora.cli.options import PlanWords
from iclora.controls import estimators, poses
from iclora.controls.poses import Poses, finding
from iclora.plan import make_plan
from tests.controls.poses.people import person


@pytest.fixture(autouse=True)
def _estimators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins that see somebody who walks through every picture, or nobody."""

    def somebody(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for number, frame in enumerate(frames):
            yield [person(number, scale=frame.shape[0] / 130)]

    def nobody(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for _ in frames:
            yield []

    known = {"blazepose": lambda: somebody, "dwpose": lambda: nobody}
    monkeypatch.setattr(finding, "ESTIMATORS", known)
    monkeypatch.setattr(estimators, "_FETCHED", {})
    monkeypatch.setattr(estimators.blazepose, "runtime", lambda: None)
    monkeypatch.setattr(estimators.dwpose, "packages", lambda: None)
    monkeypatch.setattr(finding, "check_dwpose", lambda device: None)


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["control", "pose", *(str(word) for word in words)])
    return result.exit_code, result.stderr


def edited(path: Path, poses: Poses) -> Path:
    return controls.write_keypoints(poses, path)


def test_skeletons_of_a_film_as_pictures(film_path: Path, tmp_path: Path) -> None:
    words = (
        "--smooth",
        "0",
        "--stick-width",
        "2",
        "--keypoints",
        tmp_path / "a.json",
        "--sheet",
        tmp_path / "s.png",
    )
    code, said = run(film_path, "-o", f"{tmp_path}/pose/", *words)
    assert code == 0 and "people 1, seen in 9 of 9 frames, 64x48 at 16 per second" in said
    drawn = media.read(tmp_path / "pose", fps=16.0)
    found = controls.read_keypoints(tmp_path / "a.json")
    assert found.fps == 16.0 and found.body[3, 0, 0, 0] == pytest.approx(50 * 48 / 130 + 3, abs=1e-3)
    assert np.array_equal(drawn.frames, controls.draw_poses(found, stick_width=2).frames)
    notes = json.loads((tmp_path / "pose.json").read_text())
    assert notes["result"]["num_frames_seen"] == 9 and notes["asked"]["estimator"] == "blazepose"
    assert media.read(tmp_path / "s.png").frames.any()


def test_a_picture_is_looked_at_once_and_held(tmp_path: Path) -> None:
    picture = tmp_path / "still.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))
    code, said = run(picture, "-o", f"{tmp_path}/out/", "--frames", "9")
    assert code == 0 and "seen in 9 of 9 frames" in said, said
    assert "flicker 0.00% to 0.00%, lag 0.00 frames" in said
    frames = media.read(tmp_path / "out").frames
    assert len(frames) == 9 and frames[0].any() and (frames == frames[0]).all()


def test_size_frames_and_rate(film_path: Path, tmp_path: Path) -> None:
    code, _ = run(film_path, "-o", tmp_path / "a.mp4", "--size", "32x64", "--frames", "12", "--fps", "8")
    assert code == 0
    made = media.read(tmp_path / "a.mp4")
    assert made.frames.shape == (12, 64, 32, 3) and made.fps == 8.0


def test_edited_keypoints_are_drawn_as_they_are(tmp_path: Path) -> None:
    points = np.stack([person(step)[None] for step in (0, 40, 0, 40)])
    poses = Poses(points=points, height=130, width=200, fps=8.0)
    file = edited(tmp_path / "in.json", poses)
    assert run(file, "-o", f"{tmp_path}/out/")[0] == 0
    assert np.array_equal(media.read(tmp_path / "out").frames, controls.draw_poses(poses).frames)


def test_keypoints_as_coco_hold_what_is_drawn(tmp_path: Path) -> None:
    unsure = person()
    unsure[4, 2] = 0.2
    poses = Poses(points=np.array([[unsure]] * 2), height=130, width=200, fps=8.0)
    source = edited(tmp_path / "a.json", poses)
    words = (source, "-o", tmp_path / "a.mp4", "--keypoints", tmp_path / "b.coco.json", "--min-score", "0.1")
    assert run(*words)[0] == 0
    content = json.loads((tmp_path / "b.coco.json").read_text())
    assert [one["num_keypoints"] for one in content["annotations"]] == [17, 17]
    assert run(tmp_path / "b.coco.json", "-o", tmp_path / "c.mp4")[0] == 0
    assert media.read(tmp_path / "c.mp4").fps == 8.0


def test_edited_keypoints_at_another_size_and_clock(tmp_path: Path) -> None:
    poses = Poses(points=np.stack([person()[None]] * 4), height=130, width=200, fps=8.0)
    file = edited(tmp_path / "in.json", poses)
    words = ("--size", "100x66", "--fps", "16", "--keypoints", tmp_path / "out.json")
    assert run(file, "-o", tmp_path / "out.mp4", *words)[0] == 0
    made = media.read(tmp_path / "out.mp4")
    assert made.frames.shape == (8, 66, 100, 3) and made.fps == 16.0
    assert controls.read_keypoints(tmp_path / "out.json").body[0, 0, 0, 0] == pytest.approx(
        50 * 66 / 130 - 0.77, abs=0.01
    )


def test_retargeting(tmp_path: Path) -> None:
    small = Poses(points=person()[None, None], height=130, width=200, fps=8.0)
    large = Poses(points=person(scale=2.0)[None, None], height=260, width=400, fps=8.0)
    file, body = edited(tmp_path / "in.json", small), edited(tmp_path / "body.json", large)
    words = ("--body", body, "--scale", "0.5", "--move", "-7,-3", "--keypoints", tmp_path / "out.json")
    assert run(file, "-o", tmp_path / "out.png", *words)[0] == 0
    back = controls.read_keypoints(tmp_path / "out.json").body[0, 0]
    assert np.allclose(back[:, :2], person()[:18, :2] + (-7, -3), atol=0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.mp4", "-o", "OUT/a.mp4"), "There is no file none.mp4"),
        (("a.json", "-o", "OUT/a.mp4"), "There is no file a.json; give keypoints"),
        (("FILM", "-o", "OUT/a.mp4", "--body", "a.json"), "There is no file a.json; give keypoints"),
        (("FILM", "-o", "OUT/a.mp4", "--estimator", "other"), "There is no estimator 'other'"),
        (("FILM", "-o", "OUT/a.mp4", "--estimator", "dwpose"), "Nobody is found in any of the 9 frames"),
        (("FILM", "-o", "OUT/a.mp4", "--min-score", "0.95"), "Nobody is found"),
        (("none.mp4", "-o", "OUT/a.mp4", "--smooth", "3"), "The smoothing is 3.0"),
        (("none.mp4", "-o", "OUT/a.mp4", "--min-score", "nan"), "The least score of a point is nan"),
        (("none.mp4", "-o", "OUT/a.mp4", "--stick-width", "0"), "The stick width is 0 pixels"),
        (("FILM", "-o", "OUT/a.mp4", "--people", "0"), "Cannot keep 0 people"),
        (("FILM", "-o", "OUT/a.mp4", "--move", "5"), "--move '5' is not a way to go"),
        (("none.mp4", "-o", "OUT/a.mp4", "--scale", "0"), "Cannot scale by 0.0"),
        (("FILM", "-o", "OUT/a.mp4", "--keypoints", "OUT/a.txt"), "give a name that ends in .json"),
        (("FILM", "-o", "OUT/a.mp4", "--keypoints", "OUT/a.mp4.json"), "is another result or a source"),
        (("FILM", "-o", "OUT/a.mp4", "--sheet", "OUT/a.tif"), "Cannot write a sheet as"),
    ],
)
def test_bad_input_is_one_line(film_path: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    code, said = run(*(word.replace("FILM", str(film_path)).replace("OUT", str(tmp_path)) for word in words))
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith("iclora: ") and message in last
    assert list(tmp_path.iterdir()) == []


def test_generate_follows_a_pose(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    words = ["generate", "--model", str(micro_model), "-p", "a", "--control", f"pose={film_path}"]
    done = CliRunner().invoke(app, [*words, "--adapter", "canny", "-o", str(tmp_path / "out.mp4")])
    assert done.exit_code == 0, done.output
    assert "the control is pose, but the adapter follows canny" in done.stderr
    assert json.loads((tmp_path / "out.mp4.json").read_text())["plan"]["references"][0]["control"] == "pose"


def test_generate_draws_keypoints_at_the_plans_size(micro_model: Path, tmp_path: Path) -> None:
    poses = Poses(points=np.stack([person(step)[None] for step in range(6)]), height=130, width=200, fps=8.0)
    file = edited(tmp_path / "walk.json", poses)
    words = ["--model", str(micro_model), "-p", "a", "--control", f"pose={file}", "--frames", "9"]
    done = CliRunner().invoke(app, ["generate", *words, "--size", "96x64", "-o", str(tmp_path / "out.mp4")])
    assert done.exit_code == 0, done.output
    reference = json.loads((tmp_path / "out.mp4.json").read_text())["plan"]["references"][0]
    assert (reference["control"], reference["label"]) == ("pose", "walk.json")
    assert media.read(tmp_path / "out.mp4").frames.shape == (9, 64, 96, 3)


def test_what_generate_draws_of_keypoints(micro_model: Path, tmp_path: Path) -> None:
    """Covered, the middle kept, on the clock of the plan: what `control pose` draws of the same file."""
    poses = Poses(points=np.stack([person(step)[None] for step in range(9)]), height=130, width=200, fps=16.0)
    file = edited(tmp_path / "walk.json", poses)
    words = PlanWords(
        model=str(micro_model), prompt="a", control=[f"pose={file}"], size="96x64", frames=9, fps=8.0
    )
    asked = gather(words, lambda *_: None)
    (reference,) = references_of(asked, make_plan(asked.request), words, lambda *_: None)
    assert run(file, "-o", f"{tmp_path}/out/", "--size", "96x64", "--fps", "8", "--frames", "9")[0] == 0
    drawn = media.read(tmp_path / "out", fps=8.0)
    assert drawn.frames.any() and np.array_equal(reference.clip.frames, drawn.frames)


def test_plan_says_what_keypoints_lack(micro_model: Path, tmp_path: Path) -> None:
    body = {"people": [{"pose_keypoints_2d": person()[:18].reshape(-1).tolist()}]}
    (tmp_path / "a.json").write_text(json.dumps([body, body]))
    words = ["plan", "--model", str(micro_model), "-p", "a", "--control", f"pose={tmp_path / 'a.json'}"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "a.json does not say how large the picture is" in done.stderr
    assert CliRunner().invoke(app, [*words, "--size", "96x64"]).exit_code == 0
    done = CliRunner().invoke(app, [*words, "--size", "96x64", "--keep-audio"])
    assert done.exit_code == 1 and "a.json has no sound to keep" in done.stderr


def test_one_of_several_people_is_retargeted(tmp_path: Path) -> None:
    two = Poses(points=np.stack([person(), person(90)])[None], height=130, width=200, fps=24.0)
    source = edited(tmp_path / "a.json", two)
    words = ("--scale", "0.5", "--move", "0,-20", "--person", "1", "--keypoints", tmp_path / "b.json")
    assert run(source, "-o", tmp_path / "b.mp4", *words)[0] == 0
    moved = controls.read_keypoints(tmp_path / "b.json").body[0]
    assert np.allclose(moved[0], two.body[0, 0], atol=0.01)
    assert moved[1, :, 1].max() == pytest.approx(two.body[0, 1, :, 1].max() - 20, abs=0.01)
    body = ("--body", edited(tmp_path / "child.json", poses.place(two, scale=0.5, person=0)), "--person", "1")
    assert run(source, "-o", tmp_path / "c.mp4", *body, "--keypoints", tmp_path / "c.json")[0] == 0
    small = controls.read_keypoints(tmp_path / "c.json").body[0]
    assert np.allclose(small[0], two.body[0, 0], atol=0.01)
    assert np.ptp(small[1, :, 1]) == pytest.approx(np.ptp(two.body[0, 1, :, 1]) / 2, rel=0.02)
    for said, message in (
        (("--person", "2", "--scale", "2"), "There is no person 2; there are 2, counted from 0."),
        (("--person", "1"), "Nothing is done to person 1; say another body, a scale or a move"),
    ):
        code, text = run(source, "-o", tmp_path / "d.mp4", *said)
        assert code == 1 and message in text


def test_fetching_something_unknown() -> None:
    for name in ("openpose", "a/b/c", "/etc"):
        done = CliRunner().invoke(app, ["models", "fetch", name])
        assert done.exit_code == 1 and f"There is nothing to fetch for '{name}'" in done.stderr
        assert "Or a model on the Hugging Face hub as OWNER/NAME." in done.stderr


def test_a_device_is_refused_before_the_clip_is_read(tmp_path: Path) -> None:
    code, said = run(tmp_path / "no.mp4", "-o", tmp_path / "a.mp4", "--device", "cuda")
    assert code == 1 and "blazepose runs on the CPU, not on 'cuda'; leave the device out" in said


def test_the_device_reaches_the_estimator(
    film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def dwpose(*, device: str) -> object:
        asked.append(device)
        return finding.ESTIMATORS["blazepose"]()

    monkeypatch.setattr(finding, "ESTIMATORS", {**finding.ESTIMATORS, "dwpose": dwpose})
    code, _ = run(film_path, "-o", tmp_path / "a.mp4", "--estimator", "dwpose", "--device", "cuda")
    assert code == 0 and asked == ["cuda"]


def test_gaps_that_were_filled_are_no_flicker(tmp_path: Path) -> None:
    """Somebody leaps by 60 px while gone for a frame; smoothed hardly at all, what was seen stays steady."""
    points = np.stack([person(step)[None] for step in (0, 0, 0, 0, 0, 60, 60, 60, 60)])
    points[4] = 0
    file = edited(tmp_path / "in.json", Poses(points=points, height=130, width=200, fps=8.0))
    code, said = run(file, "-o", f"{tmp_path}/out/", "--smooth", "0.001")
    assert code == 0
    notes = json.loads((tmp_path / "out.json").read_text())["result"]
    assert notes["flicker_before"] == 0 and notes["flicker_after"] < 1


def test_of_one_frame_no_flicker_is_told(tmp_path: Path) -> None:
    points = person()[None, None]
    file = edited(tmp_path / "in.json", Poses(points=points, height=130, width=200, fps=8.0))
    code, said = run(file, "-o", f"{tmp_path}/out/")
    assert code == 0 and "out: people 1, 200x130, 1 frame\n" in said
    assert "flicker_before" not in json.loads((tmp_path / "out.json").read_text())["result"]
