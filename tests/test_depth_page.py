"""The commands and the Python of docs/depth.md run as they stand."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import media
from iclora.cli import app
from iclora.controls.depths import RELEASES, video
from tests.controls.depths import video_files
from tests.media.exr_files import write_exr

PAGE = (Path(__file__).parents[1] / "docs" / "depth.md").read_text()


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film_path: Path) -> None:
    shutil.copy(film_path, tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    release = RELEASES["video-depth-anything-small"]
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    video_files.write(release.by_hand / release.names[0])
    monkeypatch.setattr(video, "SHORT_SIDE", 28)  # for the sake of speed
    Path("render").mkdir()
    for number in range(9):
        distances = np.linspace(1, 9 + number, 32 * 48, dtype=np.float32).reshape(32, 48)
        write_exr(Path("render") / f"z{number:04}.exr", {"Z": distances})
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 9
    for line in lines:
        command = line.split("  #")[0].strip()
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)][1:]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    white, black = (media.read(name).frames.astype(int) for name in ("depth.mp4", "inverse.mp4"))
    assert np.corrcoef(white.ravel(), black.ravel())[0, 1] < -0.95
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "depth.md", "exec"), {})
    assert media.read("seen.mp4").frames.shape == media.read("in.mp4").frames.shape
