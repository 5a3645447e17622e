"""The shapes of the embedded model: every component is the class the released models use, small.

`python -m toyworld.architecture FOLDER` writes a folder with random weights in the layout `iclora.load`
reads; `--micro` makes it small enough for unit tests.
"""

import argparse
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Gemma3TextConfig, Gemma3TextModel, PreTrainedTokenizerFast

from iclora.checkpoints import Components, Recipe
from iclora.sampling import DISTILLED_SIGMAS


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of one embedded model.

    The autoencoder works on 8x8-pixel patches, halves space once and time three times: a latent cell stands
    for 16x16x8 pixels.
    """

    latent_channels: int = 128
    patch_size: int = 8
    encoder_widths: tuple[int, ...] = (256, 128, 128)
    decoder_width: int = 128
    encoder_layers: tuple[int, ...] = (0, 0, 0, 0)
    decoder_layers: tuple[int, ...] = (2, 1, 0, 0)
    num_layers: int = 6
    num_heads: int = 4
    head_dim: int = 64
    audio_heads: int = 2
    audio_head_dim: int = 8
    text_width: int = 128
    text_layers: int = 2
    vocabulary: int = 1024
    max_prompt_tokens: int = 64

    @property
    def width(self) -> int:
        """Channels of the video stream."""
        return self.num_heads * self.head_dim

    @property
    def audio_width(self) -> int:
        """Channels of the (inert) audio stream."""
        return self.audio_heads * self.audio_head_dim


TINY = Shape()
MICRO = Shape(
    latent_channels=8,
    patch_size=8,
    encoder_widths=(32, 32, 32),
    decoder_width=8,
    encoder_layers=(0, 0, 0, 0),
    decoder_layers=(0, 0, 0, 0),
    num_layers=2,
    num_heads=2,
    head_dim=8,
    audio_heads=2,
    audio_head_dim=4,
    text_width=16,
    text_layers=1,
    vocabulary=512,
    max_prompt_tokens=16,
)


def build_vae(shape: Shape = TINY) -> AutoencoderKLLTX2Video:
    """Builds the autoencoder: 8k+1 frames, 16x16x8 pixels a latent, no noise, causal encoder.

    Args:
        shape: Sizes of the model.

    Returns:
        The autoencoder with random weights.
    """
    blocks = 3
    return AutoencoderKLLTX2Video(
        latent_channels=shape.latent_channels,
        block_out_channels=shape.encoder_widths,
        down_block_types=("LTX2VideoDownBlock3D",) * blocks,
        layers_per_block=shape.encoder_layers,
        spatio_temporal_scaling=(True,) * blocks,
        downsample_type=("spatiotemporal", "temporal", "temporal"),
        decoder_block_out_channels=(shape.decoder_width,) * blocks,
        decoder_layers_per_block=shape.decoder_layers,
        decoder_spatio_temporal_scaling=(True,) * blocks,
        upsample_type=("temporal", "temporal", "spatiotemporal"),
        upsample_residual=(True,) * blocks,
        upsample_factor=(2, 1, 1),
        patch_size=shape.patch_size,
        encoder_causal=True,
        decoder_causal=False,
        encoder_spatial_padding_mode="zeros",
        decoder_spatial_padding_mode="reflect",
        spatial_compression_ratio=2 * shape.patch_size,
        temporal_compression_ratio=8,
    )


def build_transformer(shape: Shape = TINY) -> LTX2VideoTransformer3DModel:
    """Builds the transformer in the 2.3 form: gated attention, cross-attention modulation, prompt AdaLN.

    Args:
        shape: Sizes of the model.

    Returns:
        The transformer with random weights, but for two things it need not learn first: input and output
        layers pass noise through, and the constant part of queries and keys makes each token look at its own
        place (rotary positions turn equal vectors into a kernel around distance 0).
    """
    transformer = LTX2VideoTransformer3DModel(
        in_channels=shape.latent_channels,
        out_channels=shape.latent_channels,
        num_attention_heads=shape.num_heads,
        attention_head_dim=shape.head_dim,
        cross_attention_dim=shape.width,
        vae_scale_factors=(8, 2 * shape.patch_size, 2 * shape.patch_size),
        gated_attn=True,
        cross_attn_mod=True,
        audio_in_channels=8,
        audio_out_channels=8,
        audio_num_attention_heads=shape.audio_heads,
        audio_attention_head_dim=shape.audio_head_dim,
        audio_cross_attention_dim=shape.audio_width,
        audio_gated_attn=True,
        audio_cross_attn_mod=True,
        num_layers=shape.num_layers,
        caption_channels=shape.text_width,
        rope_type="split",
        use_prompt_embeddings=False,
    )
    with torch.no_grad():
        torch.nn.init.orthogonal_(transformer.proj_in.weight)
        scale = (shape.latent_channels / shape.width) ** 0.5
        transformer.proj_out.weight.copy_(scale * transformer.proj_in.weight.T)
        for block in transformer.transformer_blocks:
            for layer in (block.attn1.to_q, block.attn1.to_k):
                torch.nn.init.ones_(layer.bias)
    return transformer


def build_text(shape: Shape = TINY) -> tuple[Gemma3TextModel, LTX2TextConnectors]:
    """Builds the Gemma 3 text model and the connectors of the 2.3 form (one projection a modality).

    Args:
        shape: Sizes of the model.

    Returns:
        Text encoder and connectors with random weights.
    """
    encoder = Gemma3TextModel(
        Gemma3TextConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.text_width,
            intermediate_size=2 * shape.text_width,
            num_hidden_layers=shape.text_layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=shape.text_width // 2,
            query_pre_attn_scalar=shape.text_width // 2,
            max_position_embeddings=shape.max_prompt_tokens,
            sliding_window=shape.max_prompt_tokens,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        )
    )
    connectors = LTX2TextConnectors(
        caption_channels=shape.text_width,
        text_proj_in_factor=shape.text_layers + 1,
        video_connector_num_attention_heads=shape.num_heads,
        video_connector_attention_head_dim=shape.head_dim,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=shape.max_prompt_tokens,
        video_gated_attn=True,
        audio_connector_num_attention_heads=shape.audio_heads,
        audio_connector_attention_head_dim=shape.audio_head_dim,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=shape.max_prompt_tokens,
        audio_gated_attn=True,
        rope_type="split",
        per_modality_projections=True,
        video_hidden_dim=shape.width,
        audio_hidden_dim=shape.audio_width,
        proj_bias=True,
    )
    return encoder, connectors


def build_tokenizer(captions: list[str], shape: Shape = TINY) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer, so that any prompt has tokens and common words have one each.

    Args:
        captions: Text to learn the vocabulary from.
        shape: Sizes of the model.

    Returns:
        A tokenizer that pads on the left and starts each prompt with `<bos>`, as Gemma's does.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary,
        special_tokens=["<pad>", "<eos>", "<bos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        padding_side="left",
        model_max_length=shape.max_prompt_tokens,
    )


def model_settings(shape: Shape) -> dict[str, Any]:
    """Describes the model for `model.json`: what it was trained at, and how it is sampled.

    Args:
        shape: Sizes of the model.

    Returns:
        A JSON-ready dictionary.
    """
    micro = shape == MICRO
    return {
        "name": "micro" if micro else "tiny",
        "base": "micro" if micro else "tiny",
        "sigmas": DISTILLED_SIGMAS,
        "width": 64 if micro else 256,
        "height": 64 if micro else 256,
        "num_frames": 9 if micro else 33,
        "fps": 16.0,
        "has_audio": False,
        "max_prompt_tokens": shape.max_prompt_tokens,
        "shape": asdict(shape),
    }


def build(captions: list[str], shape: Shape = TINY, *, seed: int = 0) -> Components:
    """Builds every component with random weights.

    Args:
        captions: Text to train the tokenizer on.
        shape: Sizes of the model.
        seed: Seed of the weights.

    Returns:
        The components.
    """
    torch.manual_seed(seed)
    encoder, connectors = build_text(shape)
    settings = model_settings(shape)
    return Components(
        recipe=Recipe(**{item.name: settings[item.name] for item in fields(Recipe) if item.name in settings}),
        path=Path(),
        transformer=build_transformer(shape),
        vae=build_vae(shape),
        connectors=connectors,
        text_encoder=encoder,
        tokenizer=build_tokenizer(captions, shape),
    )


def save(components: Components, folder: Path, shape: Shape, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Writes all components in the folder layout of a diffusers pipeline, plus `model.json`.

    Args:
        components: What to write; the modules are left as they are.
        folder: Where to; made if missing.
        shape: Sizes of the model.
        dtype: Type of the weights on disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("transformer", "vae", "connectors", "text_encoder"):
        module = getattr(components, name)
        original = module.dtype
        module.to(dtype).save_pretrained(folder / name)
        module.to(original)
    components.tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "model.json").write_text(json.dumps(model_settings(shape), indent=2) + "\n")


def save_random(folder: Path, *, micro: bool) -> None:
    """Writes a model folder with random weights.

    Args:
        folder: Where to; made if missing.
        micro: Whether to make it small enough for unit tests.
    """
    shape = MICRO if micro else TINY
    words = "a the red green blue clay neon snow night figure ball box walking dancing waving".split()
    save(build([" ".join(words)], shape), folder, shape, dtype=torch.float32 if micro else torch.bfloat16)


def main() -> None:
    """Writes a model folder with random weights and prints its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--micro", action="store_true")
    arguments = parser.parse_args()
    save_random(arguments.folder, micro=arguments.micro)
    for path in sorted(arguments.folder.rglob("*.safetensors")):
        print(f"{path.stat().st_size / 2**20:7.2f} MiB  {path.relative_to(arguments.folder)}")


if __name__ == "__main__":
    main()
