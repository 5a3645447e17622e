"""Pixel sizes, frame counts, latent grids, and the only code for token positions.

A video autoencoder with factors (8, 32, 32) turns pixels into latent cells, frame-major:

    pixel frames   0 | 1 .. 8 | 9 .. 16 | ...        8k + 1 frames
    latent frame   0 |   1    |    2    | ...         k + 1 frames

A position is a pair of bounds [start, end) per axis: time in seconds, height and width in pixels.

Source: Lightricks LTX-2, ``ltx_core``: ``components/patchifiers.py`` and ``conditioning/types``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from iclora.errors import ModelError, RequestError

MAX_FACTOR = 64
"""How many times smaller or slower than the target a reference may be; more is a mistake."""


@dataclass(frozen=True, kw_only=True)
class LatentFactors:
    """How many pixels of each axis one latent cell stands for."""

    time: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for axis in ("time", "height", "width"):
            value = getattr(self, axis)
            if value < 1:
                raise ModelError(
                    f"The autoencoder's {axis} factor is {value}; it must be a whole number from 1 up."
                )


@dataclass(frozen=True, kw_only=True)
class LatentGrid:
    """Size of a latent video in cells."""

    frames: int
    height: int
    width: int

    @property
    def num_tokens(self) -> int:
        """Number of tokens, one for each cell."""
        return self.frames * self.height * self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """The grid as ``(frames, height, width)``."""
        return self.frames, self.height, self.width


def factors_of(vae: Any) -> LatentFactors:
    """Read the factors of a video autoencoder from its config.

    Args:
        vae: A diffusers autoencoder with ``spatial_compression_ratio`` and ``temporal_compression_ratio``;
            on the meta device is enough.

    Returns:
        The factors of time, height and width.

    Raises:
        ModelError: The autoencoder does not say its factors.
    """
    space = getattr(vae, "spatial_compression_ratio", None)
    time = getattr(vae, "temporal_compression_ratio", None)
    if space is None or time is None:
        raise ModelError(
            f"{type(vae).__name__} does not say its compression ratios; a video autoencoder with "
            "'spatial_compression_ratio' and 'temporal_compression_ratio' is needed."
        )
    return LatentFactors(time=int(time), height=int(space), width=int(space))


def latent_grid(num_frames: int, height: int, width: int, factors: LatentFactors) -> LatentGrid:
    """Bring a size in pixels to the latent grid, refusing sizes that do not fit.

    Args:
        num_frames: Pixel frames; one more than a multiple of the time factor.
        height: Pixels; a multiple of the height factor.
        width: Pixels; a multiple of the width factor.
        factors: The autoencoder's factors.

    Returns:
        The grid in latent cells.

    Raises:
        RequestError: A size does not fit the grid.
    """
    if num_frames < 1 or (num_frames - 1) % factors.time:
        near = snap_frames(num_frames, factors)
        raise RequestError(
            f"{num_frames} frames do not fit the model: it takes {factors.time}k+1 frames. Ask for {near}."
        )
    for axis, size, factor in (("height", height, factors.height), ("width", width, factors.width)):
        if size < 1 or size % factor:
            near = _nearest_multiple(size, factor)
            raise RequestError(
                f"A {axis} of {size} px does not fit the model: it takes multiples of {factor}. "
                f"Ask for {near}."
            )
    return LatentGrid(
        frames=(num_frames - 1) // factors.time + 1,
        height=height // factors.height,
        width=width // factors.width,
    )


def pixel_size(grid: LatentGrid, factors: LatentFactors) -> tuple[int, int, int]:
    """Return the pixel frames, height and width a latent grid stands for.

    Args:
        grid: Size in latent cells.
        factors: The autoencoder's factors.

    Returns:
        ``(num_frames, height, width)`` in pixels.
    """
    return (grid.frames - 1) * factors.time + 1, grid.height * factors.height, grid.width * factors.width


def snap_frames(num_frames: int, factors: LatentFactors) -> int:
    """Return the nearest frame count the model takes; of two equally near, the larger.

    Args:
        num_frames: Wanted number of pixel frames.
        factors: The autoencoder's factors.

    Returns:
        A number of the form ``factors.time * k + 1``.
    """
    groups = (2 * (num_frames - 1) + factors.time) // (2 * factors.time)
    return max(0, groups) * factors.time + 1


def snap_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return the nearest size whose sides are multiples of a number.

    Args:
        height: Wanted height in pixels.
        width: Wanted width in pixels.
        multiple: The number both sides must be multiples of.

    Returns:
        ``(height, width)``, each at least one multiple.
    """
    return _nearest_multiple(height, multiple), _nearest_multiple(width, multiple)


def _nearest_multiple(size: int, multiple: int) -> int:
    return max(1, (2 * size + multiple) // (2 * multiple)) * multiple


def target_positions(grid: LatentGrid, factors: LatentFactors, fps: float) -> Float[Tensor, "3 n 2"]:
    """Return the positions of the tokens of the video that is made.

    Args:
        grid: Latent grid of the target.
        factors: The autoencoder's factors.
        fps: Frame rate in frames per second.

    Returns:
        Bounds ``[3, n, 2]`` in float32: seconds, pixels, pixels.
    """
    bounds = _pixel_bounds(grid, factors)
    bounds[0] = (bounds[0] + 1 - factors.time).clamp(min=0) / _checked_fps(fps)
    return bounds


def reference_positions(
    grid: LatentGrid, factors: LatentFactors, fps: float, *, downscale: int = 1, temporal_factor: int = 1
) -> Float[Tensor, "3 r 2"]:
    """Return the positions of reference tokens, laid over the target.

    Args:
        grid: The reference's own latent grid.
        factors: The autoencoder's factors.
        fps: Frame rate of the target, in frames per second.
        downscale: How many times smaller than the target the reference is.
        temporal_factor: How many target frames one reference frame stands for.

    Returns:
        Bounds ``[3, r, 2]`` in float32: seconds, pixels of the target, pixels of the target.

    Raises:
        RequestError: A factor is below 1.
    """
    for name, value in (("downscale factor", downscale), ("temporal factor", temporal_factor)):
        if value < 1:
            raise RequestError(f"The reference's {name} is {value}; it must be a whole number from 1 up.")
    bounds = target_positions(grid, factors, _checked_fps(fps) / temporal_factor)
    if temporal_factor != 1:
        bounds[0] = (bounds[0] - (temporal_factor - 1) / fps).clamp(min=0)
    bounds[1:] *= downscale
    return bounds


def keyframe_positions(
    grid: LatentGrid, factors: LatentFactors, fps: float, *, frame: int
) -> Float[Tensor, "3 r 2"]:
    """Return the positions of an image placed at a later frame: one pixel frame long, no causal shift.

    Args:
        grid: Latent grid of the image; one latent frame.
        factors: The autoencoder's factors.
        fps: Frame rate of the target, in frames per second.
        frame: Pixel frame of the target the image stands at, from 1 up.

    Returns:
        Bounds ``[3, r, 2]`` in float32: seconds, pixels, pixels.

    Raises:
        RequestError: The grid has more than one frame, or the frame is below 1.
    """
    if grid.frames != 1:
        raise RequestError(
            f"A keyframe is a single image, but its latent has {grid.frames} frames. Give one image."
        )
    if frame < 1:
        raise RequestError(
            f"A keyframe cannot stand at frame {frame}: frames from 1 up are accepted. For frame 0 give it "
            "as the first image."
        )
    bounds = _pixel_bounds(grid, factors)
    bounds[0, :, 1] = bounds[0, :, 0] + 1
    bounds[0] = (bounds[0] + frame) / _checked_fps(fps)
    return bounds


def audio_positions(
    num_tokens: int,
    *,
    latents_factor: int = 4,
    hop_length: int = 160,
    sample_rate: int = 16000,
    causal_offset: int = 1,
) -> Float[Tensor, "1 n 2"]:
    """Return the positions of audio tokens in time.

    Args:
        num_tokens: Number of audio latents.
        latents_factor: Mel frames one latent stands for.
        hop_length: Samples from one mel frame to the next.
        sample_rate: Samples per second.
        causal_offset: Mel frames the first latent stands for. The released autoencoders are causal: 1.
            Equal to ``latents_factor`` where the first latent is no shorter than the rest.

    Returns:
        Bounds ``[1, n, 2]`` in seconds, float32.

    Source: Lightricks LTX-2, ``components/patchifiers.py``, whose audio patchifier is causal unless told
    otherwise; diffusers' ``LTX2AudioVideoRotaryPosEmbed``.
    """
    starts = torch.arange(num_tokens, dtype=torch.float32)
    mel = torch.stack([starts, starts + 1], dim=-1) * latents_factor
    mel = (mel + causal_offset - latents_factor).clamp(min=0)
    return (mel * hop_length / sample_rate)[None]


def patchify(latent: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b n c"]:
    """Lay a latent video out as tokens, frame-major, one token a cell."""
    return rearrange(latent, "b c f h w -> b (f h w) c")


def unpatchify(tokens: Float[Tensor, "b n c"], grid: LatentGrid) -> Float[Tensor, "b c f h w"]:
    """Undo `patchify`.

    Args:
        tokens: Tokens of the whole grid, frame-major.
        grid: The grid they were taken from.

    Returns:
        The latent video ``[b, c, f, h, w]``.
    """
    return rearrange(tokens, "b (f h w) c -> b c f h w", f=grid.frames, h=grid.height, w=grid.width)


def grid_of(latent: Float[Tensor, "b c f h w"]) -> LatentGrid:
    """Return the grid of a latent video."""
    return LatentGrid(frames=latent.shape[2], height=latent.shape[3], width=latent.shape[4])


def _pixel_bounds(grid: LatentGrid, factors: LatentFactors) -> Float[Tensor, "3 n 2"]:
    axes = [torch.arange(size, dtype=torch.float32) for size in grid.shape]
    starts = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    scale = torch.tensor([factors.time, factors.height, factors.width], dtype=torch.float32)
    return torch.stack([starts, starts + 1], dim=-1) * scale[:, None, None]


def _checked_fps(fps: float) -> float:
    if not 0 < fps < float("inf"):
        raise RequestError(
            f"A frame rate of {fps} is not usable; give a finite number of frames per second above 0."
        )
    return float(fps)
