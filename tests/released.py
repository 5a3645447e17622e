"""Folders in the layout of the released models, with random weights, small enough to run in a moment."""

import string
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    FlowMatchEulerDiscreteScheduler,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
)
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder, LTX2VocoderWithBWE
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    Gemma4UnifiedTextConfig,
    GemmaTokenizer,
    SiglipVisionConfig,
)

from tests import small_models
from toyworld.architecture import MICRO, build_vae

TEXT_WIDTH = 16
TEXT_LAYERS = 2


def tokenizer() -> GemmaTokenizer:
    """Build a tokenizer of Gemma's class that knows single characters."""
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *string.printable]
    return GemmaTokenizer(vocab={word: number for number, word in enumerate(dict.fromkeys(words))}, merges=[])


def text_encoder() -> Gemma3ForConditionalGeneration:
    """Build a Gemma 3 with eyes; one layer in two sees 8 tokens back."""
    text = Gemma3TextConfig(
        vocab_size=128,
        hidden_size=TEXT_WIDTH,
        intermediate_size=32,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    vision = SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
    )
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=127
    )
    return Gemma3ForConditionalGeneration(config)


def newest_text_encoder() -> Gemma4UnifiedForConditionalGeneration:
    """Build a Gemma 4 that sees pictures and hears; one layer in two sees 8 tokens back."""
    text = Gemma4UnifiedTextConfig(
        vocab_size=128,
        hidden_size=TEXT_WIDTH,
        intermediate_size=32,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_global_key_value_heads=1,
        head_dim=8,
        global_head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        attention_k_eq_v=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    config = Gemma4UnifiedConfig(text_config=text, vision_config={"mm_embed_dim": 16, "output_proj_dims": 16})
    return Gemma4UnifiedForConditionalGeneration(config)


def connectors(form: str) -> LTX2TextConnectors:
    """Build the connectors of a form."""
    newer = form != "2.0"
    return LTX2TextConnectors(
        caption_channels=TEXT_WIDTH,
        text_proj_in_factor=TEXT_LAYERS + 1,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=12 if newer else 8,
        video_connector_num_layers=2 if newer else 1,
        video_connector_num_learnable_registers=128,
        video_gated_attn=newer,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=2 if newer else 1,
        audio_connector_num_learnable_registers=128,
        audio_gated_attn=newer,
        rope_type="split",
        per_modality_projections=newer,
        video_hidden_dim=24,
        audio_hidden_dim=16,
        proj_bias=newer,
    )


def transformer(form: str) -> LTX2VideoTransformer3DModel:
    """Build the transformer of a form."""
    return small_models.transformer(
        form,
        in_channels=MICRO.latent_channels,
        out_channels=MICRO.latent_channels,
        vae_scale_factors=(8, 16, 16),
        caption_channels=TEXT_WIDTH,
    )


def audio_vae() -> AutoencoderKLLTX2Audio:
    """Build the audio autoencoder: 2 channels of 2 rows, 25 latents a second."""
    vae = AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1, 2, 4), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
    )
    vae.latents_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    vae.latents_std.copy_(torch.tensor([1.5, 0.5, 0.8, 1.0]))
    return vae


def vocoder(form: str) -> LTX2Vocoder | LTX2VocoderWithBWE:
    """Build the vocoder of a form; a mel frame is 10 samples of 16 kHz."""
    arguments: dict[str, Any] = {
        "in_channels": 16,
        "hidden_channels": 16,
        "upsample_kernel_sizes": [11, 4],
        "upsample_factors": [5, 2],
        "resnet_kernel_sizes": [3],
        "resnet_dilations": [[1, 3]],
    }
    if form == "2.0":
        return LTX2Vocoder(output_sampling_rate=16000, **arguments)
    model = LTX2VocoderWithBWE(
        **arguments,
        bwe_in_channels=16,
        bwe_hidden_channels=16,
        bwe_upsample_kernel_sizes=[12, 11],
        bwe_upsample_factors=[6, 5],
        bwe_resnet_kernel_sizes=[3],
        bwe_resnet_dilations=[[1, 3]],
        filter_length=16,
        window_length=16,
        hop_length=10,
        num_mel_channels=8,
    )
    model.mel_stft.mel_basis.uniform_()
    model.mel_stft.stft_fn.forward_basis.normal_()
    return model


def scheduler(*, distilled: bool) -> FlowMatchEulerDiscreteScheduler:
    """Build a scheduler as diffusers' converter writes it."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=not distilled,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=None if distilled else 0.1,
    )


def save_released(folder: Path, form: str = "2.3", *, distilled: bool = True) -> Path:
    """Write a folder with diffusers' own pipeline."""
    torch.manual_seed(0)
    pipe = LTX2Pipeline(
        scheduler=scheduler(distilled=distilled),
        vae=build_vae(MICRO),
        audio_vae=audio_vae(),
        text_encoder=newest_text_encoder() if form == "2.5" else text_encoder(),
        tokenizer=tokenizer(),
        connectors=connectors(form),
        transformer=transformer(form),
        vocoder=vocoder(form),
    )
    pipe.save_pretrained(folder)
    return folder
