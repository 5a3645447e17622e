"""Small files of Video Depth Anything's form: names and kinds of weights as released, few and made up."""

import math
import zlib
from pathlib import Path

import numpy as np
import torch

WIDTH, SIZES, FUSED, HEAD = 64, (32, 32, 64, 64), 32, 32
WINDOW = 32


def _layer(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _backbone(side: int) -> dict[str, tuple[int, ...]]:
    """12 layers that look at pictures of `side` x `side` patches."""
    shapes = {"cls_token": (1, 1, WIDTH), "mask_token": (1, WIDTH), "pos_embed": (1, 1 + side**2, WIDTH)}
    shapes |= _layer("patch_embed.proj", WIDTH, 3, 14, 14) | _layer("norm", WIDTH)
    for block in (f"blocks.{number}" for number in range(12)):
        shapes |= _layer(f"{block}.norm1", WIDTH) | _layer(f"{block}.norm2", WIDTH)
        shapes |= _layer(f"{block}.attn.qkv", 3 * WIDTH, WIDTH) | _layer(f"{block}.attn.proj", WIDTH, WIDTH)
        shapes |= _layer(f"{block}.mlp.fc1", 4 * WIDTH, WIDTH) | _layer(f"{block}.mlp.fc2", WIDTH, 4 * WIDTH)
        shapes |= {f"{block}.ls1.gamma": (WIDTH,), f"{block}.ls2.gamma": (WIDTH,)}
    return {f"pretrained.{name}": shape for name, shape in shapes.items()}


def _head() -> dict[str, tuple[int, ...]]:
    shapes = _layer("resize_layers.0", SIZES[0], SIZES[0], 4, 4) | _layer(
        "resize_layers.1", SIZES[1], SIZES[1], 2, 2
    )
    shapes |= _layer("resize_layers.3", SIZES[3], SIZES[3], 3, 3)
    for number, size in enumerate(SIZES):
        unit = f"scratch.refinenet{number + 1}"
        shapes |= _layer(f"projects.{number}", size, WIDTH, 1, 1)
        shapes |= {f"scratch.layer{number + 1}_rn.weight": (FUSED, size, 3, 3)}
        shapes |= _layer(f"{unit}.out_conv", FUSED, FUSED, 1, 1)
        for part in ("Unit1.conv1", "Unit1.conv2", "Unit2.conv1", "Unit2.conv2"):
            shapes |= _layer(f"{unit}.resConf{part}", FUSED, FUSED, 3, 3)
    shapes |= _layer("scratch.output_conv1", FUSED // 2, FUSED, 3, 3)
    shapes |= _layer("scratch.output_conv2.0", HEAD, FUSED // 2, 3, 3)
    shapes |= _layer("scratch.output_conv2.2", 1, HEAD, 1, 1)
    for number, size in enumerate((*SIZES[2:], FUSED, FUSED)):
        in_time = f"motion_modules.{number}.temporal_transformer"
        shapes |= {f"{in_time}.{name}": shape for name, shape in _in_time(size).items()}
    return {f"head.{name}": shape for name, shape in shapes.items()}


def _in_time(size: int) -> dict[str, tuple[int, ...]]:
    block = "transformer_blocks.0"
    shapes = _layer("norm", size) | _layer("proj_in", size, size) | _layer("proj_out", size, size)
    shapes |= _layer(f"{block}.ff.net.0.proj", 8 * size, size) | _layer(f"{block}.ff.net.2", size, 4 * size)
    shapes |= _layer(f"{block}.ff_norm", size)
    for number in (0, 1):
        attention = f"{block}.attention_blocks.{number}"
        shapes |= {f"{attention}.to_{part}.weight": (size, size) for part in "qkv"}
        shapes |= _layer(f"{attention}.to_out.0", size, size) | _layer(f"{block}.norms.{number}", size)
        shapes |= {f"{attention}.pos_encoder.pe": (1, WINDOW, size)}
    return shapes


def weights(*, side: int = 3) -> dict[str, torch.Tensor]:
    """All weights by their released names; each depends on its name alone.

    Args:
        side: Patches of a picture's side the network has learnt places for.
    """
    return {name: _filled(name, shape) for name, shape in (_backbone(side) | _head()).items()}


def _filled(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    if name.endswith(".pe"):
        angle = np.arange(WINDOW)[:, None] * np.exp(-math.log(10000) * np.arange(0, shape[2], 2) / shape[2])
        waves = np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(shape)
        return torch.from_numpy(waves.astype(np.float32))
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if "token" in name or "embed" in name and "proj" not in name:
        scaled = values
    elif len(shape) > 1:
        scaled = values / math.sqrt(math.prod(shape[1:]))
    else:
        scaled = ("norm" in name and "weight" in name) + ("gamma" in name) + 0.1 * values
    return torch.from_numpy(scaled.astype(np.float32))


def write(path: Path) -> Path:
    """Write such a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights(), path)
    return path
