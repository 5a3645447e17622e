"""Model folders."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from iclora.checkpoints import find, load, read_recipe
from iclora.checkpoints.folder import TINY
from iclora.errors import ModelError
from toyworld.architecture import save_random


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "micro"
    save_random(folder, micro=True)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "model")
    return tmp_path / "model"


def test_load(folder: Path) -> None:
    told: list[str] = []
    parts = load(folder, progress=told.append)
    assert told == ["transformer", "vae", "connectors", "text_encoder"]
    modules = (parts.transformer, parts.vae, parts.connectors, parts.text_encoder)
    for module in modules:
        assert module.dtype == torch.float32 and not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())
    on_disk = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(parts.transformer.proj_in.weight, on_disk["proj_in.weight"])
    assert parts.recipe == read_recipe(folder)
    assert parts.path == folder
    assert parts.tokenizer("a red ball").input_ids


def test_half_precision_on_disk_and_in_memory(folder: Path) -> None:
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    state = {name: value.half() for name, value in load_file(path).items()}
    save_file(state, path, metadata={"format": "pt"})
    assert load(folder).transformer.dtype == torch.float32
    parts = load(folder, dtype=torch.bfloat16)
    assert {parts.transformer.dtype, parts.vae.dtype, parts.text_encoder.dtype} == {torch.bfloat16}


def test_recipe(folder: Path) -> None:
    recipe = read_recipe(folder)
    assert (recipe.name, recipe.width, recipe.num_frames, recipe.has_audio) == ("micro", 64, 9, False)
    assert recipe.sigmas[0] == 1 and recipe.sigmas[-1] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not a readable recipe"), ("[]", "is not a readable recipe"), ("{}", "does not say 'name'")],
)
def test_damaged_recipes(folder: Path, content: str, message: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_recipe(folder)


def test_recipe_values_are_checked(folder: Path) -> None:
    notes = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(notes | {"fps": "fast"}))
    with pytest.raises(ModelError, match="is not a readable recipe .*'fast'"):
        read_recipe(folder)
    with pytest.raises(ModelError, match="model.json cannot be read"):
        read_recipe(folder / "none")


def test_find(folder: Path, tmp_path: Path) -> None:
    assert find(folder) == find(str(folder)) == folder
    with pytest.raises(
        ModelError, match=r"There is no model 'nowhere': nowhere is not a folder. Give 'tiny'"
    ):
        find("nowhere")
    with pytest.raises(ModelError, match="it has no model.json and no model_index.json"):
        find(tmp_path)
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(ModelError, match="is a single file, .* iclora models convert .*a.safetensors"):
        find(tmp_path / "a.safetensors")


def test_tiny_is_inside_the_package() -> None:
    assert TINY.parts[-2:] == ("iclora", "tiny")


@pytest.mark.parametrize("part", ["transformer", "vae", "connectors", "text_encoder", "tokenizer"])
def test_missing_parts_are_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)
    with pytest.raises(ModelError, match=f"The model's part '{part}' is missing"):
        load(folder)


@pytest.mark.parametrize("part", ["transformer", "vae", "connectors", "text_encoder"])
def test_damaged_parts_are_named(folder: Path, part: str) -> None:
    (weights,) = (folder / part).glob("*.safetensors")
    weights.write_bytes(b"not weights")
    with pytest.raises(ModelError, match=f"part in .*{part} cannot be loaded"):
        load(folder)


@pytest.mark.parametrize("part", ["transformer", "text_encoder"])
def test_weights_that_do_not_fit_are_named(folder: Path, part: str) -> None:
    (weights,) = (folder / part).glob("*.safetensors")
    state = load_file(weights)
    gone = sorted(state)[0]
    del state[gone]
    save_file(state | {"odd": torch.zeros(1)}, weights, metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=rf"{part} do not fit their config: 1 missing keys .*1 unexpected keys"
    ):
        load(folder)


def test_a_damaged_tokenizer_is_named(folder: Path) -> None:
    for path in (folder / "tokenizer").iterdir():
        path.write_text("{")
    with pytest.raises(ModelError, match="The tokenizer in .* cannot be loaded"):
        load(folder)


def test_parts_may_be_left_out(folder: Path) -> None:
    shutil.rmtree(folder / "transformer")
    components = load(folder, without=("transformer", "text_encoder"))
    assert components.transformer is None and components.text_encoder is None
    assert components.vae is not None and components.connectors is not None
