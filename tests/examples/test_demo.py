"""examples/demo.py: the whole demo with a random model, its page, and that it replaces only its own files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from examples import demo
from iclora import media
from iclora.cli import app
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
    words = ["--output", str(folder), "--model", str(micro_model), "--size", "64", "--frames", "9"]
    assert demo.main(words, run=run_here) == 0
    assert sorted(path.name for path in folder.iterdir()) == demo.own_files()
    page = (folder / "index.html").read_text()
    for name in ("carphone", "toyworld"):
        assert f"<video src='{name}-side-by-side.mp4'" in page and f"<img src='{name}-sheet.png'" in page
        beside = media.read(folder / f"{name}-side-by-side.mp4")
        assert beside.num_frames == 9 and beside.width > 3 * 64
    assert "http" not in page
    printed = capsys.readouterr().out
    assert "carphone: edge F1 0." in printed and f"open {folder / 'index.html'}" in printed
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


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        demo.claim(tmp_path / "file" / "demo")


def test_the_note_lists_what_is_the_demos(tmp_path: Path) -> None:
    demo.claim(tmp_path)
    assert json.loads((tmp_path / demo.NOTE).read_text()) == demo.own_files()
    demo.claim(tmp_path)
