"""What a real camera adds, whatever the style, in some clips: exposure, vignette, soft focus and grain."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor

from toyworld.records import Numbers
from toyworld.texture import noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film:
    """Numbers of one clip's camera; zeros leave the picture as it is."""

    exposure: float
    """Stops: each doubles the light."""
    contrast: float
    """Added slope around middle gray."""
    vignette: float
    blur: float
    """Mix towards a blurred picture, in [0, 1]."""
    grain: float
    """Amplitude of noise that changes with each frame, in [0, 1]."""
    shift: float


def random_film(rng: np.random.Generator) -> Film:
    """Draws a camera; about half of all are perfect.

    Args:
        rng: source of randomness.

    Returns:
        The numbers.
    """
    on = (rng.random(5) < 0.4) * float(rng.random() < 0.55)
    return Film(
        exposure=float(on[0] * rng.normal(0, 0.22)),
        contrast=float(on[1] * rng.uniform(-0.3, 0.3)),
        vignette=float(on[2] * rng.uniform(0.1, 0.4)),
        blur=float(on[3] * rng.uniform(0.3, 1.0)),
        grain=float(on[4] * rng.uniform(0.02, 0.05)),
        shift=float(rng.random()),
    )


def expose(picture: Float[Tensor, "n 3 h w"], film: Numbers, time: Tensor) -> Float[Tensor, "n 3 h w"]:
    """Puts finished pictures on film.

    Args:
        picture: sRGB in [0, 1].
        film: `Film` of each picture.
        time: seconds, "n 1 1"; moves the grain.

    Returns:
        Pictures in [0, 1].
    """
    _, _, height, width = picture.shape
    short = min(height, width)
    device = picture.device
    if film.any("blur"):
        size = 2 * round(short / 128) + 1
        padded = functional.pad(picture, (size // 2,) * 4, mode="replicate")
        picture = torch.lerp(picture, functional.avg_pool2d(padded, size, 1), film["blur"][:, None])
    if film.any("exposure") or film.any("contrast"):
        picture = picture * torch.exp2(film["exposure"])[:, None]
        picture = picture + film["contrast"][:, None] * (picture - 0.5)
    if film.any("vignette"):
        y = ((torch.arange(height, device=device) + 0.5) / height * 2 - 1)[:, None]
        x = ((torch.arange(width, device=device) + 0.5) / width * 2 - 1)[None, :]
        picture = picture * (1 - film["vignette"] * (x * x + y * y) * 0.5)[:, None]
    if film.any("grain"):
        y = (torch.arange(height, device=device) / 200.0)[None, :, None]
        x = (torch.arange(width, device=device) / 200.0)[None, None, :]
        jump = (time * 977.0 + film["shift"] * 311.0).frac()
        speck = (
            noise(
                (x + 3.1 * jump).expand(len(picture), height, width),
                (y + 7.3 * jump).expand(len(picture), height, width),
                torch.zeros_like(time),
            )
            - 0.5
        )
        picture = picture + (2 * film["grain"] * speck)[:, None]
    return picture.clamp(0, 1)
