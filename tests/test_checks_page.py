"""The commands of docs/checks.md run as they stand, and say what the page says."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import adapters, media
from iclora.cli import app
from iclora.clip import Clip
from toyworld.render import HELD_OUT_SEED_START, render

PAGE = (Path(__file__).parents[1] / "docs" / "checks.md").read_text()


def run(command: str) -> str:
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command.split("  #")[0])][1:]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"{command}\n{done.output}"
    return done.output


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = render([HELD_OUT_SEED_START], height=256, width=256, num_frames=9, fps=16.0)
    media.save(Clip(frames=scene.frames[0].numpy(), fps=16.0), "in.mp4")
    own = Path(adapters.__file__).parents[1] / "tiny" / "adapters" / "canny.safetensors"
    layers = adapters.read(own).layers
    adapters.write("ltx-2.3-22b-ic-lora-union-control-ref0.5.safetensors", layers, {})
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    said = [run(line) for block in blocks for line in block.splitlines()]
    assert len(said) == 7
    for quoted in re.findall(r"`(in\.mp4: .*?|For its .*?)`", PAGE):
        assert quoted in said[0]
    assert "warning" in said[0] and "warning" not in said[1]
    assert '"findings"' in said[2]
    assert "looks like a smooth grey picture" in said[4]
    assert "control    canny, from the metadata" in said[5]
    assert "canny or depth or pose (depth near-white or inferno), from the file name" in said[6]


def test_the_page_names_what_is_read() -> None:
    known = set(re.findall(r"`(iclora\.\w+)`", PAGE))
    written = adapters.describe(
        downscale=1, temporal_factor=1, control="canny", base="tiny", version="1", recipe="dev"
    )
    assert known == {"iclora.control", "iclora.config", "iclora.base", "iclora.recipe"} <= set(written)
