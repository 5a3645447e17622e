"""The official package's own forward on the same tokens, where `ltx_core` can be imported."""

import importlib.util
from functools import cache
from typing import Any

import torch
from step_cases import Run
from torch import Tensor

from iclora.adapters import diffusers_name
from iclora.transformer import Stream

_SAME = (
    *("in_channels", "out_channels", "num_attention_heads", "attention_head_dim", "cross_attention_dim"),
    *("audio_in_channels", "audio_out_channels", "audio_num_attention_heads", "audio_attention_head_dim"),
    *("audio_cross_attention_dim", "num_layers", "norm_eps", "timestep_scale_multiplier"),
)
"""Settings of diffusers' class that the official one calls the same."""


def is_importable() -> bool:
    """Whether the official package is here."""
    return importlib.util.find_spec("ltx_core") is not None


@cache
def official_of(model: Any, *, compiled: bool) -> Any:
    """Build the official transformer over the very weights of a model of the 2.3 form: it takes no memory."""
    from ltx_core.model.transformer.model import LTXModel

    ours = model.config
    with torch.device("meta"):
        official = LTXModel(
            **{name: ours[name] for name in _SAME},
            positional_embedding_theta=ours.rope_theta,
            positional_embedding_max_pos=[ours.pos_embed_max_pos, ours.base_height, ours.base_width],
            audio_positional_embedding_max_pos=[ours.audio_pos_embed_max_pos],
            av_ca_timestep_scale_multiplier=ours.cross_attn_timestep_scale_multiplier,
            double_precision_rope=ours.rope_double_precision,
            apply_gated_attention=ours.gated_attn,
            cross_attention_adaln=ours.cross_attn_mod,
        )
    weights = model.state_dict()
    official.load_state_dict(
        {name: weights[diffusers_name(name)] for name in official.state_dict()}, assign=True
    )
    if compiled:
        for block in official.transformer_blocks:
            block.compile()
    return official.eval()


def official_run(official: Any, video: Stream, audio: Stream, mask: Tensor | None) -> Run:
    """Return the official forward on the tokens of our streams; it always runs the audio stream."""
    from ltx_core.model.transformer.modality import Modality

    def modality(stream: Stream, sigma: float, mask: Tensor | None = None) -> Any:
        return Modality(
            latent=stream.latents,
            sigma=torch.full_like(stream.sigma, sigma),
            timesteps=stream.sequence.mask * sigma,
            positions=stream.sequence.positions,
            context=stream.context,
            attention_mask=mask,
        )

    def at(sigma: float) -> object:
        return official(modality(video, sigma, mask), modality(audio, sigma), None)

    return at
