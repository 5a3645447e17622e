"""A clip of soft noise that moves as it is told."""

import cv2
import numpy as np

from iclora.clip import Clip


def textured(*shifts: int) -> Clip:
    """A picture of soft noise, moved to the right by so many pixels in each frame."""
    noise = np.random.default_rng(0).normal(0, 1, (48, 120, 3))
    picture = (128 + 500 * cv2.GaussianBlur(noise, (0, 0), 3)).clip(0, 255).astype(np.uint8)
    return Clip(frames=np.stack([picture[:, 30 - shift : 94 - shift] for shift in shifts]), fps=12.0)
