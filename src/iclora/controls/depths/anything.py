"""Depth Anything V2, small, base or large, through `transformers`; weights from the hub on first use.

Source: L. Yang et al., "Depth Anything V2", 2024; preprocessor_config.json of the released files: the shorter
side 518 pixels, both a multiple of 14, ImageNet's mean and spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.bars import without_bars
from iclora.controls.depths.batches import batch_size, in_batches
from iclora.controls.depths.releases import RELEASES, find
from iclora.errors import ModelError

SHORT_SIDE = 518
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
SPREAD = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pictures, RGB in 0..1."""


class DepthAnything:
    """Guesses the depth of pictures, on a card a few at a time.

    Args:
        name: A name in `RELEASES`.
        device: `cpu`, `cuda`, ..., as PyTorch has it.

    Raises:
        ModelError: If its weights cannot be fetched or read.
    """

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        self._network = load(find(RELEASES[name])[0].parent).to(device)
        self._device = device
        config = self._network.config
        self._patch = int(config.patch_size or config.backbone_config.patch_size)
        self._distances = config.depth_estimation_type == "metric"

    def __call__(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Float32[np.ndarray, "H W"]]:
        """Guess how near everything is.

        Args:
            frames: RGB 0..255.

        Yields:
            Nearness up to a scale and a shift, of the size it was looked at.
        """
        import torch

        def pictures() -> Iterator[np.ndarray]:
            for frame in frames:
                yield prepared(frame, *looked_at(*frame.shape[:2], multiple=self._patch))[0]

        for batch in in_batches(pictures(), batch_size(self._device)):
            with torch.inference_mode():
                found = self._network(pixel_values=torch.from_numpy(batch).to(self._device)).predicted_depth
            for one in found.float().cpu().numpy():
                yield np.asarray(1 / np.maximum(one, 1e-3) if self._distances else one, np.float32)


def looked_at(height: int, width: int, *, multiple: int, short_side: int = SHORT_SIDE) -> tuple[int, int]:
    """Choose the size at which a picture is looked at: its shape kept, as near as the multiple allows.

    Args:
        height: Of the picture, in pixels.
        width: Likewise.
        multiple: What both must be multiples of.
        short_side: About how long the shorter side shall be.

    Returns:
        Height and width.
    """
    scale = short_side / min(height, width)
    sizes = [max(1, round(side * scale / multiple)) * multiple for side in (height, width)]
    return sizes[0], sizes[1]


def prepared(frame: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> Float32[np.ndarray, "1 3 H W"]:
    """Bring a picture to a size, and to the mean and spread of ImageNet's.

    Args:
        frame: RGB 0..255.
        height: Wanted, in pixels.
        width: Likewise.

    Returns:
        One picture, channels first.
    """
    method = cv2.INTER_CUBIC if min(frame.shape[:2]) < min(height, width) else cv2.INTER_AREA
    resized = cv2.resize(frame, (width, height), interpolation=method).astype(np.float32)
    return np.ascontiguousarray(((resized / np.float32(255) - MEAN) / SPREAD).transpose(2, 0, 1)[None])


def load(folder: Path) -> Any:
    """Read a network of the Depth Anything kind.

    Args:
        folder: Holds the files of the release.

    Returns:
        The network of `transformers`, in float32, on the CPU.

    Raises:
        ModelError: If the files are damaged or of another kind.
    """
    from safetensors import SafetensorError
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    try:
        config = DepthAnythingConfig.from_pretrained(folder, local_files_only=True)
        with without_bars():
            network = DepthAnythingForDepthEstimation.from_pretrained(
                folder, config=config, local_files_only=True
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{folder} does not hold Depth Anything V2 ({reason}); delete it and run again."
        ) from error
    return network.eval()
