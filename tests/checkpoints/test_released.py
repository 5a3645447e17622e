"""Folders of released models: what their configs say, and loading every part."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma3TextModel, Gemma4UnifiedTextModel

from iclora.checkpoints import find, load, read_recipe
from iclora.errors import ModelError


@pytest.fixture
def folder(released_models: dict[str, Path], tmp_path: Path) -> Path:
    shutil.copytree(released_models["2.3"], tmp_path / "model")
    return tmp_path / "model"


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_recipe_of_a_distilled_model(released_models: dict[str, Path]) -> None:
    recipe = read_recipe(released_models["2.3"])
    assert (recipe.name, recipe.base) == ("LTX-2.3 distilled", "ltx-2.3")
    assert (recipe.width, recipe.height, recipe.num_frames, recipe.fps) == (768, 512, 121, 24.0)
    assert (recipe.max_prompt_tokens, recipe.has_audio, recipe.audio_latents_per_second) == (1024, True, 25)
    assert len(recipe.sigmas) == 9 and recipe.guidance_scale == 1
    assert "taken for a distilled model" in recipe.remark
    assert (recipe.dtype_on("cpu"), recipe.dtype_on("cuda:1")) == (torch.float32, torch.bfloat16)


def test_recipe_of_a_dev_model(released_models: dict[str, Path]) -> None:
    recipe = read_recipe(released_models["2.0"])
    assert (recipe.name, recipe.base) == ("LTX-2.0 dev", "ltx-2.0")
    assert len(recipe.sigmas) == 41 and recipe.guidance_scale == 3
    assert "taken for a dev model" in recipe.remark


def test_without_a_scheduler_a_model_is_distilled(folder: Path) -> None:
    shutil.rmtree(folder / "scheduler")
    recipe = read_recipe(folder)
    assert len(recipe.sigmas) == 9 and "as if it were" in recipe.remark


def test_the_newest_form_wants_the_newest_text_encoder(
    released_models: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(released_models["2.5"], tmp_path / "model")
    assert isinstance(load(folder).text_encoder, Gemma4UnifiedTextModel)
    recipe = read_recipe(folder)
    assert (recipe.name, recipe.base, len(recipe.sigmas)) == ("LTX-2.5 distilled", "ltx-2.5", 9)
    change(folder / "text_encoder" / "config.json", model_type="gemma3")
    with pytest.raises(ModelError, match=r"is a gemma3; LTX-2.5 uses Gemma 4 \(unified\)"):
        load(folder)


@pytest.mark.parametrize("form", ["2.3", "2.0"])
def test_every_part_is_loaded_in_the_dtype_that_is_asked(released_models: dict[str, Path], form: str) -> None:
    told: list[str] = []
    parts = load(released_models[form], dtype=torch.bfloat16, progress=told.append)
    assert told == ["transformer", "vae", "connectors", "text_encoder", "audio_vae", "vocoder"]
    dtypes = [getattr(parts, name).dtype for name in told]
    assert dtypes == [torch.bfloat16] * 5 + [torch.float32]
    assert isinstance(parts.text_encoder, Gemma3TextModel)
    assert type(parts.vocoder).__name__ == ("LTX2VocoderWithBWE" if form == "2.3" else "LTX2Vocoder")
    assert find(released_models[form]) == parts.path == released_models[form]


def test_a_tokenizer_without_padding_pads_with_its_end(folder: Path) -> None:
    change(folder / "tokenizer" / "tokenizer_config.json", pad_token=None)
    tokenizer = load(folder).tokenizer
    assert tokenizer.pad_token is not None


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("model_index.json", {"_class_name": "LTXPipeline"}, "holds a LTXPipeline, not an LTX-2 pipeline"),
        ("text_encoder/config.json", {"model_type": "gemma4_unified"}, "LTX-2 and LTX-2.3 use Gemma 3"),
        ("audio_vae/config.json", {"mel_hop_length": 0}, "16000 and 0 samples a mel frame"),
        ("text_encoder/config.json", {"model_type": "t5"}, "is a t5; LTX-2 and LTX-2.3 use Gemma 3"),
    ],
)
def test_models_of_another_kind_are_refused(
    folder: Path, file: str, values: dict[str, Any], message: str
) -> None:
    change(folder / file, **values)
    with pytest.raises(ModelError, match=message):
        load(folder)


@pytest.mark.parametrize("part", ["transformer", "audio_vae"])
def test_missing_configs_are_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)
    with pytest.raises(ModelError, match=rf"{part}/config.json cannot be read"):
        read_recipe(folder)


@pytest.mark.parametrize("part", ["vocoder", "vae", "text_encoder", "tokenizer"])
def test_missing_parts_are_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)
    with pytest.raises(ModelError, match=f"The model's part '{part}' is missing"):
        load(folder)


@pytest.mark.parametrize(("content", "message"), [("{", "is not JSON"), ("[]", "holds no settings")])
def test_damaged_configs_are_named(folder: Path, content: str, message: str) -> None:
    (folder / "scheduler" / "scheduler_config.json").write_text(content)
    with pytest.raises(ModelError, match=f"scheduler_config.json {message}"):
        read_recipe(folder)
