"""Pictures whose edges are known."""

import numpy as np
import torch
from torch import Tensor


def pictures_of(*frames: np.ndarray) -> Tensor:
    """Grey frames `h w` of 0..255 as one clip `1 3 f h w` of -1..1."""
    stacked = torch.from_numpy(np.stack(frames)).float() / 127.5 - 1
    return stacked[None, None].expand(-1, 3, -1, -1, -1)


def step(at: int, *, low: float = 60, high: float = 160) -> np.ndarray:
    """A picture of two halves."""
    frame = np.full((48, 64), low, np.float32)
    frame[:, at:] = high
    return frame
