"""The commands and the Python of docs/pose.md run as they stand, with real networks and a filmed clip."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import media
from iclora.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "pose.md").read_text()
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.weights
def test_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filmed_clips: Path, blazepose_weights: dict[str, Path]
) -> None:
    shutil.copy(filmed_clips / "carphone_pristine.mp4", tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)][1:]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    made = media.read("pose.mp4")
    assert (made.num_frames, made.width, made.height) == (120, 640, 512)
    assert all(frame.any() for frame in made.frames[::12])
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "pose.md", "exec"), {})
    assert media.read("child.mp4").num_frames == 120


def test_fetching_says_where_the_networks_lie(blazepose_weights: dict[str, Path]) -> None:
    done = CliRunner().invoke(app, ["models", "fetch", "blazepose"])
    assert done.exit_code == 0
    assert [Path(line) for line in done.stdout.splitlines()] == list(blazepose_weights.values())
