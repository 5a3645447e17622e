"""Official single files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from iclora.adapters import official_name
from iclora.checkpoints import load_transformer
from iclora.errors import ModelError
from tests.small_models import transformer


def config_of(model: Any) -> dict[str, Any]:
    """Describe a small model in the words of the official config."""
    same = ("in_channels", "out_channels", "num_layers", "num_attention_heads", "attention_head_dim")
    audio = [f"audio_{name}" for name in same if name != "num_layers"]
    others = ("cross_attention_dim", "audio_cross_attention_dim", "caption_channels", "rope_type")
    return {name: model.config[name] for name in (*same, *audio, *others)} | {
        "frequencies_precision": "float64",
        "av_ca_timestep_scale_multiplier": 1000,
        "positional_embedding_max_pos": [20, 2048, 2048],
        "audio_positional_embedding_max_pos": [20],
    }


def saved(folder: Path, model: Any, **changes: Any) -> Path:
    state = {
        f"model.diffusion_model.{official_name(name)}": value.clone()
        for name, value in model.state_dict().items()
    }
    state["model.diffusion_model.video_embeddings_connector.learnable_registers"] = torch.zeros(1)
    state["vae.encoder.conv_in.weight"] = torch.zeros(1)
    metadata = {"config": json.dumps({"transformer": config_of(model) | changes})}
    save_file(state, folder / "model.safetensors", metadata=metadata)
    return folder / "model.safetensors"


@pytest.mark.parametrize("form", ["2.0", "2.3", "2.5"])
def test_all_forms_load(tmp_path: Path, form: str) -> None:
    model = transformer(form)
    loaded = load_transformer(saved(tmp_path, model), dtype=torch.float32)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    told = {name: value for name, value in model.config.items() if not name.startswith("_")}
    assert {name: loaded.config[name] for name in told} == told
    assert not loaded.training


def test_weights_take_the_type_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, transformer().half())
    assert load_transformer(path, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert load_transformer(path, dtype=torch.float32).dtype == torch.float32


def test_a_missing_multiplier_is_1(tmp_path: Path) -> None:
    path = saved(tmp_path, transformer())
    config = config_of(transformer())
    del config["av_ca_timestep_scale_multiplier"]
    save_file(load_file(path), path, metadata={"config": json.dumps({"transformer": config})})
    assert load_transformer(path).config.cross_attn_timestep_scale_multiplier == 1


def test_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    model = transformer()
    del model.proj_out.bias
    model.register_parameter("odd", torch.nn.Parameter(torch.zeros(1)))
    message = r"1 keys missing \(proj_out.bias\); 1 keys unknown \(odd\); 0 keys of another shape"
    with pytest.raises(ModelError, match=message):
        load_transformer(saved(tmp_path, model))
    with pytest.raises(ModelError, match=r"of another shape \(proj_in.weight\)"):
        load_transformer(saved(tmp_path, transformer(), in_channels=5))


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(ModelError, match="There is no checkpoint at"):
        load_transformer(path)
    path.write_bytes(b"not weights")
    with pytest.raises(ModelError, match="is not a readable .safetensors file"):
        load_transformer(path)
    weights = {"w": torch.zeros(1)}
    for metadata, message in [
        ({}, "has no 'config' in its metadata"),
        ({"config": "{"}, "is not JSON"),
        ({"config": "{}"}, "has no 'transformer' part"),
        ({"config": '{"transformer": {}}'}, "holds no key that starts with 'model.diffusion_model.'"),
    ]:
        save_file(weights, path, metadata=metadata or None)
        with pytest.raises(ModelError, match=message):
            load_transformer(path)
