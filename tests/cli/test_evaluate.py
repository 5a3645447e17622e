"""cli: evaluate."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import adherence, controls, media
from iclora.cli import app
from iclora.clip import Clip
from iclora.controls.poses import Poses
from tests.controls.poses.people import person
from tests.micro import moving_square


def evaluate(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", "--control", "canny", *(str(word) for word in words)])
    return result.exit_code, result.stdout, result.stderr


def test_a_film_follows_its_own_edges(film_path: Path, tmp_path: Path) -> None:
    media.save(controls.canny(media.read(film_path)), tmp_path / "lines.mp4")
    code, shown, _ = evaluate("--reference", tmp_path / "lines.mp4", "--video", film_path, "--json")
    assert code == 0
    score = json.loads(shown)
    assert score["f1"] > 0.95 and len(score["frame_f1"]) == 9


def test_words_for_people(film_path: Path) -> None:
    code, shown, _ = evaluate("--reference", film_path, "--video", film_path, "--extract")
    assert code == 0 and shown.splitlines()[0] == "F1 1.000  precision 1.000  recall 1.000"
    assert shown.splitlines()[1].startswith("lag 0.0 frames  leak 0.") and "drift 0." in shown


def test_a_larger_and_shorter_control_is_brought_to_the_result(tmp_path: Path) -> None:
    large = moving_square(height=64, width=64, num_frames=9)
    media.save(controls.canny(large), tmp_path / "lines.mp4")
    small = media.resize(large, 32, 32)
    media.save(media.resample(small, fps=16.0, num_frames=12), tmp_path / "small.mp4")
    code, shown, said = evaluate("--reference", tmp_path / "lines.mp4", "--video", tmp_path / "small.mp4")
    assert code == 0 and float(shown.split()[1]) > 0.9
    assert "ends after 9 of 12 frames; its last is held." in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--reference", "FILM", "--video", "FILM"), "not white lines on black"),
        (("--reference", "none.mp4", "--video", "FILM"), "There is no file none.mp4"),
        (("--control", "green", "--reference", "FILM", "--video", "FILM"), "accepted: canny"),
        (("--control", "pose", "--reference", "FILM", "--video", "FILM"), "give the keypoints as a .json"),
        (("--control", "depth,near=x", "--reference", "FILM", "--video", "FILM"), "near='x'"),
        (
            ("--control", "depth,near", "--reference", "FILM", "--video", "FILM"),
            "'depth,near' is no known kind",
        ),
        (("--reference", "FILM", "--video", "FILM", "--curve", "a.txt"), "a curve as a.txt"),
    ],
)
def test_bad_input_is_one_line(film_path: Path, words: tuple[str, ...], message: str) -> None:
    code, _, said = evaluate(*(word.replace("FILM", str(film_path)) for word in words))
    assert code == 1
    assert said.splitlines()[-1].startswith("iclora: ") and message in said


@pytest.fixture(scope="module")
def carphone(filmed_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen small frames of somebody talking."""
    film = media.read(filmed_clips / "carphone_pristine.mp4", fps=12.0, max_frames=13)
    return media.save(media.resize(film, 128, 160), tmp_path_factory.mktemp("film") / "carphone.mp4")


def kind(kind: str, *words: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["evaluate", "--control", kind, *map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    scored: dict[str, Any] = json.loads(result.stdout)
    return scored


def test_depth_is_read_off_the_control_or_found_in_the_film(carphone: Path, tmp_path: Path) -> None:
    media.save(controls.depth(media.read(carphone), convention="inferno"), tmp_path / "depth.mp4")
    drawn = kind("depth,convention=inferno", "--reference", tmp_path / "depth.mp4", "--video", carphone)
    found = kind("depth", "--reference", carphone, "--extract", "--video", carphone)
    assert drawn["rank"] > 0.95 and found["rank"] == pytest.approx(1) and len(found["frame_rank"]) == 13


def test_tracks_come_from_a_file_or_the_film(carphone: Path, tmp_path: Path) -> None:
    controls.save_tracks(controls.follow_video(media.read(carphone), num_tracks=6), tmp_path / "tracks.json")
    for words in ((tmp_path / "tracks.json",), (carphone, "--extract")):
        score = kind("tracks,count=6", "--reference", *words, "--video", carphone)
        assert score["within"] > 0.95 and score["error"] < 0.01


def test_poses_come_from_a_file(carphone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.stack([[person(3.0 * index)] for index in range(13)])
    poses = Poses(points=points, height=128, width=160, fps=12.0)
    controls.write_keypoints(poses, tmp_path / "keypoints.json")
    monkeypatch.setattr("iclora.adherence.kinds.find_poses", lambda film, **said: poses)
    score = kind("pose", "--reference", tmp_path / "keypoints.json", "--video", carphone)
    assert score["pck"] == 1.0
    moved = kind("pose,move=40,0", "--reference", tmp_path / "keypoints.json", "--video", carphone)
    assert moved["pck"] == 0.0


def test_the_control_of_the_result_is_found_once(
    film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    true_find = adherence.find_again

    def find_again(kind: str, *given: Any, **said: Any) -> Any:
        found.append(kind)
        return true_find(kind, *given, **said)

    for owner in (adherence, adherence.scoring):
        monkeypatch.setattr(owner, "find_again", find_again)
    words = ("--reference", film_path, "--extract", "--video", film_path)
    assert evaluate(*words, "--sheet", tmp_path / "sheet.png")[0] == 0 and found == ["canny"]


def test_inside_and_outside_and_pictures(carphone: Path, tmp_path: Path) -> None:
    """The left half is the film, the right half is grey."""
    film = media.read(carphone)
    frames = film.frames.copy()
    frames[:, :, 80:] = 128
    media.save(Clip(frames=frames, fps=film.fps), tmp_path / "half.mp4")
    mask = np.zeros((1, 128, 160, 3), np.uint8)
    mask[:, :, :80] = 255
    media.save(Clip(frames=mask, fps=1.0), tmp_path / "mask.png")
    words = ("--reference", carphone, "--extract", "--video", tmp_path / "half.mp4")
    pictures = ("--curve", tmp_path / "curve.png", "--sheet", tmp_path / "sheet.png")
    score = kind("canny", *words, "--mask", tmp_path / "mask.png", *pictures)
    assert score["inside"]["f1"] > 0.8 > score["f1"] > 0.3 > score["outside"]["f1"]
    assert media.read(tmp_path / "curve.png").width == 720 and media.read(tmp_path / "sheet.png").width > 600
    code, shown, _ = evaluate(*words, "--mask", tmp_path / "mask.png")
    assert code == 0 and shown.splitlines()[2].startswith("inside the mask: F1 0.8")
    code, _, said = evaluate(*words, "--curve", tmp_path / "curve.png")
    assert code == 1 and "curve.png exists" in said
    media.save(Clip(frames=mask + np.uint8(255) * (mask == 0), fps=1.0), tmp_path / "white.png")
    code, _, said = evaluate(*words, "--mask", tmp_path / "white.png")
    assert code == 1 and "is white everywhere" in said
