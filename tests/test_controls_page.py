"""The commands and the Python of docs/controls.md run as they stand."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import media
from iclora.cli import app
from iclora.clip import Clip

PAGE = (Path(__file__).parents[1] / "docs" / "controls.md").read_text()


def test_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(film_path, tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    half = np.zeros((1, 24, 32, 3), np.uint8)
    half[:, :, :16] = 255
    media.save(Clip(frames=half, fps=1.0), "hole.png")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    commands = [line.split("  #")[0].strip() for line in lines if line.startswith("iclora ")]
    assert len(commands) == 5
    for command in commands:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)][1:]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    assert (media.read("green.mp4").frames[:, 8:-8, 4:24, 1] > 200).all()
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "controls.md", "exec"), {})
    assert "{'preset': 'union', 'thickness': 3}" in capsys.readouterr().out
    assert media.read("out.mp4").num_frames % 8 == 1
