"""cli: control canny."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from tests.micro import moving_square


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["control", "canny", *(str(word) for word in words)])
    return result.exit_code, result.stderr


def test_lines_of_a_film_as_pictures(film_path: Path, tmp_path: Path) -> None:
    code, said = run(
        film_path, "-o", f"{tmp_path}/lines/", "--blur", "1", "--thickness", "2", "--high", "100"
    )
    assert code == 0 and "64x48, 9 frames at 16 per second" in said
    lines = media.read(tmp_path / "lines", fps=16.0)
    expected = controls.canny(media.read(film_path), blur=1.0, thickness=2, high=100.0)
    assert np.array_equal(lines.frames, expected.frames)
    notes = json.loads((tmp_path / "lines.json").read_text())
    assert notes["asked"]["thickness"] == 2 and notes["result"]["width"] == 64


def test_size_frames_and_rate(film_path: Path, tmp_path: Path) -> None:
    code, _ = run(film_path, "-o", tmp_path / "a.mp4", "--size", "32x32", "--frames", "12", "--fps", "8")
    assert code == 0
    made = media.read(tmp_path / "a.mp4")
    assert made.frames.shape == (12, 32, 32, 3) and made.fps == 8.0


def test_a_still_gives_a_still(tmp_path: Path) -> None:
    media.save(moving_square(num_frames=1), tmp_path / "a.png")
    code, said = run(tmp_path / "a.png", "-o", tmp_path / "lines.png", "--stabilise", "0.5")
    assert code == 0 and said.endswith("lines.png: 64x48, 1 frame\n")
    assert media.read(tmp_path / "lines.png").frames.any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.mp4", "-o", "OUT/a.mp4"), "There is no file none.mp4"),
        (("FILM", "-o", "OUT/a.xyz"), "unknown kind .xyz"),
        (("FILM", "-o", "OUT/a.mp4", "--frames", "0"), "Cannot read 0 frames"),
        (("FILM", "-o", "OUT/a.mp4", "--fps", "-1"), "The frame rate is -1.0"),
        (("FILM", "-o", "OUT/a.mp4", "--size", "0x4"), "is not a size"),
        (("FILM", "-o", "OUT/a.mp4", "--thickness", "0"), "The line thickness is 0 pixels"),
        (("FILM", "-o", "OUT/a.mp4", "--low", "9", "--high", "5"), "is above 'high'"),
    ],
)
def test_bad_input_is_one_line(film_path: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    code, said = run(*(word.replace("FILM", str(film_path)).replace("OUT", str(tmp_path)) for word in words))
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith("iclora: ") and message in last
    assert list(tmp_path.iterdir()) == []
