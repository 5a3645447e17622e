"""The commands of docs/training.md, of the part on training, run as they stand but shortened."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iclora.cli import app
from iclora.media import read
from iclora.training import resolve
from tests.training.prepared import save_prepared

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text()
PART = PAGE.split("\n## Train\n")[1].split("\n## ")[0]
SHORT = ["--set", "steps=2", "--set", "adapter.rank=2", "--set", "watch.num_previews=1", "--device", "cpu"]


def test_the_commands(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_prepared(Path("prepared"), micro_model)
    shutil.copy(film_path, "in.mp4")
    (settings,) = re.findall(r"```yaml\n(.*?)```", PART, re.DOTALL)
    Path("canny.yaml").write_text(settings.replace("model: tiny ", f"model: {micro_model} "))
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PART, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 6
    said = []
    for line in lines:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line.split("  #")[0])][1:]
        words += SHORT if words[0] == "train" else ["--model", str(micro_model)]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
        said.append(done.output)
    assert "2 steps of about" in said[0] and "it goes on from step 2" in said[2]
    assert read("out.mp4").num_frames == 9
    left = {path.name for path in Path("runs/canny").iterdir()}
    assert {"canny.safetensors", "README.md", "report.html", "log.jsonl", "best", "previews"} <= left


def test_every_setting_is_told() -> None:
    def names(content: dict[str, Any]) -> list[str]:
        return [inner for k, v in content.items() for inner in (names(v) if isinstance(v, dict) else [k])]

    rows = "\n".join(line for line in PART.splitlines() if line.startswith("| `"))
    known = names(resolve({"output": "run", "data": {"path": "data"}}).model_dump())
    missing = [name for name in known if name not in ("model", "output", "path") and name not in rows]
    assert missing == []
