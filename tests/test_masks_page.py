"""The Python and the commands of docs/masks.md run as they stand, with the embedded model."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "masks.md").read_text()


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film_path: Path) -> None:
    shutil.copy(film_path, tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    controls.canny(media.read("in.mp4")).save("edges.mp4")
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "masks.md", "exec"), {})
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
    ]
    assert len(commands) == 4
    for command in commands:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command.split("  #")[0])][1:]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    for name in ("left.mp4", "later.mp4"):
        assert json.loads(Path(f"{name}.json").read_text())["plan"]["references"][0]["masked"]
    left, later = (media.read(name).frames for name in ("left.mp4", "later.mp4"))
    assert left.shape == later.shape and (left != later).any()
