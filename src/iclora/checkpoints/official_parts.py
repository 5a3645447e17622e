"""What stands in an official single file beside the transformer: arguments and names of each part.

    official name                                         part        diffusers' name
    vae.encoder.down_blocks.3.conv.conv.weight            vae         encoder.down_blocks.1.downsamplers.0...
    vae.decoder.up_blocks.0.res_blocks.0...               vae         decoder.mid_block.resnets.0...
    text_embedding_projection.aggregate_embed.weight      connectors  text_proj_in.weight
    model.diffusion_model.video_embeddings_connector...   connectors  video_connector...
    audio_vae.per_channel_statistics.mean-of-means        audio_vae   latents_mean
    vocoder.ups.0.weight                                  vocoder     upsamplers.0.weight

Source of names and arguments: diffusers, ``scripts/convert_ltx2_to_diffusers.py``.
"""

from __future__ import annotations

import re
from typing import Any

from diffusers import AutoencoderKLLTX2Audio, AutoencoderKLLTX2Video
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder, LTX2VocoderWithBWE

PREFIX = "model.diffusion_model."
PARTS = ("vae", "connectors", "audio_vae", "vocoder")

_VAE = {"decoder_causal": False, "spatial_compression_ratio": 32, "temporal_compression_ratio": 8}
# The classes' own defaults are those of LTX-2.0 (of the vocoder with bandwidth extension: 2.3), but for this.
ARGUMENTS: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "2.0": {
        "vae": (AutoencoderKLLTX2Video, _VAE),
        "connectors": (LTX2TextConnectors, {"rope_type": "split"}),
        "audio_vae": (AutoencoderKLLTX2Audio, {}),
        "vocoder": (LTX2Vocoder, {}),
    },
    "2.3": {
        "vae": (
            AutoencoderKLLTX2Video,
            _VAE
            | {
                "block_out_channels": (256, 512, 1024, 1024),
                "decoder_block_out_channels": (256, 512, 512, 1024),
                "layers_per_block": (4, 6, 4, 2, 2),
                "decoder_layers_per_block": (4, 6, 4, 2, 2),
                "decoder_spatio_temporal_scaling": (True, True, True, True),
                "decoder_inject_noise": (False, False, False, False, False),
                "upsample_type": ("spatiotemporal", "spatiotemporal", "temporal", "spatial"),
                "upsample_residual": (False, False, False, False),
                "upsample_factor": (2, 2, 1, 2),
                "decoder_spatial_padding_mode": "zeros",
            },
        ),
        "connectors": (
            LTX2TextConnectors,
            {
                "video_connector_num_attention_heads": 32,
                "video_connector_num_layers": 8,
                "video_gated_attn": True,
                "audio_connector_num_attention_heads": 32,
                "audio_connector_attention_head_dim": 64,
                "audio_connector_num_layers": 8,
                "audio_gated_attn": True,
                "rope_type": "split",
                "per_modality_projections": True,
                "proj_bias": True,
            },
        ),
        "audio_vae": (AutoencoderKLLTX2Audio, {}),
        "vocoder": (LTX2VocoderWithBWE, {}),
    },
}

_SEGMENTS = {
    "connectors": {
        "video_embeddings_connector": "video_connector",
        "audio_embeddings_connector": "audio_connector",
        "transformer_1d_blocks": "transformer_blocks",
        "aggregate_embed": "text_proj_in",
        "video_aggregate_embed": "video_text_proj_in",
        "audio_aggregate_embed": "audio_text_proj_in",
        "q_norm": "norm_q",
        "k_norm": "norm_k",
    },
    "vocoder": {
        "ups": "upsamplers",
        "resblocks": "resnets",
        "conv_pre": "conv_in",
        "conv_post": "conv_out",
        "act_post": "act_out",
    },
    "vae": {"res_blocks": "resnets"},
    "audio_vae": {},
}
_STATISTICS = "per_channel_statistics."
_STATISTICS_KEPT = {"mean-of-means": "latents_mean", "std-of-means": "latents_std"}
_CONNECTORS = re.compile(
    rf"(?:{re.escape(PREFIX)})?(?:(?=(?:video|audio)_embeddings_connector\.)|text_embedding_projection\.)"
)
_BLOCK = re.compile(r"(encoder\.down|decoder\.up)_blocks\.(\d+)")


def part_name(name: str, num_down_blocks: int = 4) -> tuple[str, str] | None:
    """Find out which part an official key belongs to, and what diffusers calls it there.

    Args:
        name: A key of an official single file.
        num_down_blocks: Blocks of the video encoder, its middle one not counted.

    Returns:
        The part and the name; None for the transformer's keys, statistics that nothing uses, and the rest.
    """
    begin = _CONNECTORS.match(name)
    if begin:
        part, rest = "connectors", name[begin.end() :]
    else:
        part, _, rest = name.partition(".")
        if part not in PARTS or part == "connectors":
            return None
    if rest.startswith(_STATISTICS):
        kept = _STATISTICS_KEPT.get(rest[len(_STATISTICS) :])
        return None if kept is None else (part, kept)
    if part == "vae":
        rest = _BLOCK.sub(lambda match: _block(match[1], int(match[2]), num_down_blocks), rest)
    if part == "vocoder":
        rest = rest.replace("downsample.lowpass", "downsample")
    segments = _SEGMENTS[part]
    return part, ".".join(segments.get(segment, segment) for segment in rest.split("."))


def _block(side: str, number: int, num_down_blocks: int) -> str:
    """Even numbers are blocks, odd ones samplers; the middle is the encoder's last, the decoder's first."""
    if side == "encoder.down":
        block = "encoder.mid_block" if number == 2 * num_down_blocks else f"encoder.down_blocks.{number // 2}"
        return f"{block}.downsamplers.0" if number % 2 else block
    if number == 0:
        return "decoder.mid_block"
    block = f"decoder.up_blocks.{(number - 1) // 2}"
    return f"{block}.upsamplers.0" if number % 2 else block
