"""Several processes that make one video: it is that of one, and one alone talks and writes."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import media
from iclora.cli import app
from iclora.cli.together import is_first, num_processes, own_device
from iclora.errors import RequestError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text()


def small(words: list[str], model: Path, output: Path) -> list[str]:
    """The words of the page on the CPU, at 64x64 and 17 frames, with a small model."""
    changed = {"cuda": "cpu", "diffusers/LTX-2.3-Distilled-Diffusers": str(model), "shared.mp4": str(output)}
    return [changed.get(word, word) for word in words] + ["--size", "64x64", "--frames", "17"]


def test_the_command_of_the_page(released_models: dict[str, Path], film_path: Path, tmp_path: Path) -> None:
    (line,) = re.findall(r"^torchrun .*$", PAGE, re.MULTILINE)
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
    start = words.index("-m")
    assert words[:start] == ["torchrun", "--nproc-per-node", "2"]
    followed = ["--reference", f"{film_path},attention=0.5"]
    ours = small(words[start + 2 :], released_models["2.3"], tmp_path / "shared") + followed
    launched = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        *words[1:start],
        "-m",
        "iclora",
    ]
    done = subprocess.run([*launched, *ours], cwd=ROOT / "src", capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^sound     ", done.stderr, re.MULTILINE)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared", "shared.json"]
    alone = small(words[start + 2 :], released_models["2.3"], tmp_path / "alone") + followed
    assert CliRunner().invoke(app, alone).exit_code == 0
    one, two = (media.read(tmp_path / name).frames.astype(int) for name in ("alone", "shared"))
    assert np.abs(one - two).max() <= 1 and one.std() > 10


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be one of three processes, as far as the variables tell."""
    for name, value in {
        "WORLD_SIZE": "3",
        "RANK": "0",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "localhost",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("several")
def test_a_number_that_does_not_divide_the_heads(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["generate", "--model", str(micro_model), "--prompt", "a ball", "-o", str(tmp_path / "out.mp4")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "A model of 2 heads cannot be shared by 3 GPUs" in done.stderr
    monkeypatch.setenv("RANK", "2")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and done.output == ""
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("several")
def test_each_process_has_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (num_processes(), is_first(), own_device("cuda"), own_device("cpu")) == (3, False, "cuda:1", "cpu")
    with pytest.raises(RequestError, match="3 processes cannot share cuda:0: say --device cuda, and"):
        own_device("cuda:0")


def test_one_process_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # of something else: nobody said where to meet
    assert (num_processes(), is_first(), own_device("cuda")) == (1, True, "cuda")
