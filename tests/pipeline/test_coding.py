"""pipeline.coding: prompts and frames to what the transformer takes, and back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from iclora import checkpoints
from iclora.pipeline import decode_frames, encode_frames, encode_prompt


@pytest.fixture(scope="module")
def components(micro_model: Path) -> checkpoints.Components:
    return checkpoints.load(micro_model)


@torch.inference_mode()
def test_prompt_has_a_context_for_each_stream(components: checkpoints.Components) -> None:
    prompt = encode_prompt(components, " a red ball ")
    assert prompt.video.shape == (1, 16, 16)
    assert prompt.audio is not None and prompt.audio.shape == (1, 16, 8)
    assert prompt.mask is None  # learned tokens stand where the prompt is shorter: all count
    assert torch.equal(prompt.video, encode_prompt(components, "a red ball").video)
    assert not torch.equal(prompt.video, encode_prompt(components, "a blue box").video)


@torch.inference_mode()
def test_frames_become_latents_and_frames_again(components: checkpoints.Components) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 32, 48, 3), np.uint8)
    latent = encode_frames(components.vae, frames)
    assert latent.shape == (1, 8, 2, 2, 3)
    decoded = decode_frames(components.vae, latent)
    assert decoded.shape == frames.shape and decoded.dtype == np.uint8


@torch.inference_mode()
def test_clips_encoded_together_are_those_encoded_alone(components: checkpoints.Components) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (2, 9, 32, 48, 3), np.uint8)
    mirrored = clips[1, :, :, ::-1]  # a view that reads backwards
    together = encode_frames(components.vae, clips[0], mirrored)
    alone = torch.cat([encode_frames(components.vae, clips[0]), encode_frames(components.vae, mirrored)])
    assert together.shape == (2, 8, 2, 2, 3)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=0.1)


@torch.inference_mode()
def test_latents_are_normalised_channel_by_channel(components: checkpoints.Components) -> None:
    """With mean 1 and deviation 2 in channel 0, its latents are (x - 1) / 2, and decoding undoes that."""
    vae = components.vae
    frames = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    plain, decoded = encode_frames(vae, frames), decode_frames(vae, encode_frames(vae, frames))
    mean, deviation = vae.latents_mean.clone(), vae.latents_std.clone()
    try:
        vae.latents_mean[0], vae.latents_std[0] = 1.0, 2.0
        scaled = encode_frames(vae, frames)
        assert torch.allclose(scaled[:, 0], (plain[:, 0] - 1) / 2, atol=1e-6)
        assert torch.equal(scaled[:, 1:], plain[:, 1:])
        assert np.abs(decode_frames(vae, scaled).astype(int) - decoded).max() <= 1
    finally:
        vae.latents_mean.copy_(mean)
        vae.latents_std.copy_(deviation)
