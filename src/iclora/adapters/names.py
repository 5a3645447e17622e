"""Names of the transformer's modules: Lightricks' official layout and diffusers' own.

Source: diffusers, ``loaders/lora_conversion_utils.py`` and ``loaders/single_file_utils.py`` (LTX-2).
"""

from __future__ import annotations

# One segment of a dotted name at a time; segments not listed are the same in both.
_TO_DIFFUSERS = {
    "patchify_proj": "proj_in",
    "audio_patchify_proj": "audio_proj_in",
    "adaln_single": "time_embed",
    "audio_adaln_single": "audio_time_embed",
    "prompt_adaln_single": "prompt_adaln",
    "audio_prompt_adaln_single": "audio_prompt_adaln",
    "av_ca_video_scale_shift_adaln_single": "av_cross_attn_video_scale_shift",
    "av_ca_audio_scale_shift_adaln_single": "av_cross_attn_audio_scale_shift",
    "av_ca_a2v_gate_adaln_single": "av_cross_attn_video_a2v_gate",
    "av_ca_v2a_gate_adaln_single": "av_cross_attn_audio_v2a_gate",
    "scale_shift_table_a2v_ca_video": "video_a2v_cross_attn_scale_shift_table",
    "scale_shift_table_a2v_ca_audio": "audio_a2v_cross_attn_scale_shift_table",
    "q_norm": "norm_q",
    "k_norm": "norm_k",
}
_TO_OFFICIAL = {diffusers: official for official, diffusers in _TO_DIFFUSERS.items()}


def diffusers_name(name: str) -> str:
    """Bring a dotted name of the official layout to diffusers' names; those already so stay."""
    return ".".join(_TO_DIFFUSERS.get(part, part) for part in name.split("."))


def official_name(name: str) -> str:
    """Bring a dotted diffusers name to the official layout; those already so stay."""
    return ".".join(_TO_OFFICIAL.get(part, part) for part in name.split("."))
