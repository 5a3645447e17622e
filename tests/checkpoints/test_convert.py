"""Official single files to folders: a small model written under official names comes back as it was."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from iclora.adapters import official_name
from iclora.checkpoints import Components, convert, load, official_parts
from iclora.cli import app
from iclora.errors import ModelError, OutputError
from tests.checkpoints.test_official import config_of

INNER = "model.diffusion_model."
RENAMED = {
    "connectors": [
        ("video_connector.", INNER + "video_embeddings_connector."),
        ("audio_connector.", INNER + "audio_embeddings_connector."),
        ("transformer_blocks.", "transformer_1d_blocks."),
        ("video_text_proj_in.", "text_embedding_projection.video_aggregate_embed."),
        ("audio_text_proj_in.", "text_embedding_projection.audio_aggregate_embed."),
        ("^text_proj_in.", "text_embedding_projection.aggregate_embed."),
        (r"norm_([qk])\.", r"\1_norm."),
    ],
    "vae": [
        ("^", "vae."),
        (r"resnets\.", "res_blocks."),
        ("^vae.latents_mean", "vae.per_channel_statistics.mean-of-means"),
        ("^vae.latents_std", "vae.per_channel_statistics.std-of-means"),
    ],
    "audio_vae": [
        ("latents_mean", "per_channel_statistics.mean-of-means"),
        ("latents_std", "per_channel_statistics.std-of-means"),
        ("^", "audio_vae."),
    ],
    "vocoder": [
        (r"upsamplers\.", "ups."),
        (r"resnets\.", "resblocks."),
        ("conv_in", "conv_pre"),
        ("conv_out", "conv_post"),
        ("act_out", "act_post"),
        (r"downsample\.filter", "downsample.lowpass.filter"),
        ("^", "vocoder."),
    ],
}


def official_block(match: re.Match[str]) -> str:
    """Number a block of the small autoencoder, of three blocks a side, as the official list does."""
    side, number, sampler = match["side"], match["number"], match["sampler"]
    if number is None:
        return "encoder.down_blocks.6" if side == "encoder" else "decoder.up_blocks.0"
    if side == "encoder":
        return f"encoder.down_blocks.{2 * int(number) + (1 if sampler else 0)}"
    return f"decoder.up_blocks.{2 * int(number) + (1 if sampler else 2)}"


BLOCK = re.compile(
    r"(?P<side>encoder|decoder)\.(?:mid_block|(?:down|up)_blocks\.(?P<number>\d+)(?P<sampler>\.\w+samplers\.0)?)"
)


def official_state(part: str, module: nn.Module) -> dict[str, torch.Tensor]:
    state = {}
    for name, value in module.state_dict().items():
        if part == "vae":
            name = BLOCK.sub(official_block, name)
        for pattern, replacement in RENAMED[part]:
            name = re.sub(pattern, replacement, name)
        state[name] = value.clone()
    return state


def small_arguments(parts: Components) -> dict[str, tuple[Any, dict[str, Any]]]:
    """What stands for a form in `ARGUMENTS`, at the sizes of a small model."""
    modules = {part: getattr(parts, part) for part in official_parts.PARTS}
    return {part: (type(module), dict(module.config)) for part, module in modules.items()}


def save_single(path: Path, parts: Components) -> Path:
    """Write a small model as an official single file."""
    state = {
        INNER + official_name(name): value.clone() for name, value in parts.transformer.state_dict().items()
    }
    for part in official_parts.PARTS:
        state |= official_state(part, getattr(parts, part))
    state["vae.per_channel_statistics.channel"] = torch.zeros(1)
    save_file(state, path, metadata={"config": json.dumps({"transformer": config_of(parts.transformer)})})
    return path


@pytest.fixture(params=["2.3", "2.0"])
def parts(
    released_models: dict[str, Path], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Components:
    """A small model; its sizes stand where those of the released ones are."""
    parts = load(released_models[request.param])
    monkeypatch.setitem(official_parts.ARGUMENTS, request.param, small_arguments(parts))
    return parts


@pytest.fixture
def file(parts: Components, tmp_path: Path) -> Path:
    return save_single(tmp_path / "ltx-2.x-distilled.safetensors", parts)


def test_every_part_comes_back(parts: Components, file: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    folder = convert(
        file,
        parts.path / "text_encoder",
        tmp_path / "new" / "model",
        dtype=torch.float32,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 5) for done in range(6)]
    again = load(folder)
    for name in ("transformer", *official_parts.PARTS, "text_encoder"):
        one, other = getattr(parts, name), getattr(again, name)
        assert type(one) is type(other)
        assert one.state_dict().keys() == other.state_dict().keys()
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())
    assert again.recipe.sigmas == official_sigmas() and again.recipe.base == parts.recipe.base
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def official_sigmas() -> tuple[float, ...]:
    return (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0)


def test_the_command(parts: Components, file: Path, tmp_path: Path) -> None:
    dev = file.rename(file.with_name("ltx-2.x-dev.safetensors"))
    words = ["models", "convert", str(dev), "--text-encoder", str(parts.path / "text_encoder")]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "model")])
    assert done.exit_code == 0, done.output
    assert f"{parts.recipe.name.split()[0]} dev, " in done.output
    weights = load_file(tmp_path / "model" / "vae" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    again = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "model")])
    assert again.exit_code == 1 and "exists; choose another name" in again.output


@pytest.mark.parametrize("part", official_parts.PARTS)
def test_a_file_without_a_part(parts: Components, file: Path, tmp_path: Path, part: str) -> None:
    state = load_file(file)
    left = {
        name: value
        for name, value in state.items()
        if (official_parts.part_name(name) or ("", ""))[0] != part
    }
    config = json.dumps({"transformer": config_of(parts.transformer)})
    save_file(left, file, metadata={"config": config})
    with pytest.raises(ModelError, match=rf"holds no {part}. Download the whole checkpoint, .* models fetch"):
        convert(file, parts.path / "text_encoder", tmp_path / "model")
    assert not (tmp_path / "model").exists() and list(tmp_path.iterdir()) == [file]


def test_keys_that_do_not_fit_are_named(parts: Components, file: Path, tmp_path: Path) -> None:
    state = load_file(file) | {"vae.decoder.odd": torch.zeros(1)}
    save_file(state, file, metadata={"config": json.dumps({"transformer": config_of(parts.transformer)})})
    with pytest.raises(
        ModelError, match=r"does not fit AutoencoderKLLTX2Video: .* 1 keys unknown \(decoder.odd\)"
    ):
        convert(file, parts.path / "text_encoder", tmp_path / "model")


def test_the_newest_form_is_refused_before_any_work(released_models: dict[str, Path], tmp_path: Path) -> None:
    file = save_single(tmp_path / "ltx-2.5.safetensors", load(released_models["2.5"]))
    with pytest.raises(
        ModelError, match=r"is of LTX-2.5, .* iclora models fetch Lightricks/LTX-2.5-Diffusers"
    ):
        convert(file, tmp_path / "none", tmp_path / "model")


def test_text_encoders_are_looked_at_first(released_models: dict[str, Path], tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    config: dict[str, Any] = {"model_type": "gemma4"}
    (encoder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="holds a gemma4; give a folder of Gemma 3 12B"):
        convert(tmp_path / "none", encoder, tmp_path / "model")
    shutil.copy(released_models["2.3"] / "text_encoder" / "config.json", encoder / "config.json")
    with pytest.raises(ModelError, match="There is no tokenizer in .*encoder nor beside it"):
        convert(tmp_path / "none", encoder, tmp_path / "model")


def test_a_place_that_cannot_be_written(released_models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written .*choose another place"):
        convert(tmp_path / "none", released_models["2.3"] / "text_encoder", tmp_path / "file" / "model")
