"""The audio stream and the sound it becomes: equal to diffusers' own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import LTX2Pipeline

from iclora import checkpoints
from iclora.pipeline.sound import audio_target, decode_sound


@pytest.fixture(scope="module", params=["2.3", "2.0"])
def parts(released_models: dict[str, Path], request: pytest.FixtureRequest) -> checkpoints.Components:
    return checkpoints.load(released_models[request.param])


def test_positions_are_those_of_diffusers(parts: checkpoints.Components) -> None:
    sequence = audio_target(parts.transformer, 9)
    theirs = parts.transformer.audio_rope.prepare_audio_coords(1, 9, torch.device("cpu"))
    assert torch.equal(sequence.positions, theirs)
    assert sequence.clean.shape == (1, 9, 4) and sequence.num_target == 9
    assert not sequence.clean.any() and bool((sequence.mask == 1).all())


def test_sound_is_that_of_diffusers(parts: checkpoints.Components) -> None:
    tokens = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        sound = decode_sound(parts.audio_vae, parts.vocoder, tokens)
        mean, deviation = parts.audio_vae.latents_mean, parts.audio_vae.latents_std
        latents = LTX2Pipeline._denormalize_audio_latents(tokens, mean, deviation)
        latents = LTX2Pipeline._unpack_audio_latents(latents, 9, num_mel_bins=2)
        (theirs,) = parts.vocoder(parts.audio_vae.decode(latents, return_dict=False)[0])
    assert sound.sample_rate == parts.vocoder.config.output_sampling_rate
    assert sound.samples.dtype == np.float32 and sound.samples.shape[0] == 2
    np.testing.assert_allclose(sound.samples, theirs.numpy(), rtol=0, atol=1e-6)
    # 33 mel frames, as the autoencoder is causal, of 10 samples at 16 kHz
    assert sound.duration_seconds == pytest.approx(330 / 16000)
