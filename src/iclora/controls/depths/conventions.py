"""How depth is drawn: what is white, or in which colours; and how each adapter wants it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.errors import AdapterError, RequestError

NEAR_WHITE, NEAR_BLACK, INFERNO = "near-white", "near-black", "inferno"
CONVENTIONS = (NEAR_WHITE, NEAR_BLACK, INFERNO)
RELEASED: Mapping[str, str] = MappingProxyType(
    {
        "ltx-2-19b-ic-lora-depth-control": NEAR_WHITE,
        "ltx-2-19b-ic-lora-union": NEAR_WHITE,
        "ltx-2.3-22b-ic-lora-union-control": NEAR_WHITE,
    }
)
"""Beginnings of the names of released files: what their maker's workflows feed them. The maker's desktop
application feeds the union adapter `inferno`; what they were trained on is not published."""


def convention_of(name: str, metadata: Mapping[str, str]) -> str:
    """Find how an adapter wants depth drawn.

    Args:
        name: The name of its file, without folder and suffix.
        metadata: Of its file; `iclora.config` may hold `{"control": {"convention": ..}}`.

    Returns:
        One of `CONVENTIONS`: what the file says, else what is known of its name, else near-white.

    Raises:
        AdapterError: If what the file says cannot be read or drawn.
    """
    try:
        said = json.loads(metadata.get("iclora.config") or "{}").get("control", {}).get("convention")
    except (AttributeError, ValueError) as error:
        raise AdapterError(
            f"'iclora.config' of {name} is not readable JSON settings ({error}). Fetch it again."
        ) from error
    if said is None:
        return next((known for start, known in RELEASED.items() if name.startswith(start)), NEAR_WHITE)
    if said not in CONVENTIONS:
        raise AdapterError(
            f"{name} was trained on depth drawn as {said!r}, which this version cannot draw "
            f"(it knows {', '.join(CONVENTIONS)}). Install the version that trained it."
        )
    return str(said)


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
