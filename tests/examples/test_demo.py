"""examples/demo.py: the whole demo with a random model, its page, and that it replaces only its own files."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from examples import demo
from iclora import media
from iclora.cli import app
from iclora.clip import Clip
from iclora.errors import OutputError


def run_here(words: Sequence[str]) -> str:
    """Run the command in this process: starting one takes seconds."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_demo_leaves_results_pictures_and_a_page(
    micro_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    picture = tmp_path / "picture.png"
    words = ["--output", str(folder), "--model", str(micro_model), "--size", "64", "--frames", "9"]
    words += ["--readme-picture", str(picture)]
    assert demo.main(words, run=run_here) == 0
    assert sorted(path.name for path in folder.iterdir()) == demo.own_files()
    page = (folder / "index.html").read_text()
    for name in demo.NAMES:
        assert f"<article id='{name}'>" in page and f"href='{name}-control.mp4'" in page
        beside = media.read(folder / f"{name}-side-by-side.mp4")
        assert beside.num_frames == 9 and beside.width > 3 * 64
    assert page.count("<video src='data:video/mp4;base64,") == page.count("<img src='data:image/png;") == 4
    assert "http" not in page and page.count("<span class='bar'>") == 8
    assert picture.stat().st_size < demo.PICTURE_BYTES and media.read(picture).width > 500
    printed = capsys.readouterr().out
    assert "carphone: edge F1 0." in printed and "toyworld-pose: PCK@0.1 0." in printed
    assert f"open {folder / 'index.html'}" in printed
    (folder / "mine.txt").write_text("kept")
    assert demo.main(words, run=run_here) == 0
    assert (folder / "mine.txt").read_text() == "kept"


def test_files_of_others_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(OutputError, match="index.html was not made by this demo"):
        demo.claim(tmp_path)
    assert demo.main(["--output", str(tmp_path)], run=run_here) == 1
    assert capsys.readouterr().err.startswith("demo: ")
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_note_that_is_no_note(tmp_path: Path) -> None:
    (tmp_path / demo.NOTE).write_text("mine")
    with pytest.raises(OutputError, match="made-by-demo.json was not made by this demo"):
        demo.claim(tmp_path)


@pytest.mark.parametrize(
    ("followed", "without", "words"),
    [
        (0.6, 0.2, "It follows: 50 % of the edges that the base alone misses is there."),
        (0.45, 0.33, "a little: 18 %"),
        (0.25, 0.2, "does not follow"),
    ],
)
def test_scores_are_said_in_words(followed: float, without: float, words: str) -> None:
    assert words in demo.in_words({"with": followed, "without": without}, "edges")


def test_the_picture_is_made_smaller_until_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)

    def noise(*_: object) -> list[Clip]:
        frames = draw.integers(0, 256, (4, 4, 112, 112, 3), np.uint8)
        return [Clip(frames=part, fps=16.0) for part in frames]

    monkeypatch.setattr(demo, "clips_of", noise)
    shot = demo.Shot(name="a", title="A", source=tmp_path, prompt="p", ours=True)
    demo.readme_picture([(shot, {"plan": {}})] * 2, tmp_path, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < demo.PICTURE_BYTES
    assert media.read(tmp_path / "a.png").height < 3 * 132


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        demo.claim(tmp_path / "file" / "demo")


def test_the_note_lists_what_is_the_demos(tmp_path: Path) -> None:
    demo.claim(tmp_path)
    assert json.loads((tmp_path / demo.NOTE).read_text()) == demo.own_files()
    demo.claim(tmp_path)
