"""Small transformers of the LTX-2 family with random weights."""

from typing import Any

import torch
from diffusers import LTX2VideoTransformer3DModel

from iclora.geometry import LatentFactors, audio_positions
from iclora.reference import (
    ReferenceTokens,
    TokenSequence,
    audio_sequence,
    keyframe_tokens,
    reference_tokens,
    target_sequence,
)
from iclora.transformer import Stream

FACTORS = LatentFactors(time=8, height=32, width=32)
CHANNELS = 4
TEXT_WIDTH = 12


def transformer(form: str = "2.3", *, seed: int = 0, **changes: Any) -> Any:
    """Build a 2-block transformer of the 2.0, 2.3 or 2.5 form; `changes` go over its arguments."""
    newer, newest = form != "2.0", form == "2.5"
    arguments: dict[str, Any] = {
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "cross_attention_dim": 24,
        "audio_in_channels": CHANNELS,
        "audio_out_channels": CHANNELS,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 8,
        "audio_cross_attention_dim": 16,
        "num_layers": 2,
        "caption_channels": TEXT_WIDTH,
        "rope_type": "split",
        "gated_attn": newer,
        "audio_gated_attn": newer,
        "cross_attn_mod": newer,
        "audio_cross_attn_mod": newer,
        "use_prompt_embeddings": not newer,
        "perturbed_attn": newer,
        "ff_bias": not newest,
        "use_keyframes_abs_pos_embedding": newest,
    }
    torch.manual_seed(seed)
    model = LTX2VideoTransformer3DModel(**(arguments | changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("norm_q.weight", "norm_k.weight", "keyframes_abs_pos_embedding")):
                parameter.uniform_(0.5, 1.5)
    return model.eval()


def contexts(model: Any, *, batch: int = 1, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw encoded prompts of 3 tokens for both streams of a model."""
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    own = (config.cross_attention_dim, config.audio_cross_attention_dim)
    widths = own if not config.use_prompt_embeddings else (TEXT_WIDTH, TEXT_WIDTH)
    video, audio = (torch.randn(batch, 3, width, generator=generator) for width in widths)
    return video, audio


def stream(
    sequence: TokenSequence, context: torch.Tensor, sigma: float | list[float] = 0.7, seed: int = 5
) -> Stream:
    """Draw the noisy tokens of a sequence, clean ones too."""
    latents = torch.randn(sequence.clean.shape, generator=torch.Generator().manual_seed(seed))
    levels = torch.tensor(sigma) if isinstance(sigma, list) else torch.full((len(latents),), sigma)
    return Stream(latents=latents, sequence=sequence, sigma=levels, context=context)


def video_target(*, batch: int = 1) -> TokenSequence:
    """Lay out a target of 2x2x3 latent cells, all zeros."""
    return target_sequence(torch.zeros(batch, CHANNELS, 2, 2, 3), factors=FACTORS, fps=24.0)


def audio_target(*, batch: int = 1) -> TokenSequence:
    """Lay out 5 audio tokens, all zeros."""
    return audio_sequence(torch.zeros(batch, 5, CHANNELS), audio_positions(5))


def keyframe(*, batch: int = 1, seed: int = 3, strength: float = 1.0) -> ReferenceTokens:
    """Make the 6 tokens of a random picture that stands at frame 8."""
    latent = torch.randn(batch, CHANNELS, 1, 2, 3, generator=torch.Generator().manual_seed(seed))
    return keyframe_tokens(latent, factors=FACTORS, fps=24.0, frame=8, strength=strength)


def control(*, batch: int = 1, seed: int = 2, **dials: Any) -> Any:
    """Make the tokens of a random reference of 2x2x3 latent cells."""
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(batch, CHANNELS, 2, 2, 3, generator=generator)
    return reference_tokens(latent, factors=FACTORS, fps=24.0, **dials)
