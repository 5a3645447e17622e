"""How depth is drawn: what is white, or in which colours. How an adapter wants it, `adapters` knows."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.errors import RequestError

NEAR_WHITE, NEAR_BLACK, INFERNO = "near-white", "near-black", "inferno"
CONVENTIONS = (NEAR_WHITE, NEAR_BLACK, INFERNO)


def check_convention(convention: str) -> None:
    """Refuse a convention that does not exist.

    Args:
        convention: What was asked for.

    Raises:
        RequestError: If it is not one of `CONVENTIONS`.
    """
    if convention not in CONVENTIONS:
        raise RequestError(f"There is no depth convention {convention!r}; choose {', '.join(CONVENTIONS)}.")


def coloured(nearness: Float32[np.ndarray, "h w"], convention: str) -> UInt8[np.ndarray, "h w 3"]:
    """Draw one frame.

    Args:
        nearness: 0 (far) to 1 (near).
        convention: One of `CONVENTIONS`. INFERNO is matplotlib's map: black far, then violet, orange, pale
            yellow.

    Returns:
        RGB 0..255.
    """
    grey = np.rint((1 - nearness if convention == NEAR_BLACK else nearness) * np.float32(255)).astype(
        np.uint8
    )
    if convention == INFERNO:
        return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[:, :, ::-1])
    return np.repeat(grey[:, :, None], 3, axis=2)


def uncoloured(picture: UInt8[np.ndarray, "h w 3"], convention: str) -> Float32[np.ndarray, "h w"]:
    """Read a frame that `coloured` drew.

    Args:
        picture: RGB 0..255.
        convention: One of `CONVENTIONS`.

    Returns:
        Nearness, 0 (far) to 1 (near); of a colour that the convention has not, that of the nearest it has.

    Raises:
        RequestError: If there is no such convention.
    """
    check_convention(convention)
    if convention == INFERNO:
        shades = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None], INFERNO)[0].astype(np.float32)
        colours, place = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
        apart = (shades**2).sum(axis=1) - 2 * colours.astype(np.float32) @ shades.T
        levels = apart.argmin(axis=1)[place].astype(np.float32) / np.float32(255)
        return np.asarray(levels.reshape(picture.shape[:2]))
    grey = picture.mean(axis=2, dtype=np.float32) / np.float32(255)
    return np.asarray(1 - grey if convention == NEAR_BLACK else grey, np.float32)
