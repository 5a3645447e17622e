"""Surface patterns: checkers, stripes, dots, and noise with the 1/f statistics of photographs."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

PATTERNS: tuple[str, ...] = ("solid", "checker", "stripes", "dots", "noise", "grid", "patches", "bricks")
"""Pattern names; the renderer knows a pattern by its place here."""

TILE = 256
NUM_TILES = 12


@functools.cache
def _tiles(device: str) -> Tensor:
    """Makes the periodic noise tiles, roughly in [0, 1]: rough ones first, smooth ones last."""
    rng = np.random.default_rng(20_240_611)
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :])
    frequency[0, 0] = 1.0
    tiles = []
    for exponent in np.linspace(0.7, 2.3, NUM_TILES):
        phase = rng.uniform(0, 2 * math.pi, frequency.shape)
        spectrum = np.exp(1j * phase) * np.maximum(frequency, 2.0 / TILE) ** -exponent
        spectrum[0, 0] = 0.0
        tile = np.fft.irfft2(spectrum, s=(TILE, TILE))
        tiles.append(np.clip(0.5 + 0.22 * tile / tile.std(), 0.0, 1.0))
    return torch.from_numpy(np.stack(tiles).astype(np.float32)).to(device).flatten()


def noise(p: Float[Tensor, "n h w"], q: Float[Tensor, "n h w"], tile: Tensor) -> Float[Tensor, "n h w"]:
    """Samples a periodic noise tile, linearly between its points.

    Args:
        p: first coordinate; one unit is a whole tile of 256 points.
        q: second coordinate.
        tile: number of the tile in [0, 12), broadcast to the pictures; 0 is roughest.

    Returns:
        Noise in [0, 1] with mean near 0.5.
    """
    values = _tiles(str(p.device))
    x, y = p * TILE, q * TILE
    column, row = x.floor(), y.floor()
    fx, fy = x - column, y - row
    base = (tile.clamp(0, NUM_TILES - 1)).to(torch.int32) * (TILE * TILE)
    i, j = column.to(torch.int32), row.to(torch.int32)
    i0, i1 = i & (TILE - 1), (i + 1) & (TILE - 1)
    j0, j1 = base + (j & (TILE - 1)) * TILE, base + ((j + 1) & (TILE - 1)) * TILE
    top = torch.lerp(values[j0 + i0], values[j0 + i1], fx)
    bottom = torch.lerp(values[j1 + i0], values[j1 + i1], fx)
    return torch.lerp(top, bottom, fy)


def _wave(kind: str, p: Tensor, q: Tensor, tile: Tensor) -> Tensor:
    """Gives a field in about [-1, 1] whose sign is the pattern."""
    if kind == "checker":
        return torch.sin(math.pi * p) * torch.sin(math.pi * q)
    if kind == "stripes":
        return torch.sin(math.pi * p)
    if kind == "dots":
        return 0.62 - 2.0 * torch.hypot(p - p.floor() - 0.5, q - q.floor() - 0.5)
    if kind == "grid":
        return 1.0 - 9.0 * torch.minimum((p - p.round()).abs(), (q - q.round()).abs())
    if kind == "patches":
        return 6.0 * (noise(p * 0.05, q * 0.05, tile * 0 + 10) - 0.5)
    shifted = p + 0.5 * (q.floor() - 2 * (q * 0.5).floor())
    return 1.0 - 12.0 * torch.minimum(0.5 * (shifted - shifted.round()).abs() * 2, (q - q.round()).abs())


def pattern(
    kind: Tensor, kinds: list[int], coordinates: tuple[Tensor, Tensor], tile: Tensor, edge: Tensor
) -> Float[Tensor, "n h w"]:
    """Evaluates each picture's pattern.

    Args:
        kind: place in `PATTERNS` of each picture's pattern, "n 1 1".
        kinds: the places that occur among the pictures.
        coordinates: pattern coordinates; one unit is one cell.
        tile: noise tile of each picture, "n 1 1".
        edge: width of the pattern's edges in units of the field: small is hard. Broadcast over pixels.

    Returns:
        Mix of the second colour, in [0, 1].
    """
    p, q = coordinates
    result = torch.zeros_like(p)
    for number in kinds:
        name = PATTERNS[number]
        if name == "solid":
            continue
        if name == "noise":
            value = ((noise(p * 0.06, q * 0.06, tile) - 0.5) * 1.6 + 0.5).clamp(0, 1)
        else:
            value = (_wave(name, p, q, tile) / edge + 0.5).clamp(0, 1)
        result = value if len(kinds) == 1 else torch.where(kind == number, value, result)
    return result
