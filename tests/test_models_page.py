"""The commands and the Python of docs/models.md run as they stand, on the CPU, small, with random weights."""

import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from iclora import adapters, media
from iclora.checkpoints import hub, load, official_parts
from iclora.cli import app
from tests.checkpoints.test_convert import save_single, small_arguments
from tests.micro import random_layers

PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text()
ADAPTER = "ltx-2.3-22b-ic-lora-union-control-ref0.5.safetensors"
COMMIT = "0" * 40


@pytest.fixture
def folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    released_models: dict[str, Path],
    film_path: Path,
) -> Path:
    """A folder with a film and an adapter, beside a hub's cache that holds the model."""
    repository = tmp_path / "cache" / "models--diffusers--LTX-2.3-Distilled-Diffusers"
    shutil.copytree(released_models["2.3"], repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "hf_hub_download", lambda repository, name: name)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(film_path, work / "in.mp4")
    adapters.write(work / ADAPTER, random_layers(released_models["2.3"]), {"reference_downscale_factor": "2"})
    parts = load(released_models["2.3"])
    save_single(work / "ltx-2.3-22b-distilled.safetensors", parts)
    monkeypatch.setitem(official_parts.ARGUMENTS, "2.3", small_arguments(parts))
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(released_models["2.3"] / part, work / "gemma-3-12b", dirs_exist_ok=True)
    monkeypatch.chdir(work)
    return work


def run(command: str) -> str:
    """Run a command of the page on the CPU, at 64x64 and 9 frames."""
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)][1:]
    words = ["cpu" if word == "cuda" else word for word in words]
    # Compiling takes a minute, and these models are too narrow to be rounded: tests/pipeline/test_loading.py.
    words = [word for word in words if word not in ("--compile", "--fp8")]
    if words[0] in ("generate", "plan"):
        words += ["--size", "64x64", "--frames", "9"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"{command}\n{done.output}"
    return done.output


def test_the_commands(folder: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    commands = [line for line in commands if not line.startswith("torchrun ")]  # tests/cli/test_together.py
    assert len(commands) == 9
    said = [run(command) for command in commands]
    assert COMMIT in said[0]
    assert (
        "8 steps, guidance 1" in said[1] and "sound     9 tokens beside the video, in the result" in said[1]
    )
    made = media.read("out.mp4", audio=True)
    assert made.frames.shape == (9, 64, 64, 3) and made.audio is not None and made.audio.sample_rate == 48000
    assert "references at" not in said[3] and "32x32" in said[3]
    assert media.read("followed.mp4").num_frames == 9
    assert media.read("silent.mp4", audio=True).audio is None
    assert "LTX-2.3 distilled, 8 steps" in said[5]
    assert media.read("from_file.mp4", audio=True).audio is not None


def test_the_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = code.replace('"cuda"', '"cpu"').replace("seed=1", "seed=1, size=(64, 64), num_frames=9")
    exec(compile(code, "models.md", "exec"), {})
    assert media.read("sung.mp4", audio=True).audio is not None


def test_keeping_and_leaving_out_the_sound_contradict_each_other(folder: Path) -> None:
    words = ["--control", "canny=in.mp4", "--keep-audio", "--no-audio", "-o", "out.mp4"]
    done = CliRunner().invoke(app, ["generate", "--prompt", "a ball", *words])
    assert done.exit_code == 1 and "say one of them" in done.output
    assert not (folder / "out.mp4").exists()
