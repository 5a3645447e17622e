"""The audio stream that released models run beside the video, and the sound it becomes.

noise ─► sampled beside the video ─► audio tokens ─► audio autoencoder ─► mel spectrogram ─► vocoder ─► Audio
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from iclora import geometry
from iclora.clip import Audio
from iclora.reference import TokenSequence, audio_sequence


def audio_target(transformer: Any, num_tokens: int) -> TokenSequence:
    """Lay out the audio that is made beside a video.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        num_tokens: Audio latents, one token each.

    Returns:
        A sequence of zeros on the transformer's device, in its dtype.
    """
    config = transformer.config
    positions = geometry.audio_positions(
        num_tokens,
        latents_factor=config.audio_scale_factor,
        hop_length=config.audio_hop_length,
        sample_rate=config.audio_sampling_rate,
        causal_offset=config.causal_offset,
    )
    shape = (1, num_tokens, config.audio_in_channels)
    return audio_sequence(torch.zeros(shape, device=transformer.device, dtype=transformer.dtype), positions)


def decode_sound(audio_vae: Any, vocoder: Any, tokens: Float[Tensor, "1 n c"]) -> Audio:
    """Turn clean audio tokens into sound.

    Args:
        audio_vae: A diffusers ``AutoencoderKLLTX2Audio``.
        vocoder: A diffusers ``LTX2Vocoder`` or ``LTX2VocoderWithBWE``.
        tokens: Normalised audio latents; a token holds the rows of all channels of one moment.

    Returns:
        The sound, at the vocoder's rate.

    Source: the layout of a token is that of diffusers' ``LTX2Pipeline``.
    """
    mean, deviation = (
        values.to(audio_vae.device, torch.float32)
        for values in (audio_vae.latents_mean, audio_vae.latents_std)
    )
    latent = rearrange(
        tokens.to(mean.device).float() * deviation + mean,
        "b n (c m) -> b c n m",
        c=audio_vae.config.latent_channels,
    )
    mel = audio_vae.decode(latent.to(audio_vae.dtype), return_dict=False)[0]
    (waves,) = vocoder(mel.to(vocoder.dtype)).float().clamp(-1, 1).cpu()
    return Audio(samples=np.asarray(waves), sample_rate=vocoder.config.output_sampling_rate)
