"""cli.scores: what `generate` says and keeps of how its references are followed, for each kind of control."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from iclora import adapters, controls, media
from iclora.cli import app
from iclora.cli.scores import say_scores, truth_of
from iclora.clip import Clip
from iclora.controls.point_tracks import Tracks
from iclora.errors import MissingDependencyError
from tests.controls.poses.people import person, poses_of
from tests.micro import adapter_metadata, random_layers


def generate(model: Path, folder: Path, kind: str, *words: object) -> tuple[Result, list[dict[str, Any]]]:
    """Generate with an adapter that says it follows that kind; the result and its kept scores."""
    file = folder / f"{kind}.safetensors"
    if not file.exists():
        adapters.write(file, random_layers(model), adapter_metadata() | {"iclora.control": kind})
    said = ["generate", "--model", model, "--prompt", "a ball", "--adapter", file, *words]
    said += ["-o", folder / "out.mp4", "--overwrite"]
    result = CliRunner().invoke(app, [str(word) for word in said])
    assert result.exit_code == 0, result.output
    scores: list[dict[str, Any]] = json.loads((folder / "out.mp4.json").read_text())["adherence"]
    return result, scores


@pytest.fixture(scope="module")
def carphone(filmed_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small frames of somebody talking."""
    film = media.read(filmed_clips / "carphone_pristine.mp4", fps=16.0, max_frames=9)
    return media.save(media.resize(film, 64, 64), tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.mark.parametrize(
    ("kind", "measure", "number"),
    [
        ("depth", "depth rank correlation", "rank"),
        ("tracks", "tracks within 5%", "within"),
        ("grey", "grey correlation", "correlation"),
    ],
)
def test_each_kind_has_its_score(
    micro_model: Path, carphone: Path, tmp_path: Path, kind: str, measure: str, number: str
) -> None:
    result, (score,) = generate(micro_model, tmp_path, kind, "--control", f"{kind}={carphone}")
    assert score["control"] == kind and score["measure"] == measure and score["value"] == score[number]
    assert f"follows film.mp4: {measure} {score['value']:.3f}" in result.stderr
    assert len(score[f"frame_{number}"]) == 9


def test_a_ready_depth_clip_is_scored_as_its_adapter_draws_it(
    micro_model: Path, carphone: Path, tmp_path: Path
) -> None:
    media.save(controls.depth(media.read(carphone)), tmp_path / "depth.mp4")
    _, (drawn,) = generate(micro_model, tmp_path, "depth", "--reference", tmp_path / "depth.mp4")
    _, (found,) = generate(micro_model, tmp_path, "depth", "--control", f"depth={carphone}")
    assert drawn["control"] == "depth" and drawn["rank"] == pytest.approx(found["rank"], abs=0.1)


def test_a_mask_parts_the_score(micro_model: Path, carphone: Path, tmp_path: Path) -> None:
    mask = np.zeros((1, 64, 64, 3), np.uint8)
    mask[:, :, :32] = 255
    media.save(Clip(frames=mask, fps=1.0), tmp_path / "left.png")
    words = ("--control", f"canny={carphone}", "--attention-mask", tmp_path / "left.png")
    _, (score,) = generate(micro_model, tmp_path, "canny", *words)
    assert {"inside", "outside"} <= set(score) and len(score["inside"]["frame_f1"]) == 9


def test_what_cannot_be_scored_leaves_the_result_whole(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keypoints are drawn without any estimator; scoring wants one."""

    def missing(*given: Any, **said: Any) -> Any:
        raise MissingDependencyError("LiteRT is not installed: pip install it.")

    monkeypatch.setattr("iclora.adherence.kinds.find_poses", missing)
    poses = poses_of(*[[person(2.0 * index)] for index in range(9)], fps=16.0)
    controls.write_keypoints(poses, tmp_path / "pose.json")
    result, scores = generate(micro_model, tmp_path, "pose", "--control", f"pose={tmp_path / 'pose.json'}")
    assert scores == [] and "pose.json is not scored: LiteRT is not installed" in result.stderr
    assert media.read(tmp_path / "out.mp4").num_frames == 9


def test_tracks_are_brought_to_the_length_of_the_result() -> None:
    points = np.full((1, 5, 2), 10.0)
    tracks = Tracks(points=points, visible=np.ones((1, 5), bool), height=32, width=32, fps=8.0)
    for num_frames in (3, 7):
        result = Clip(frames=np.zeros((num_frames, 64, 64, 3), np.uint8), fps=8.0)
        truth = truth_of("tracks", tracks, result)
        assert isinstance(truth, Tracks) and truth.num_frames == num_frames and truth.width == 64
        assert truth.visible[0].sum() == min(5, num_frames) and truth.points[0, 0].tolist() == [20.0, 20.0]


@pytest.mark.parametrize(
    ("survival", "lost"), [(0.49, "its points are lost at 51% of their places"), (0.5, "")]
)
def test_points_that_are_lost_are_told_of(
    survival: float, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"reference": "a.json", "measure": "tracks within 5%", "value": 0.25}
    say_scores([row | {"survival": survival}, row])
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("follows a.json: tracks within 5% 0.250") and lost in first
    assert ("lost" in first) == bool(lost) and second == "follows a.json: tracks within 5% 0.250"
