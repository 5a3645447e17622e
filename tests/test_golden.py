"""Parity with figures made by the official implementation, from the folder in `ICLORA_GOLDEN` if set."""

import json
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from iclora import adapters
from iclora.attention import dense_weights, kernels, pair_weights
from iclora.checkpoints import load_transformer
from iclora.geometry import LatentFactors, LatentGrid
from iclora.reference import (
    ReferenceTokens,
    TokenSequence,
    assemble,
    audio_sequence,
    keyframe_tokens,
    mask_to_tokens,
    reference_tokens,
    target_sequence,
)
from iclora.sampling import DISTILLED_SIGMAS, Latents, Prompt, denoiser, sample, start
from iclora.transformer import Stream, velocity

FOLDER = Path(os.environ.get("ICLORA_GOLDEN", Path(__file__).parent / "data" / "golden"))
INDEX: dict[str, Any] = json.loads((FOLDER / "index.json").read_text())
FACTORS = LatentFactors(time=8, height=32, width=32)  # those of the released autoencoders


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case: what was measured, and the same sequence built by us."""

    figures: dict[str, Tensor]
    video: TokenSequence
    audio: TokenSequence
    adapter: str | None
    weight: float


@cache
def figures() -> dict[str, Tensor]:
    return load_file(FOLDER / "cases.safetensors")


def appended(item: dict[str, Any]) -> ReferenceTokens:
    latent = figures()["latent." + item["latent"]]
    common: dict[str, Any] = {"factors": FACTORS, "fps": INDEX["fps"], "strength": item["strength"]}
    attention = item.get("attention", 1.0)
    if item["kind"] == "keyframe":
        tokens = keyframe_tokens(latent, frame=item["frame"], **common)
        weights = None if isinstance(attention, str) else torch.full(tokens.latents.shape[:2], attention)
        tokens = replace(tokens, weights=weights)
    else:
        assert item["kind"] == "reference", item["kind"]
        tokens = reference_tokens(
            latent,
            downscale=item.get("downscale", 1),
            temporal_factor=item.get("temporal_scale", 1),
            attention_strength=1.0 if isinstance(attention, str) else attention,
            **common,
        )
    return replace(tokens, weights=figures()[attention]) if isinstance(attention, str) else tokens


def case(name: str) -> Case:
    entry = INDEX["cases"][name]
    items = entry if isinstance(entry, list) else entry["items"]
    prefix = f"case.{name}."
    measured = {key.removeprefix(prefix): value for key, value in figures().items() if key.startswith(prefix)}
    first: dict[str, Any] = {}
    for item in items:
        if item["kind"] == "first_frame":
            latent = figures()["latent." + item["latent"]]
            first = {"first_frame": latent, "first_frame_strength": item["strength"]}
    clean = torch.zeros(INDEX["latent_shape"])
    target = target_sequence(clean, factors=FACTORS, fps=INDEX["fps"], **first)
    return Case(
        figures=measured,
        video=assemble(target, [appended(item) for item in items if item["kind"] != "first_frame"]),
        audio=audio_sequence(torch.zeros_like(measured["audio_noise"]), measured["audio_positions"][0]),
        adapter=None if isinstance(entry, list) else entry["adapter"],
        weight=0.0 if isinstance(entry, list) else entry["adapter_strength"],
    )


@cache
def model(adapter: str | None, weight: float) -> Any:
    transformer = load_transformer(FOLDER / "checkpoint.safetensors", dtype=torch.float32)
    if adapter is not None:
        adapters.attach(transformer, adapters.read(FOLDER / adapter), weight, "golden")
    return transformer


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.detach() - theirs).norm() / theirs.norm())


def test_schedule() -> None:
    torch.testing.assert_close(
        torch.tensor(INDEX["sigmas"]), torch.tensor(DISTILLED_SIGMAS), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", INDEX["cases"])
def test_sequence_is_exact(name: str) -> None:
    golden = case(name)
    assert torch.equal(golden.video.positions, golden.figures["positions"])
    assert torch.equal(start(golden.video, golden.figures["noise"]), golden.figures["noisy"])
    if "denoise_mask" in golden.figures:
        assert torch.equal(golden.video.mask, golden.figures["denoise_mask"][..., 0])


@pytest.mark.parametrize("name", [key for key in INDEX["cases"] if f"case.{key}.attention_mask" in figures()])
def test_attention_weights_are_exact(name: str) -> None:
    golden = case(name)
    pairs = pair_weights(golden.video)
    assert pairs is not None
    assert torch.equal(dense_weights(pairs), golden.figures["attention_mask"])


@pytest.mark.parametrize("clean_too", [True, False])
@pytest.mark.parametrize("way", ["kernels", "no kernel", "gradients"])
@pytest.mark.parametrize("name", INDEX["cases"])
def test_one_forward(name: str, way: str, monkeypatch: pytest.MonkeyPatch, *, clean_too: bool) -> None:
    """By kernels that tell their sums, as where there are none (MPS), and as in training."""
    if way == "no kernel":
        monkeypatch.setattr(kernels, "kernel_of", lambda *tensors: None)
    golden = case(name)
    transformer = model(golden.adapter, golden.weight)
    sigma = torch.full((INDEX["latent_shape"][0],), 0.725)
    context, audio_context = figures()["video_context"], figures()["audio_context"]
    noisy, noise = golden.figures["noisy"].clone(), golden.figures["audio_noise"]
    noisy.requires_grad_(way == "gradients")
    with torch.inference_mode(way != "gradients"):
        video, audio = velocity(
            transformer,
            Stream(latents=noisy, sequence=golden.video, sigma=sigma, context=context),
            Stream(latents=noise, sequence=golden.audio, sigma=sigma, context=audio_context),
            clean_too=clean_too,
        )
    expected = golden.figures["velocity_at_0.725"]
    if not clean_too:
        moving = golden.video.mask > 0
        moving[:, : golden.video.num_target] = True
        expected = torch.where(moving[..., None], expected, 0)
    assert audio is not None and video.requires_grad == (way == "gradients")
    assert relative_error(video, expected) < 1e-5
    assert relative_error(audio, golden.figures["audio_velocity_at_0.725"]) < 1e-5


@pytest.mark.parametrize("name", INDEX["cases"])
def test_sampled(name: str) -> None:
    golden = case(name)
    prompt = Prompt(video=figures()["video_context"], audio=figures()["audio_context"])
    noisy = Latents(video=start(golden.video, golden.figures["noise"]), audio=golden.figures["audio_noise"])
    denoise = denoiser(model(golden.adapter, golden.weight), prompt, golden.video, golden.audio)
    with torch.inference_mode():
        made = sample(denoise, noisy, golden.video, golden.audio, sigmas=INDEX["sigmas"])
    assert made.audio is not None
    assert relative_error(made.video, golden.figures["sampled"]) < 1e-4
    assert relative_error(made.audio, golden.figures["audio_sampled"]) < 1e-4


def test_pixel_mask() -> None:
    frames, height, width = INDEX["latent_shape"][2:]
    grid = LatentGrid(frames=frames, height=height // 2, width=width // 2)  # of a half-size reference
    tokens = mask_to_tokens(figures()["pixel_mask"][0, 0], grid)
    assert torch.equal(tokens, figures()["pixel_mask.tokens"][0])
