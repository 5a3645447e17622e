"""cli: models list."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import adapters
from iclora.checkpoints import folder
from iclora.cli import app
from tests.micro import adapter_metadata, random_layers


def listed() -> str:
    result = CliRunner().invoke(app, ["models", "list"])
    assert result.exit_code == 0
    return result.stdout


def test_the_embedded_model_and_its_adapters(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "TINY", shutil.copytree(micro_model, tmp_path / "tiny"))
    metadata = adapter_metadata() | {"iclora.control": "", "iclora.trigger": "risograph"}
    adapters.write(tmp_path / "tiny" / "adapters" / "inks.safetensors", random_layers(micro_model), metadata)
    shown = listed()
    style = "adapter inks: a style, follows no control, begin prompts with 'risograph', rank 2, 0.0 MiB"
    assert style in shown
    assert "64x64, 9 frames at 16 per second, 8 steps, without audio" in shown
    assert "adapter canny: follows canny, rank 2, references at 1/2 of the size, 0.0 MiB" in shown
    assert "MiB, licence Apache-2.0" in shown


def test_a_model_that_is_not_in_the_tree_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "TINY", tmp_path / "none")
    assert "tiny  not here: There is no model 'tiny'" in listed()
