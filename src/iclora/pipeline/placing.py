"""Where parts of a model are: all on the device, or each there only while it is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
from torch import nn

from iclora.checkpoints import Components

# Frames of a tile that is decoded at once, and from one tile to the next; all tiles are blended.
_TILE_FRAMES, _TILE_STRIDE = 80, 56


@contextmanager
def at_work(device: str | None, *modules: Any) -> Iterator[None]:
    """Bring modules to a device, and back to the computer's memory afterwards.

    Args:
        device: The device; None leaves them where they are.
        *modules: Modules.
    """
    if device is None:
        yield
        return
    try:
        for module in modules:
            module.to(device)
        yield
    finally:
        for module in modules:
            module.to("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def move(components: Components, device: str) -> None:
    """Bring all parts of a model to a device."""
    for part in fields(components):
        module = getattr(components, part.name)
        if isinstance(module, nn.Module):
            module.to(device)


@contextmanager
def decoded_in_tiles(vae: Any) -> Iterator[None]:
    """Let a video autoencoder decode in tiles of 512 pixels and 80 frames: less memory, not the same bytes.

    Args:
        vae: A diffusers ``AutoencoderKLLTX2Video``; encoding stays whole, as the official code does it.
    """
    vae.enable_tiling(tile_sample_min_num_frames=_TILE_FRAMES, tile_sample_stride_num_frames=_TILE_STRIDE)
    vae.use_framewise_decoding = True
    try:
        yield
    finally:
        vae.disable_tiling()
        vae.use_framewise_decoding = False
