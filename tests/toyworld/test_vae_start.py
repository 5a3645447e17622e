"""The closed-form start of the autoencoder."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from toyworld.architecture import MICRO, Shape, build_vae
from toyworld.train_vae import psnr
from toyworld.vae_start import CONSTANT, components, patches, refit_last, start_linear

# Small patches, as principal components of large blocks take long; channels enough for smooth clips.
SHAPE = Shape(
    patch_size=4,
    latent_channels=24,
    encoder_widths=(64, 64, 64),
    decoder_width=32,
    encoder_layers=MICRO.encoder_layers,
    decoder_layers=(1, 1, 0, 0),
)


def smooth_clips(count: int, *, seed: int) -> Tensor:
    """Random clips with nothing finer than a few pixels, `b 3 9 32 32` in -1..1."""
    coarse = torch.randn(count, 3, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    fine = F.interpolate(coarse, size=(9, 32, 32), mode="trilinear", align_corners=True)
    return torch.tanh(fine)


def reconstruct(vae: torch.nn.Module, clips: Tensor) -> Tensor:
    with torch.inference_mode():
        return vae.decode(vae.encode(clips).latent_dist.mode()).sample  # type: ignore[no-any-return, operator]


def test_it_reconstructs_clips_it_has_not_seen() -> None:
    torch.manual_seed(0)
    vae = build_vae(SHAPE)
    held_out = smooth_clips(8, seed=1)
    before = psnr(reconstruct(vae, held_out), held_out)
    start_linear(vae, smooth_clips(32, seed=0))
    after = psnr(reconstruct(vae, held_out), held_out)
    assert after > before + 10
    assert after > 20


def test_the_decoders_constant_channel_is_as_strong_as_said() -> None:
    torch.manual_seed(0)
    vae, seen = build_vae(SHAPE), []
    vae.decoder.norm_out.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    start_linear(vae, smooth_clips(8, seed=0))
    data, channel = seen[0][:, :-1], seen[0][:, -1]
    assert channel.mean() / data.square().sum(1).mean().sqrt() == pytest.approx(CONSTANT, rel=0.05)
    assert channel.std() < 1e-4 * channel.mean()


def test_the_encoder_is_one_that_half_precision_holds() -> None:
    torch.manual_seed(0)
    vae = build_vae(SHAPE)
    start_linear(vae, smooth_clips(4, seed=0))
    assert all(torch.equal(value, value.bfloat16().float()) for value in vae.encoder.state_dict().values())


def test_refitting_takes_a_fixed_pattern_away() -> None:
    torch.manual_seed(0)
    vae, clips, held_out = build_vae(SHAPE), smooth_clips(32, seed=0), smooth_clips(8, seed=1)
    start_linear(vae, clips)
    sound = psnr(reconstruct(vae, held_out), held_out)
    conv = vae.decoder.conv_out.conv
    with torch.no_grad():
        conv.weight[:, -1] += 0.02 * torch.randn(conv.weight[:, -1].shape)  # on the constant channel
    assert psnr(reconstruct(vae, held_out), held_out) < sound - 5
    refit_last(vae, clips)
    assert psnr(reconstruct(vae, held_out), held_out) > sound - 1
    assert conv.weight[:, -1].abs().max() < 1e-3


def test_components_by_hand() -> None:
    samples = torch.tensor([[3.0, 1.0], [-3.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    basis, mean = components(samples, 2)
    torch.testing.assert_close(mean, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(basis.abs(), torch.eye(2))


def test_patches_repeat_the_first_frame_as_the_causal_encoder_sees_it() -> None:
    clips = torch.arange(3 * 5 * 4 * 4, dtype=torch.float32).view(1, 3, 5, 4, 4)
    blocks = patches(clips, 2, 4)
    assert blocks.shape == (1, 3 * 4 * 2 * 2, 2, 2, 2)
    parts = blocks.view(3, 4, 2, 2, 2, 2, 2)  # c t q p f h w
    for time in range(4):
        assert torch.equal(parts[:, time, 0, 0, 0], clips[0, :, 0, ::2, ::2])
        assert torch.equal(parts[:, time, 1, 0, 1], clips[0, :, 1 + time, ::2, 1::2])
        assert torch.equal(parts[:, time, 0, 1, 1], clips[0, :, 1 + time, 1::2, ::2])


def test_residual_branches_start_at_zero() -> None:
    torch.manual_seed(0)
    vae = build_vae(SHAPE)
    start_linear(vae, smooth_clips(4, seed=0))
    tails = [block.conv2.conv for block in vae.modules() if hasattr(block, "conv2")]
    assert tails and all(not conv.weight.any() and not conv.bias.any() for conv in tails)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in vae.state_dict().values())
