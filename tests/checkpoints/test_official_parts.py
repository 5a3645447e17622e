"""Names and arguments of the parts of official single files."""

import pytest
import torch
from diffusers import AutoencoderKLLTX2Video
from diffusers.loaders.single_file_utils import convert_ltx2_vae_to_diffusers

from iclora.checkpoints.official_parts import ARGUMENTS, PARTS, PREFIX, part_name

NAMES = """
vae.encoder.conv_in.conv.weight                                    vae encoder.conv_in.conv.weight
vae.encoder.down_blocks.2.res_blocks.1.conv1.conv.bias             vae encoder.down_blocks.1.resnets.1.conv1.conv.bias
vae.encoder.down_blocks.3.conv.conv.weight                         vae encoder.down_blocks.1.downsamplers.0.conv.conv.weight
vae.encoder.down_blocks.8.res_blocks.0.conv1.conv.bias             vae encoder.mid_block.resnets.0.conv1.conv.bias
vae.decoder.up_blocks.0.res_blocks.0.conv1.conv.bias               vae decoder.mid_block.resnets.0.conv1.conv.bias
vae.decoder.up_blocks.7.conv.conv.weight                           vae decoder.up_blocks.3.upsamplers.0.conv.conv.weight
vae.decoder.up_blocks.8.res_blocks.1.conv2.conv.bias               vae decoder.up_blocks.3.resnets.1.conv2.conv.bias
vae.per_channel_statistics.mean-of-means                           vae latents_mean
vae.per_channel_statistics.mean-of-stds
vae.per_channel_statistics.channel
audio_vae.per_channel_statistics.std-of-means                      audio_vae latents_std
audio_vae.decoder.mid.block_1.conv1.conv.weight                    audio_vae decoder.mid.block_1.conv1.conv.weight
vocoder.ups.0.weight                                               vocoder upsamplers.0.weight
vocoder.vocoder.resblocks.3.acts1.0.downsample.lowpass.filter      vocoder vocoder.resnets.3.acts1.0.downsample.filter
vocoder.bwe_generator.act_post.act.alpha                           vocoder bwe_generator.act_out.act.alpha
text_embedding_projection.aggregate_embed.weight                   connectors text_proj_in.weight
dit.text_embedding_projection.video_aggregate_embed.bias           connectors video_text_proj_in.bias
dit.audio_embeddings_connector.transformer_1d_blocks.0.attn1.q_norm.weight connectors audio_connector.transformer_blocks.0.attn1.norm_q.weight
dit.video_embeddings_connector.learnable_registers                 connectors video_connector.learnable_registers
dit.transformer_blocks.0.attn1.to_q.weight
duration_head.mlp_hidden.weight
"""  # noqa: E501  one name a line; dit stands for the transformer's prefix


@pytest.mark.parametrize("line", NAMES.strip().splitlines())
def test_names(line: str) -> None:
    name, *expected = line.split()
    assert part_name(name.replace("dit.", PREFIX)) == (tuple(expected) or None)


def test_names_of_the_autoencoder_are_those_of_diffusers_own_converter() -> None:
    blocks = [f"encoder.down_blocks.{number}" for number in range(9)]
    blocks += [f"decoder.up_blocks.{number}" for number in range(7)]
    names = [
        f"vae.{block}.{leaf}" for block in blocks for leaf in ("res_blocks.0.conv1.conv.weight", "conv.bias")
    ]
    names += ["vae.per_channel_statistics.mean-of-means", "vae.per_channel_statistics.channel"]
    theirs = convert_ltx2_vae_to_diffusers({name: name for name in names})
    ours = {found[1]: name for name in names if (found := part_name(name)) is not None}
    assert ours == theirs


@pytest.mark.parametrize("form", ["2.0", "2.3"])
def test_arguments_build_the_released_shapes(form: str) -> None:
    assert tuple(ARGUMENTS[form]) == PARTS
    with torch.device("meta"):
        built = {part: kind.from_config(arguments) for part, (kind, arguments) in ARGUMENTS[form].items()}
    vae, connectors = built["vae"], built["connectors"]
    assert isinstance(vae, AutoencoderKLLTX2Video) and not vae.config.decoder_causal
    assert (vae.spatial_compression_ratio, vae.temporal_compression_ratio) == (32, 8)
    projection = "video_text_proj_in.weight" if form == "2.3" else "text_proj_in.weight"
    assert connectors.state_dict()[projection].shape == ((4096 if form == "2.3" else 3840), 188_160)
    assert built["vocoder"].config.output_sampling_rate == (48000 if form == "2.3" else 24000)
