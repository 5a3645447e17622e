"""Starts the autoencoder as the best linear codec its own layers can express, instead of from noise.

Small video autoencoders started from noise sit on a plateau at 15 dB for thousands of steps. Here every
convolution of the trunk is set in closed form on sample clips: principal components down the encoder, ridge
regression up the decoder, residual branches at zero. Training then only has to improve on that.

A constant channel, large beside the data, is led through both final RMS norms: it makes them nearly constant,
so that norm and SiLU pass the data almost linearly.
"""

from math import prod

import torch
from diffusers import AutoencoderKLLTX2Video
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad, unfold

CONSTANT = 40.0  # value of the constant channel in standard deviations of the whole voxel
GAIN = 8.0  # of each downsampling convolution over the averaging shortcut beside it, which only blurs
SAMPLES_PER_FEATURE = 20  # fewer samples than this: fit the centre tap alone


@torch.no_grad()
def start_linear(vae: AutoencoderKLLTX2Video, clips: Tensor) -> None:
    """Sets all weights of the autoencoder from sample clips.

    Args:
        vae: The autoencoder of `toyworld.architecture`; changed in place.
        clips: Sample clips `b 3 f h w` in -1..1, f = 8k+1; more than 100 are wanted.
    """
    for block in vae.modules():
        if hasattr(block, "conv1") and hasattr(block, "conv2"):
            nn.init.zeros_(block.conv2.conv.weight)
            nn.init.zeros_(block.conv2.conv.bias)
    _start_encoder(vae.encoder, clips)
    vae.encoder.bfloat16().float()  # the decoder is fitted to the encoder as it is shipped
    latents = torch.cat([vae.encode(clip[None]).latent_dist.mode() for clip in clips])
    _start_decoder(vae.decoder, clips, latents, vae.config.patch_size)


@torch.no_grad()
def refit_last(vae: AutoencoderKLLTX2Video, clips: Tensor) -> None:
    """Fits the decoder's last convolution anew by ridge regression, in float32.

    Training in lower precision makes it compensate the rounding of the constant channel, which shows as a
    fixed pattern in float32. Here that channel's share moves into the bias.

    Args:
        vae: The trained autoencoder; changed in place.
        clips: `b 3 f h w` in -1..1; a hundred crops are enough.
    """
    decoder, seen = vae.decoder, []
    hook = decoder.conv_out.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for clip in clips:
        vae.decode(vae.encode(clip[None]).latent_dist.mode())
    hook.remove()
    x = torch.cat(seen)
    mean, spread = x.mean((0, 2, 3, 4)), x.std((0, 2, 3, 4))
    x[:, spread < 0.01 * mean.abs()] = 0
    _fit(decoder.conv_out.conv, x, patches(clips, decoder.patch_size, 1), first_frame=0)


def components(samples: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Finds principal components.

    Args:
        samples: `n d`.
        count: How many components; at most d.

    Returns:
        Components `count d`, strongest first, and the mean `d`.
    """
    mean = samples.mean(0)
    centred = samples - mean
    _, vectors = torch.linalg.eigh(centred.T.double() @ centred.double())
    return vectors.flip(1)[:, :count].T.float(), mean


def _set_centre(conv: nn.Conv3d, matrix: Tensor, bias: Tensor, tap: int) -> None:
    nn.init.zeros_(conv.weight)
    conv.weight[: len(matrix), :, tap, 1, 1] = matrix
    conv.bias.copy_(bias)


def _voxels(x: Tensor) -> Tensor:
    return rearrange(x, "b c f h w -> (b f h w) c")


def patches(clips: Tensor, size: int, frames: int) -> Tensor:
    """Cuts clips into blocks, the first frame standing for a whole block as the causal encoder sees it.

    Args:
        clips: `b 3 f h w`.
        size: Block height and width in pixels.
        frames: Frames a block.

    Returns:
        `b (3 frames size size) f' h' w'` with f' = 1 + (f - 1) / frames.
    """
    padded = torch.cat([clips[:, :, :1].repeat(1, 1, frames - 1, 1, 1), clips], dim=2)
    return rearrange(padded, "b c (f t) (h p) (w q) -> b (c t q p) f h w", t=frames, p=size, q=size)


def _start_encoder(encoder: nn.Module, clips: Tensor) -> None:
    x = patches(clips, encoder.patch_size, 1)
    conv = encoder.conv_in.conv
    basis, mean = components(_voxels(x), conv.out_channels)
    _set_centre(conv, basis, -basis @ mean, tap=2)
    x = encoder.conv_in(x, causal=True)
    for index, block in enumerate(encoder.down_blocks):
        conv = block.downsamplers[0].conv.conv
        basis, mean = components(_voxels(x), conv.out_channels)
        basis *= GAIN
        bias = -basis @ mean
        if index == len(encoder.down_blocks) - 1:
            spread = (x - x.mean((0, 2, 3, 4), keepdim=True)).square().sum(1).mean().sqrt()
            basis[-1], bias[-1] = 0, CONSTANT * GAIN * spread
        _set_centre(conv, basis, bias, tap=2)
        x = block.downsamplers[0](x, causal=True)
    x = encoder.conv_act(encoder.norm_out(x))
    conv = encoder.conv_out.conv
    basis, mean = components(_voxels(x), conv.out_channels - 1)
    scale = 1 / ((_voxels(x) - mean) @ basis.T).std()
    bias = torch.cat([-scale * basis @ mean, torch.tensor([-12.0], device=x.device)])
    _set_centre(conv, scale * basis, bias, tap=2)


def _start_decoder(decoder: nn.Module, clips: Tensor, latents: Tensor, patch_size: int) -> None:
    conv = decoder.conv_in.conv
    _set_centre(conv, torch.eye(conv.out_channels, conv.in_channels), torch.zeros(conv.out_channels), tap=1)
    x = decoder.conv_in(latents, causal=False)
    for index, block in enumerate(decoder.up_blocks):
        last = index == len(decoder.up_blocks) - 1
        size, frames = (patch_size, 1) if last else (2 * patch_size, 4 // 2**index)
        upsampler = block.upsamplers[0]
        kept = upsampler.conv.conv.out_channels // prod(upsampler.stride)
        blocks = patches(clips, size, frames)
        basis, mean = components(_voxels(blocks), kept)
        target = torch.einsum("kd,bdfhw->bkfhw", basis, blocks - mean[:, None, None, None])
        if last:
            target[:, -1] = CONSTANT * target.square().sum(1).mean().sqrt()
        _fit_upsampler(upsampler, x, target)
        x = upsampler(x, causal=False)
    x = decoder.conv_act(decoder.norm_out(x))
    x[:, -1] = 0  # nothing may hang on the constant channel: in bfloat16 its rounding would show as a pattern
    _fit(decoder.conv_out.conv, x, patches(clips, patch_size, 1), first_frame=0)


def _fit_upsampler(upsampler: nn.Module, x: Tensor, target: Tensor) -> None:
    nn.init.zeros_(upsampler.conv.conv.weight)
    nn.init.zeros_(upsampler.conv.conv.bias)
    missing = target - upsampler(x, causal=False)
    t, p, q = upsampler.stride
    if t > 1:
        missing = torch.cat([missing[:, :, : t - 1], missing], dim=2)
    wanted = rearrange(missing, "b c (f t) (h p) (w q) -> b (c t p q) f h w", t=t, p=p, q=q)
    _fit(upsampler.conv.conv, x, wanted, first_frame=1)


def _fit(conv: nn.Conv3d, x: Tensor, target: Tensor, *, first_frame: int, ridge: float = 1e-6) -> None:
    samples = target[:, 0, first_frame:].numel()
    whole = samples > SAMPLES_PER_FEATURE * conv.in_channels * 27
    features = conv.in_channels * (27 if whole else 1) + 1
    gram = torch.zeros(features, features, dtype=torch.float64, device=x.device)
    cross = torch.zeros(features, target.shape[1], dtype=torch.float64, device=x.device)
    for clip, wanted in zip(x, target, strict=True):
        rows = _neighbourhoods(clip) if whole else rearrange(clip, "c f h w -> f (h w) c")
        rows = rows[first_frame:].flatten(0, 1)
        rows = torch.cat([rows, torch.ones(len(rows), 1, device=rows.device)], dim=1)
        gram += rows.T @ rows
        cross += rows.T @ rearrange(wanted[:, first_frame:], "c f h w -> (f h w) c")
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    solution = torch.linalg.solve(gram, cross).T.float()
    if whole:
        conv.weight.copy_(solution[:, :-1].unflatten(1, conv.weight.shape[1:]))
        conv.bias.copy_(solution[:, -1])
    else:
        _set_centre(conv, solution[:, :-1], solution[:, -1], tap=1)


def _neighbourhoods(clip: Tensor) -> Tensor:
    """All 3x3x3 neighbourhoods of `c f h w`, padded as the decoder pads: `f (h w) (c 27)`."""
    c, f, h, w = clip.shape
    time = torch.cat([clip[:, :1], clip, clip[:, -1:]], dim=1)
    columns = unfold(pad(rearrange(time, "c f h w -> f c h w"), (1, 1, 1, 1), mode="reflect"), 3)
    columns = columns.unflatten(1, (c, 9))
    return rearrange(torch.stack([columns[i : i + f] for i in range(3)]), "t f c k n -> f n (c t k)")
