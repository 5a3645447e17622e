"""cli: control tracks, and tracks of a file in generate and plan."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from iclora.controls.point_tracks import Tracks
from tests.micro import moving_square

DOCS = (Path(__file__).parents[2] / "docs" / "tracks.md").read_text()


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stderr


@pytest.fixture(scope="module")
def large_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square that moves over 256x192, large enough for discs to be seen."""
    film = moving_square(height=192, width=256, num_frames=12)
    return media.save(film, tmp_path_factory.mktemp("films") / "large.mp4")


@pytest.fixture
def tracks_json(tmp_path: Path) -> Path:
    points = np.stack([np.linspace(20, 200, 12), np.linspace(30, 150, 12)], axis=1)[None]
    tracks = Tracks(points=points, visible=np.ones((1, 12), bool), height=192, width=256, fps=16.0)
    return controls.save_tracks(tracks, tmp_path / "given.json")


def test_the_commands_of_the_docs(
    tmp_path: Path, filmed_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    media.save(moving_square(height=96, width=128), tmp_path / "in.mp4")
    shutil.copy(filmed_clips / "bigbuckbunny.mp4", tmp_path)
    ball, several = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)[:2]
    (tmp_path / "ball.json").write_text(ball)
    (tmp_path / "tracks.json").write_text(several)
    shutil.copy(Path(__file__).parents[2] / "docs" / "ball.png", tmp_path)
    np.savez(tmp_path / "points.npz", tracks=np.linspace(5, 40, 48).reshape(8, 3, 2))
    lines = "".join(re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL)).splitlines()
    assert len(lines) >= 6
    for line in lines:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line.split("  #")[0])][1:]
        short = ["--size", "128x128", "--frames", "9"]  # will do
        words += short if words[0] == "generate" else []
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    drawn = media.read("drawn.mp4")
    assert drawn.frames.shape == (33, 192, 256, 3) and drawn.fps == 16.0
    assert media.read("tracks.png").width > 1000 and media.read("bunny.mp4").num_frames == 97
    made = json.loads(Path("thrown.mp4.json").read_text())
    assert made["plan"]["adapters"][0]["name"] == "tracks" and "no adapter" not in json.dumps(made)


def test_a_video_gives_its_tracks_and_their_picture(large_film: Path, tmp_path: Path) -> None:
    code, said = run(
        *("control", "tracks", large_film, "-o", f"{tmp_path}/trails/", "--json", tmp_path / "a.json"),
        *("--count", 4, "--sheet", tmp_path / "sheet.png"),
    )
    assert code == 0 and "4 tracks, 256x192, 12 frames at 16 per second" in said
    taken = controls.read_tracks(tmp_path / "a.json")
    assert (taken.num_tracks, taken.height, taken.width, taken.fps) == (4, 192, 256, 16.0)
    trails = media.read(tmp_path / "trails", fps=16.0)
    assert np.array_equal(trails.frames, controls.draw_tracks(taken).frames) and trails.frames.any()
    notes = json.loads((tmp_path / "trails.json").read_text())
    assert notes["result"]["num_tracks"] == 4 and notes["asked"]["count"] == 4
    assert media.read(tmp_path / "sheet.png").frames.any()


def test_a_file_is_drawn_at_size_rate_and_length(tracks_json: Path, tmp_path: Path) -> None:
    code, _ = run(
        *("control", "tracks", tracks_json, "-o", tmp_path / "a.mp4", "--size", "128x128"),
        *("--fps", "8", "--frames", "9"),
    )
    assert code == 0
    made = media.read(tmp_path / "a.mp4")
    assert made.frames.shape == (9, 128, 128, 3) and made.fps == 8.0
    assert np.abs(made.frames[8].astype(int) - made.frames[5]).max() < 40  # six frames, then the last is held


def test_what_may_disappoint_is_said_and_noted(tmp_path: Path) -> None:
    points = [{"x": 10 + 30 * frame, "y": 50} for frame in range(9)]
    (tmp_path / "t.json").write_text(json.dumps([points]))
    code, said = run(
        "control", "tracks", tmp_path / "t.json", "-o", tmp_path / "a.mp4", "--canvas", "200x100"
    )
    assert code == 0
    assert "warning: Off the canvas: track 1 at frame 7." in said
    assert len(json.loads((tmp_path / "a.mp4.json").read_text())["findings"]) == 2  # it also jumps


def test_a_still_is_said_not_to_move(large_film: Path, tmp_path: Path) -> None:
    first = media.read(large_film, max_frames=1)
    first.save(tmp_path / "still.png")
    code, said = run("control", "tracks", tmp_path / "still.png", "-o", tmp_path / "a.mp4", "--frames", 9)
    assert code == 0 and "warning: No track moves." in said and "bring a clip that moves." in said
    code, said = run("control", "tracks", large_film, "-o", tmp_path / "b.mp4")
    assert code == 0 and "warning" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.json", "-o", "OUT/a.mp4"), "There is no file none.json"),
        (("none.mp4", "-o", "OUT/a.mp4"), "There is no file none.mp4"),
        (("BARE", "-o", "OUT/a.mp4"), "do not say how large their canvas is; say it (--canvas WxH"),
        (("BARE", "-o", "OUT/a.mp4", "--canvas", "5"), "--canvas '5' is not a size; write WIDTHxHEIGHT"),
        (("BARE", "-o", "OUT/a.mp4", "--size", "9x9"), "is far off the canvas of 9x9; is that its size?"),
        (("JSON", "-o", "OUT/a.mp4", "--canvas", "9x9"), "says its canvas is 256x192, --canvas says 9x9"),
        (("JSON", "-o", "OUT/a.mp4", "--fps", "0"), "The frame rate is 0.0"),
        (("JSON", "-o", "OUT/a.mp4", "--frames", "0"), "Cannot make a clip of 0 frames"),
        (("JSON", "-o", "OUT/a.mp4", "--count", "0"), "Cannot keep 0 tracks"),
        (("JSON", "-o", "OUT/a.mp4", "--json", "JSON"), "is another result or a source of it"),
        (("JSON", "-o", "OUT/a.mp4", "--json", "OUT/a.mp4.json"), "is another result or a source"),
        (("JSON", "-o", "OUT/", "--overwrite", "--json", "OUT/a.json"), "lies inside the result"),
        (("JSON", "-o", "OUT/a.mp4", "--json", "OUT/a.txt"), "give a name that ends in .json"),
        (("JSON", "-o", "OUT/a.mp4", "--sheet", "OUT/a.tif"), "ends in .png, .jpg, .jpeg, .webp"),
        (("JSON", "-o", "OUT/a.xyz"), "unknown kind .xyz"),
        (("FILM", "-o", "OUT/a.mp4", "--canvas", "9x9"), "--canvas is about files of tracks"),
        (("FILM", "-o", "OUT/a.mp4", "--keypoints"), "--keypoints is about files of tracks"),
        (("FILM", "-o", "OUT/a.mp4", "--count", "0"), "Cannot take 0 tracks"),
    ],
)
def test_bad_input_is_one_line(
    film_path: Path, tracks_json: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "bare.json").write_text('[[{"x": 50, "y": 60}, {"x": 50, "y": 60}]]')
    places = {"FILM": film_path, "JSON": tracks_json, "BARE": tmp_path / "bare.json", "OUT": out}
    for name, path in places.items():
        words = tuple(word.replace(name, str(path)) for word in words)
    code, said = run("control", "tracks", *words)
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith("iclora: ") and message in last
    assert list(out.iterdir()) == []


def test_the_editor_gets_what_its_form_can_say(tmp_path: Path) -> None:
    places = [{"x": 50 + frame, "y": 60} for frame in range(9)]
    late = {"points": places[:5], "start": 4}
    (tmp_path / "a.json").write_text(
        json.dumps(
            {"width": 96, "height": 80, "fps": 8, "num_frames": 9, "tracks": [{"points": places}, late]}
        )
    )
    words = (tmp_path / "a.json", "-o", tmp_path / "a.mp4", "--editor-json", tmp_path / "e.json")
    code, said = run("control", "tracks", *words)
    assert code == 0 and "e.json: 1 of 2 tracks are left out, as they start late or are hidden" in said
    assert json.loads((tmp_path / "e.json").read_text()) == [places]
    (tmp_path / "b.json").write_text(
        json.dumps({"width": 96, "height": 80, "fps": 8, "num_frames": 9, "tracks": [late]})
    )
    words = (tmp_path / "b.json", "-o", tmp_path / "b.mp4", "--editor-json", tmp_path / "f.json")
    code, said = run("control", "tracks", *words)
    assert code == 1 and "Each of the 1 tracks starts late or is hidden in between" in said


def test_generate_draws_a_file_at_the_plans_size(
    micro_model: Path, tracks_json: Path, tmp_path: Path
) -> None:
    code, said = run(
        *("generate", "--model", micro_model, "--prompt", "a square", "--control", f"tracks={tracks_json}"),
        *("--size", "96x64", "--frames", "9", "-o", tmp_path / "out.mp4"),
    )
    assert code == 0, said
    plan = json.loads((tmp_path / "out.mp4.json").read_text())["plan"]
    assert plan["references"][0]["control"] == "tracks" and plan["references"][0]["label"] == "given.json"
    assert media.read(tmp_path / "out.mp4").frames.shape == (9, 64, 96, 3)


def test_a_video_is_a_control_by_its_tracks(micro_model: Path, large_film: Path, tmp_path: Path) -> None:
    code, said = run(
        *("generate", "--model", micro_model, "--prompt", "a square", "--control", f"tracks={large_film}"),
        *("--frames", "9", "-o", tmp_path / "out.mp4"),
    )
    assert code == 0, said


@pytest.mark.parametrize("still", [True, False])
@pytest.mark.parametrize("command", ["plan", "generate"])
def test_a_film_in_which_nothing_moves_is_told(
    micro_model: Path, large_film: Path, tmp_path: Path, command: str, *, still: bool
) -> None:
    media.read(large_film, max_frames=1).save(tmp_path / "still.png")
    film = tmp_path / "still.png" if still else large_film
    words = (command, "--model", micro_model, "-p", "a", "--control", f"tracks={film}", "--size", "128x96")
    code, said = run(*words, *(("-o", tmp_path / "out.mp4") if command == "generate" else ("--json",)))
    assert code == 0, said
    told = "still.png: No track moves. Standing dots ask for a standing picture; bring a clip that moves."
    assert (told in " ".join(said.split())) is still and ("No track moves" in said) is still


def test_the_plan_says_what_is_wrong_with_tracks(micro_model: Path, tmp_path: Path) -> None:
    points = [{"x": 10 + 6 * frame, "y": 32} for frame in range(12)]
    (tmp_path / "t.json").write_text(json.dumps([points]))
    words = ("plan", "--model", micro_model, "--prompt", "a", "--control", f"tracks={tmp_path / 't.json'}")
    code, said = run(*words, "--size", "64x64", "--json")
    assert code == 0 and "t.json: Off the canvas: track 1 at frame 9." in said
    code, said = run(*words)
    assert code == 1 and "t.json: The tracks do not say how large their canvas is" in said
    code, said = run(*words, "--size", "64x64", "--keep-audio")
    assert code == 1 and "t.json has no sound to keep" in said


@pytest.mark.parametrize(("size", "told"), [("96x64", False), ("64x96", True)])
@pytest.mark.parametrize("command", ["plan", "generate"])
def test_tracks_that_the_size_crops_away_are_told(
    micro_model: Path, tmp_path: Path, command: str, size: str, *, told: bool
) -> None:
    """Of 192x128 the middle 85x128 is kept at 64x96: from 54 on; the second track is left of it."""
    paths = [[{"x": x + frame, "y": 60} for frame in range(9)] for x in (90, 30)]
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"width": 192, "height": 128, "tracks": [{"points": path} for path in paths]}))
    words = (command, "--model", micro_model, "-p", "a", "--control", f"tracks={file}", "--size", size)
    code, said = run(*words, *(("-o", tmp_path / "out.mp4") if command == "generate" else ("--json",)))
    assert code == 0, said
    assert ("t.json: Off the canvas: track 2 at frame 0." in said) is told


def test_results_are_not_scored_by_drawn_tracks(film_path: Path) -> None:
    code, said = run("evaluate", "--control", "tracks", "--reference", film_path, "--video", film_path)
    assert code == 1 and "give the tracks as a .json" in said
