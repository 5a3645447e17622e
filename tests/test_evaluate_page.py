"""The commands of docs/evaluate.md run as they stand, with the embedded model on a small film."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import adherence, media
from iclora.cli import app
from iclora.clip import Clip

PAGE = (Path(__file__).parents[1] / "docs" / "evaluate.md").read_text()


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filmed_clips: Path) -> None:
    monkeypatch.chdir(tmp_path)
    film = media.read(filmed_clips / "bigbuckbunny.mp4", fps=16.0, max_frames=9)
    media.save(media.resize(film, 64, 64), "in.mp4")
    mask = np.zeros((1, 64, 64, 3), np.uint8)
    mask[:, :, :32] = 255
    media.save(Clip(frames=mask, fps=1.0), "left.png")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 11
    for line in lines:
        command = line.split("  #")[0].strip()
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)][1:]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
        if "attention 0.109" in line:
            assert "attention 0.1086" in done.stdout
    assert all(Path(name).is_file() for name in ("frames.png", "sheet.png", "sweep/curve.png"))
    rows = json.loads(Path("sweep/sweep.json").read_text())["rows"]
    assert [row["value"] for row in rows if row["seed"] == 0] == ["1", "0", "0.1"]
    # More attention follows better, also so small and short.
    mean = {
        point["value"]: point["mean"] for point in json.loads(Path("sweep/sweep.json").read_text())["summary"]
    }
    assert mean["1"] > mean["0"]


def test_every_kind_is_in_the_table() -> None:
    kinds = set(re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert kinds == set(adherence.SCORERS)
