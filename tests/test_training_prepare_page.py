"""The commands and the Python of docs/training.md, of the part on preparing, run as they stand."""

import csv
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora.cli import app
from iclora.training import Store
from tests.training.clips import edges, moving, save

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text()
PART = PAGE.split("\n## Prepare\n")[1].split("\n## ")[0]


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = []
    for seed in range(3):
        clip = moving(seed, num_frames=33, height=64, width=128)
        save(clip, Path("clips") / f"{seed}.mp4")
        (Path("clips") / f"{seed}.txt").write_text(f"boxes {seed}")
        save(edges(clip), Path("lines") / f"{seed}.mp4")
        rows.append(
            {"video": f"clips/{seed}.mp4", "reference_video": f"lines/{seed}.mp4", "caption": "boxes"}
        )
    (tmp_path / "lines" / "2.mp4").write_bytes(b"no film")
    with open("pairs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PART, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        words = line.split("  #")[0].split()
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert [len(Store.open(name).samples) for name in ("prepared", "pairs", "parts")] == [3, 2, 2]
    code = "\n".join(re.findall(r"```python\n(.*?)```", PART, re.DOTALL))
    exec(compile(code, "training.md", "exec"), {})
