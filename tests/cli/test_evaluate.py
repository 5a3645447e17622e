"""cli: evaluate."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
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
    assert code == 0 and shown.strip() == "F1 1.000  precision 1.000  recall 1.000"


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
        (("--control", "depth", "--reference", "FILM", "--video", "FILM"), "accepted: canny"),
    ],
)
def test_bad_input_is_one_line(film_path: Path, words: tuple[str, ...], message: str) -> None:
    code, _, said = evaluate(*(word.replace("FILM", str(film_path)) for word in words))
    assert code == 1
    assert said.splitlines()[-1].startswith("iclora: ") and message in said
