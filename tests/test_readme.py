"""The commands and the Python of README run as they stand, with the embedded model, in an empty folder."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import media
from iclora.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, film_path: Path) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(film_path, folder / "in.mp4")
    return folder


def test_the_commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    lines = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("iclora ")]
    assert len(commands) >= 6
    for command in commands:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)][1:]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    assert media.read("out.mp4").num_frames % 8 == 1
    assert (folder / "out.mp4.json").is_file()


def test_the_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "out.mp4").unlink(missing_ok=True)
    code = "\n".join(blocks("python"))
    exec(compile(code, "README.md", "exec"), {})
    assert media.read("out.mp4").num_frames % 8 == 1
    assert media.read("seen.mp4").num_frames == media.read("out.mp4").num_frames
