"""What is left to chance in a batch, drawn on the host from the seed, the step and the slot alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from iclora.training.config import ConditioningSettings, NoiseSettings

_MIN_LEVEL = 1e-3
_QUANTILES = (-2.5758, 3.0902)
"""Standard deviations of the 0.5% and the 99.9% quantile: what lies between them is stretched to 0..1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chance:
    """What was drawn for a batch of `b` clips.

    Attributes:
        sigma: Noise levels, `b` float32, 0..1.
        first_frame: Whose first frame is given.
        silent: Who has no caption.
        strangers: Who is shown the references of another clip.
        with_references: Whether the batch has its references.
        strengths: Attention strengths, 0..1; None: 1 for all.
        masks: Attention masks `b h w` of the shape `MASK_SIZE`, 0..1; None: none.
        noise_seed: Seed of the noise.
    """

    sigma: np.ndarray
    first_frame: np.ndarray
    silent: np.ndarray
    strangers: np.ndarray
    with_references: bool
    strengths: np.ndarray | None
    masks: np.ndarray | None
    noise_seed: int


MASK_SIZE = 64
"""Height and width of the masks that are drawn; they are brought to the references' grid by area."""


def chance_of(
    rng: np.random.Generator,
    count: int,
    conditioning: ConditioningSettings,
    noise: NoiseSettings,
    *,
    num_tokens: int,
    schedule: Sequence[float],
) -> Chance:
    """Draw everything that is left to chance in a batch.

    Args:
        rng: Source of chance.
        count: Clips of the batch.
        conditioning: How often what is shown.
        noise: How noise levels are drawn.
        num_tokens: Target tokens of a clip.
        schedule: Noise levels that the base is sampled at.

    Returns:
        What was drawn.
    """
    shares = rng.random((5, count))
    whole, trust = rng.random(), rng.random(count)
    strengths = masks = None
    strangers = np.zeros(count, bool)
    if conditioning.attention_strength is not None:
        low, high = conditioning.attention_strength
        strengths = np.where(shares[2] < conditioning.strength_dropout, 1.0, low + (high - low) * shares[3])
        strangers = trust >= strengths
    if conditioning.attention_masks:
        masks = np.stack([random_mask(rng) for _ in range(count)])
        masks[shares[4] < conditioning.mask_dropout] = 1.0
    return Chance(
        sigma=noise_levels(rng, count, noise, num_tokens=num_tokens, schedule=schedule),
        first_frame=shares[0] < conditioning.first_frame,
        silent=shares[1] < conditioning.prompt_dropout,
        strangers=strangers,
        with_references=bool(whole >= conditioning.reference_dropout),
        strengths=strengths,
        masks=masks,
        noise_seed=int(rng.integers(2**62)),
    )


def noise_levels(
    rng: np.random.Generator,
    count: int,
    settings: NoiseSettings,
    *,
    num_tokens: int,
    schedule: Sequence[float],
) -> np.ndarray:
    """Draw noise levels: shifted logit-normal, stretched, some even, some of the base's schedule.

    Args:
        rng: Source of chance.
        count: How many.
        settings: How many of which kind.
        num_tokens: Target tokens of a clip; more tokens want more noise.
        schedule: Noise levels that the base is sampled at, the last one 0.

    Returns:
        `b` float32 in 0..1.

    Source: Lightricks LTX-2, ``ltx_trainer/timestep_samplers.py``, ``ShiftedLogitNormalTimestepSampler``.
    """
    shift = shift_of(num_tokens)
    low, high = (_sigmoid(shift + deviation) for deviation in _QUANTILES)
    levels = (_sigmoid(shift + rng.standard_normal(count)) - low) / (high - low)
    levels = np.clip(levels, 0, 1)
    levels = np.where(levels < _MIN_LEVEL, 2 * _MIN_LEVEL - levels, levels)
    even = _MIN_LEVEL + (1 - _MIN_LEVEL) * rng.random(count)
    steps = rng.choice(np.asarray(schedule[:-1]), size=count)
    kind = rng.random(count)
    levels = np.where(kind < settings.uniform, even, levels)
    return np.where(kind >= 1 - settings.on_schedule, steps, levels).astype(np.float32)


def shift_of(num_tokens: int) -> float:
    """Mean of the normal distribution behind the noise levels: 0.95 at 1024 tokens, 2.05 at 4096, linear."""
    return 0.95 + (2.05 - 0.95) * (num_tokens - 1024) / (4096 - 1024)


def random_mask(rng: np.random.Generator) -> np.ndarray:
    """Draw a mask: half of the picture, cut at any angle, or a box of any place; inside 1 or outside 1.

    Args:
        rng: Source of chance.

    Returns:
        `h w` of `MASK_SIZE`, 0 or 1.
    """
    rows, columns = np.mgrid[0:MASK_SIZE, 0:MASK_SIZE] / (MASK_SIZE - 1) - 0.5
    is_box, inverted = rng.random(2) < 0.5
    angle, offset = rng.uniform(0, 2 * math.pi), rng.uniform(-0.25, 0.25)
    middle, sides = rng.uniform(-0.3, 0.3, 2), rng.uniform(0.15, 0.4, 2)
    if is_box:
        inside = (abs(rows - middle[0]) < sides[0]) & (abs(columns - middle[1]) < sides[1])
    else:
        inside = math.cos(angle) * rows + math.sin(angle) * columns > offset
    mask: np.ndarray = (inside != inverted).astype(np.float32)
    return mask


def noise_of(seed: int, like: Float[Tensor, "b s c"]) -> Float[Tensor, "b s c"]:
    """Draw the noise of a batch on its device, in float32."""
    generator = torch.Generator(like.device).manual_seed(seed)
    return torch.randn(like.shape, generator=generator, device=like.device)


def _sigmoid(values: np.ndarray | float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.asarray(values))))
