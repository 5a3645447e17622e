"""The estimator `tiny`: half a million weights inside the package, trained on `toyworld` alone.

It has never seen a photograph. It has learnt how lit solids look on a ground that comes nearer towards the
lower edge; of filmed clips it gives a plausible order from near to far, soft at the edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.depths.batches import in_batches

if TYPE_CHECKING:
    from iclora.controls.depths.network import TinyDepthNetwork

WEIGHTS = Path(__file__).with_name("tiny.safetensors")
SHORT_SIDE = 192
"""Pixels of a picture's shorter side when it is looked at."""
BATCH = 8
"""Pictures looked at together; on one core that takes a tenth less time."""
_MAX_SHAPE = 3.0
"""A picture longer than so many times its shorter side is looked at as if it were of this shape."""


class Tiny:
    """Guesses the depth of pictures, a few at a time.

    Args:
        network: Other weights than the embedded ones.
        device: `cpu`, `cuda`, ..., as PyTorch has it.

    Raises:
        ModelError: If the embedded weights are missing or damaged.
    """

    def __init__(self, *, network: TinyDepthNetwork | None = None, device: str = "cpu") -> None:
        self._network = (network or load()).eval().to(device)
        self._device = device

    def __call__(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Float32[np.ndarray, "H W"]]:
        """Guess how near everything is.

        Args:
            frames: RGB 0..255.

        Yields:
            Nearness (1 over distance) up to a scale and a shift, half as large as it was looked at.
        """
        import torch

        for batch in in_batches(map(_small, frames), BATCH):
            with torch.inference_mode():
                yield from self._network(torch.from_numpy(batch).to(self._device)).cpu().numpy()


def _small(frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 y x"]:
    """A picture as the network takes it: RGB in [-1, 1]."""
    height, width = looked_at(*frame.shape[:2])
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small.transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - 1)


def looked_at(height: int, width: int) -> tuple[int, int]:
    """Choose the size at which a picture is looked at.

    Args:
        height: Of the picture, in pixels.
        width: Likewise.

    Returns:
        Height and width: the shorter is `SHORT_SIDE`, both are multiples of 16.
    """
    scale = SHORT_SIDE / min(height, width)
    longest = SHORT_SIDE * _MAX_SHAPE
    sizes = [max(1, round(min(side * scale, longest) / 16)) * 16 for side in (height, width)]
    return sizes[0], sizes[1]


def load(path: Path = WEIGHTS) -> TinyDepthNetwork:
    """Read the weights.

    Args:
        path: A file that `toyworld/train_depth.py` wrote.

    Returns:
        The network, in float32, on the CPU.

    Raises:
        ModelError: If the file is missing, damaged or holds other weights.
    """
    from iclora.controls.depths.network import TinyDepthNetwork, read_weights

    return read_weights(TinyDepthNetwork(), path, "the depth estimator")
