"""Prompts, frames and latents: what goes into the transformer's room and what comes out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from iclora import checkpoints, sampling
from iclora.errors import RequestError


def encode_prompt(components: checkpoints.Components, *prompts: str) -> sampling.Prompt:
    """Turn prompts into what the transformer attends to.

    Args:
        components: The parts of the model.
        *prompts: Any texts within the model's limit.

    Returns:
        Contexts `b t d` of both streams and the mask of their valid tokens, None where all are.
    """
    tokens = tokenise(components, *prompts)
    return encode_tokens(components, tokens.to(components.text_encoder.device))


def tokenise(components: checkpoints.Components, *prompts: str) -> Int[Tensor, "b 2 t"]:
    """Turn prompts into numbers.

    Args:
        components: The parts of the model.
        *prompts: Any texts within the model's limit; each is padded to that on the left.

    Returns:
        The numbers of the tokens, and 1 where one counts, on the CPU.
    """
    tokens = components.tokenizer(
        [_begun(components, prompt.strip()) for prompt in prompts],
        padding="max_length",
        max_length=components.recipe.max_prompt_tokens,
        padding_side="left",
        return_tensors="pt",
    )
    return torch.stack([tokens.input_ids, tokens.attention_mask], dim=1)


def _begun(components: checkpoints.Components, prompt: str) -> str:
    """Let a prompt of LTX-2.5 begin with the token that Gemma 4 expects first and its tokenizer leaves out.

    Source: Lightricks LTX-2, ``ltx_core``: ``text_encoders/gemma/tokenizer.py``.
    """
    tokenizer = components.tokenizer
    if components.recipe.base != "ltx-2.5" or tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]:
        return prompt
    return f"{tokenizer.bos_token}{prompt}"


def encode_tokens(components: checkpoints.Components, tokens: Int[Tensor, "b 2 t"]) -> sampling.Prompt:
    """Turn tokens into what the transformer attends to.

    The hidden states of all layers of the text encoder go through the connectors, which put learned tokens
    where a prompt is shorter than the model's limit.

    Args:
        components: The parts of the model.
        tokens: From `tokenise`, on the text encoder's device.

    Returns:
        Contexts `b t d` of both streams and the mask of their valid tokens, None where all are.
    """
    numbers, counts = tokens.unbind(dim=1)
    hidden = components.text_encoder(
        input_ids=numbers, attention_mask=counts, output_hidden_states=True
    ).hidden_states
    video, audio, mask = components.connectors(
        torch.stack(hidden, dim=-1).flatten(2, 3).to(components.connectors.dtype),
        counts,
        padding_side="left",
    )
    # Learned tokens leave none that does not count; only without them are the values read, which waits.
    learned = components.connectors.config.video_connector_num_learnable_registers
    whole = bool(learned) or bool(mask.all())
    return sampling.Prompt(video=video, audio=audio, mask=None if whole else mask.bool())


def encode_features(
    components: checkpoints.Components,
    video: Float[Tensor, "b t c_v"],
    audio: Float[Tensor, "b t c_a"] | None,
    counts: Bool[Tensor, "b t"],
) -> sampling.Prompt:
    """Turn projected hidden states into what the transformer attends to: `encode_tokens` from half-way on.

    Args:
        components: The parts of the model.
        video: Hidden states of the text encoder after the projection for the video stream.
        audio: Those for the audio stream; None where both streams have one projection.
        counts: True where a token counts; padding is on the left.

    Returns:
        Contexts `b t d` of both streams and the mask of their valid tokens, None where all are.
    """
    connectors = components.connectors
    where = {"device": connectors.device, "dtype": connectors.dtype}
    counts = counts.to(connectors.device)
    hidden = (counts.to(connectors.dtype) - 1)[:, None, None] * torch.finfo(connectors.dtype).max
    context, left = connectors.video_connector(video.to(**where), hidden)
    heard, _ = connectors.audio_connector((video if audio is None else audio).to(**where), hidden)
    valid = left[:, 0, 0] >= 0
    whole = bool(valid.all())
    return sampling.Prompt(video=context * valid[..., None], audio=heard, mask=None if whole else valid)


def encode_frames(vae: Any, *clips: UInt8[np.ndarray, "f_px h_px w_px 3"]) -> Float[Tensor, "b c f h w"]:
    """Encode frames to normalised latents.

    Args:
        vae: The video autoencoder.
        *clips: RGB 0..255, `f h w 3` each, of one size and count, which it takes.

    Returns:
        Latents of all clips, with mean 0 in each channel.
    """
    pixels = rearrange(torch.from_numpy(np.stack(clips)).to(vae.device), "b f h w c -> b c f h w")
    latent = vae.encode(pixels.to(vae.dtype) / 127.5 - 1).latent_dist.mode()
    mean, deviation = _statistics(vae)
    normalised: Tensor = (latent - mean) * vae.config.scaling_factor / deviation
    return normalised


def decode_frames(vae: Any, latent: Float[Tensor, "1 c f h w"]) -> UInt8[np.ndarray, "f_px h_px w_px 3"]:
    """Undo `encode_frames`.

    Args:
        vae: The video autoencoder.
        latent: Normalised latents.

    Returns:
        RGB 0..255, `f h w 3`, uint8.

    Raises:
        RequestError: The latents are not finite.
    """
    if not bool(latent.isfinite().all()):
        raise RequestError(
            "The model made values that are not finite, which would be a black picture. "
            "Lower the weights of the adapters, or leave one out to find which it is."
        )
    levels = ((pixels_of(vae, latent) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.asarray(rearrange(levels.cpu(), "1 c f h w -> f h w c"))


def pixels_of(vae: Any, latent: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b 3 f_px h_px w_px"]:
    """Decode latents, differentiable.

    Args:
        vae: The video autoencoder.
        latent: Normalised latents.

    Returns:
        RGB, about -1..1, float32.
    """
    mean, deviation = _statistics(vae)
    latent = latent.to(vae.dtype) * deviation / vae.config.scaling_factor + mean
    pixels: Tensor = vae.decode(latent, return_dict=False)[0].float()
    return pixels


def _statistics(vae: Any) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each latent channel, `1 c 1 1 1`."""
    mean, deviation = (rearrange(values, "c -> 1 c 1 1 1") for values in (vae.latents_mean, vae.latents_std))
    return mean.to(vae.device, vae.dtype), deviation.to(vae.device, vae.dtype)
