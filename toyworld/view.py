"""How scenes are looked at (size, times, device), and what one rendered clip is."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

CPU_SAMPLES = 300_000
"""Rays traced at once on a CPU: its caches are small."""

GPU_SAMPLES = 24_000_000
"""Rays traced at once on a GPU: many, so that the calls are few."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """Size in pixels, times in seconds ("f"), device, and samples a pixel along each side (1 or 2)."""

    height: int
    width: int
    time: np.ndarray
    device: torch.device
    supersample: int

    @property
    def samples(self) -> int:
        """Rays of one picture."""
        return self.height * self.width * self.supersample**2

    @property
    def budget(self) -> int:
        """Pictures to render at once."""
        most = CPU_SAMPLES if self.device.type == "cpu" else GPU_SAMPLES
        return max(1, most // self.samples)

    def tensor(self, values: np.ndarray) -> Tensor:
        """Brings an array to the device as float32."""
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderedClip:
    """One seed's clip: the fields of `render.Scenes` without the batch."""

    frames: Tensor
    depth: Tensor
    skeletons: Tensor
    tracks: Tensor


def sample_count(pixels: int, supersample: int) -> int:
    """Gives the samples along a side: one a pixel, or (for 2) pixel centres and the points half-way between.

    pixel centres      o       o       o
    samples (2)    x   x   x   x   x   x   x
    """
    return pixels if supersample == 1 else 2 * pixels + 1


def shrink(planes: list[Tensor], supersample: int) -> Tensor:
    """Stacks colour planes and weighs their samples to pixels (a tent one pixel wide on either side).

    Args:
        planes: three of "n s t", with `sample_count` samples along each side.
        supersample: 1 or 2.

    Returns:
        "n 3 h w".
    """
    picture = torch.stack(planes, dim=1)
    if supersample == 1:
        return picture
    rows = 0.5 * picture[:, :, 1::2] + 0.25 * (picture[:, :, :-1:2] + picture[:, :, 2::2])
    return 0.5 * rows[..., 1::2] + 0.25 * (rows[..., :-1:2] + rows[..., 2::2])


def at_centres(plane: Tensor, supersample: int) -> Tensor:
    """Picks the samples "n s t" that lie at pixel centres, "n h w"."""
    return plane if supersample == 1 else plane[:, 1::2, 1::2].contiguous()


def to_bytes(picture: Tensor) -> Tensor:
    """Turns "n 3 h w" in [0, 1] into bytes "n h w 3"."""
    return rearrange(
        (picture * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8), "n c h w -> n h w c"
    ).contiguous()


def visibility(points: np.ndarray, depths: np.ndarray, seen_depth: Tensor, slack: float) -> Tensor:
    """Marks points as seen, hidden or outside.

    Args:
        points: pixels x, y, "f k 2".
        depths: metres, "f k".
        seen_depth: depth of the pictures, "f h w".
        slack: metres a point may lie behind the surface it belongs to.

    Returns:
        x, y and visibility (1, 0.5, 0), "f k 3", float32.
    """
    _, height, width = seen_depth.shape
    x, y = np.round(points[..., 0]), np.round(points[..., 1])
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depths > 0.15)
    column = np.clip(np.nan_to_num(x), 0, width - 1).astype(np.int64)
    row = np.clip(np.nan_to_num(y), 0, height - 1).astype(np.int64)
    frame = torch.arange(len(points), device=seen_depth.device)[:, None]
    device = seen_depth.device
    surface = seen_depth[frame, torch.from_numpy(row).to(device), torch.from_numpy(column).to(device)]
    there = torch.from_numpy(depths.astype(np.float32)).to(device)
    near = torch.where(there <= surface + slack, 1.0, 0.5)
    seen = near * torch.from_numpy(inside.astype(np.float32)).to(device)
    place = torch.from_numpy(np.clip(np.nan_to_num(points), -1e5, 1e5).astype(np.float32)).to(device)
    return torch.cat([place, seen[..., None]], dim=-1)
