"""A model folder small enough to run in a moment, with an adapter of its own, and a film to control it by."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import LTX2VideoTransformer3DModel

from iclora import adapters
from iclora.clip import Clip
from toyworld.architecture import save_random


def moving_square(*, num_frames: int = 9, height: int = 48, width: int = 64, fps: float = 16.0) -> Clip:
    """A light square that moves right over a dark ground, two pixels a frame."""
    frames = np.full((num_frames, height, width, 3), 30, np.uint8)
    for index in range(num_frames):
        left = (4 + 2 * index) % (width - 20)
        frames[index, 12:32, left : left + 20] = (200, 180, 90)
    return Clip(frames=frames, fps=fps)


def random_layers(folder: Path, *, rank: int = 2) -> dict[str, adapters.LowRank]:
    """Layers of an adapter with random weights that fits the model in a folder."""
    transformer = LTX2VideoTransformer3DModel.from_pretrained(folder / "transformer")
    torch.manual_seed(7)
    adapters.create(transformer, rank=rank, name="new")
    return {
        name: adapters.LowRank(down=layer.down, up=torch.randn_like(layer.up) * 0.2)
        for name, layer in adapters.take(transformer, "new").items()
    }


def adapter_metadata(
    *,
    base: str = "micro",
    downscale: int = 2,
    config: dict[str, Any] | None = None,
    reference_attention: str = "two_way",
) -> dict[str, str]:
    """Metadata of a canny adapter."""
    return adapters.describe(
        downscale=downscale,
        temporal_factor=1,
        control="canny",
        base=base,
        version="1",
        config=config,
        reference_attention=reference_attention,
    )


def save_thick(model: Path, path: Path, **dials: Any) -> Path:
    """Write an adapter for a model that was trained on lines drawn with dials (3 px thick if none)."""
    metadata = adapter_metadata(config={"control": dials or {"thickness": 3}})
    return adapters.write(path, random_layers(model), metadata)


def save_one_way(model: Path, path: Path, *, base: str = "micro") -> Path:
    """Write an adapter for a model whose references do not look at the video."""
    metadata = adapter_metadata(base=base, reference_attention="one_way")
    return adapters.write(path, random_layers(model), metadata)


def save_micro(folder: Path) -> Path:
    """Write a model (64x64 pixels, 9 frames, 16 frames per second) with an adapter `canny`."""
    save_random(folder, micro=True)
    (folder / "adapters").mkdir()
    adapters.write(folder / "adapters" / "canny.safetensors", random_layers(folder), adapter_metadata())
    return folder
