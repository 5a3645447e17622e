"""The embedded model: its size, its grid, and the folder it is written to."""

from pathlib import Path

import pytest
import torch

from iclora import checkpoints
from iclora.geometry import LatentFactors, factors_of
from toyworld.architecture import (
    MICRO,
    TINY,
    Shape,
    build,
    build_text,
    build_tokenizer,
    build_transformer,
    build_vae,
    save,
)

CAPTIONS = ["a red clay ball rolling", "two figures dancing in the snow", "a neon box, night"]


def test_all_weights_of_tiny_stay_below_36_mib() -> None:
    with torch.device("meta"):
        modules = [build_vae(TINY), build_transformer(TINY), *build_text(TINY)]
    count = sum(tensor.numel() for module in modules for tensor in module.state_dict().values())
    assert 2 * count <= 36 * 2**20


@pytest.mark.parametrize("shape", [TINY, MICRO], ids=["tiny", "micro"])
def test_the_factors_are_those_of_its_layers(shape: Shape) -> None:
    with torch.device("meta"):
        vae = build_vae(shape)
        latents = vae.encode(torch.zeros(1, 3, 17, 32, 48)).latent_dist.mode()
        pixels = vae.decode(latents).sample
    assert factors_of(vae) == LatentFactors(time=8, height=16, width=16)
    assert latents.shape == (1, shape.latent_channels, 3, 2, 3)
    assert pixels.shape == (1, 3, 17, 32, 48)


def test_the_encoder_is_causal() -> None:
    torch.manual_seed(0)
    vae = build_vae(MICRO)
    clip = torch.randn(1, 3, 17, 32, 32)
    with torch.inference_mode():
        whole = vae.encode(clip).latent_dist.mode()
        begun = vae.encode(clip[:, :, :9]).latent_dist.mode()
    torch.testing.assert_close(whole[:, :, :2], begun)


@pytest.mark.parametrize("text", [*CAPTIONS, "A Red BALL; über 雪 on 12.5% 🙂"])
def test_any_text_comes_back_from_its_tokens_in_lower_case(text: str) -> None:
    tokenizer = build_tokenizer(CAPTIONS, MICRO)
    tokens = tokenizer(text).input_ids
    assert tokens[0] == tokenizer.bos_token_id
    assert max(tokens) < MICRO.vocabulary
    assert tokenizer.decode(tokens, skip_special_tokens=True).strip() == text.lower()


def test_words_of_the_captions_are_one_token_each() -> None:
    tokenizer = build_tokenizer(CAPTIONS * 3, TINY)
    assert len(tokenizer("a red clay ball").input_ids) == 1 + 4
    assert len(tokenizer("zyx").input_ids) > 1 + 1


def test_short_prompts_are_filled_up_on_the_left() -> None:
    tokenizer = build_tokenizer(CAPTIONS, MICRO)
    padded = tokenizer(["a ball"], padding="max_length", max_length=8).input_ids[0]
    assert padded[0] == tokenizer.pad_token_id and padded[-1] != tokenizer.pad_token_id


def test_a_saved_model_is_loaded_as_it_was(tmp_path: Path) -> None:
    built = build(CAPTIONS, MICRO, seed=3)
    save(built, tmp_path / "model", MICRO, dtype=torch.float32)
    loaded = checkpoints.load(tmp_path / "model")
    assert loaded.recipe == built.recipe
    for name in ("transformer", "vae", "connectors", "text_encoder"):
        before, after = getattr(built, name).state_dict(), getattr(loaded, name).state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(value, after[key]) for key, value in before.items()), name
    assert loaded.tokenizer(CAPTIONS).input_ids == built.tokenizer(CAPTIONS).input_ids


def test_saving_in_half_precision_leaves_the_model_as_it_is(tmp_path: Path) -> None:
    built = build(CAPTIONS, MICRO)
    save(built, tmp_path / "model", MICRO)
    assert built.transformer.dtype == torch.float32
    loaded = checkpoints.load(tmp_path / "model", dtype=torch.bfloat16)
    assert torch.equal(
        loaded.transformer.proj_in.weight, built.transformer.proj_in.weight.detach().bfloat16()
    )


def test_a_seed_gives_the_same_weights() -> None:
    first, again, other = (build(CAPTIONS, MICRO, seed=seed).transformer.proj_in.weight for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
