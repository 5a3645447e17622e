"""Video Depth Anything, small, base or large: depth that holds still in time; weights from the hub.

Source: S. Chen et al., "Video Depth Anything", 2025; settings of the released code: windows of 32 frames of
which 8 overlap, behind frames 0 and 12 of the window before; at most 16:9 of the shorter side 518.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.depths.anything import SHORT_SIDE, looked_at, prepared
from iclora.controls.depths.releases import RELEASES, find
from iclora.controls.depths.windows import by_windows

OVERLAP = 8
ANCHORS = (0, 12)
WIDE_FROM, WIDE = 1.78, 1.777
"""A picture longer than so many times its shorter side is looked at in the pixels of one of this shape."""


class VideoDepthAnything:
    """Guesses the depth of frames that follow each other, a window at a time.

    Args:
        name: A name in `RELEASES`, of one that looks at many frames.
        device: `cpu`, `cuda`, ..., as PyTorch has it.

    Raises:
        ModelError: If its weights cannot be fetched or read.
    """

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        from iclora.controls.depths.video_network import PATCH, WINDOW, read_network

        (path,) = find(RELEASES[name])
        self._network = read_network(path).to(device)
        self._device, self._patch, self._length = device, PATCH, WINDOW

    def __call__(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Float32[np.ndarray, "H W"]]:
        """Guess how near everything is.

        Args:
            frames: RGB 0..255.

        Returns:
            Nearness of each frame on one scale, up to a scale and a shift, at least 0, of the size it was
            looked at.
        """
        pictures = map(self._prepared, frames)
        return by_windows(
            pictures, self._look, length=self._length, overlap=OVERLAP, anchors=ANCHORS, least=0.0
        )

    def _prepared(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 H W"]:
        height, width = frame.shape[:2]
        shape = max(height, width) / min(height, width)
        side, patch = SHORT_SIDE, self._patch
        if shape > WIDE_FROM:
            side = max(1, round(int(side * WIDE / shape) / patch)) * patch
        size = looked_at(height, width, multiple=patch, short_side=side)
        return np.asarray(prepared(frame, *size)[0])

    def _look(self, pictures: list[np.ndarray]) -> Float32[np.ndarray, "t H W"]:
        """The nearness of a window; the last one goes on with its last frame, as released."""
        import torch

        window = torch.from_numpy(np.stack(pictures)).to(self._device)
        with torch.inference_mode():
            found = self._network(window, length=self._length)
        return np.asarray(found.cpu().numpy(), np.float32)
