"""The numbers of the steps since the last row of the log, kept on the device: reading them waits for it."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

NUM_LEVELS = 10
"""Ranges of noise levels that the loss is told for."""


class Meter:
    """Collects losses, gradients, and losses by noise level.

    Args:
        device: Where they are computed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begin()

    def _begin(self) -> None:
        self._losses: list[Tensor] = []
        self._gradients: list[Tensor] = []
        self._batches: list[Tensor] = []
        self._by_level = torch.zeros(2, NUM_LEVELS, device=self._device)

    @property
    def num_steps(self) -> int:
        """Steps since the last row."""
        return len(self._losses)

    def add_batch(self, losses: Float[Tensor, "n b"], sigma: Float[Tensor, " b"]) -> None:
        """Take the losses of a batch.

        Args:
            losses: Of each clip, from `Learner`.
            sigma: Noise levels that the first of them are of, 0..1.
        """
        self._batches.append(losses.detach().mean(dim=1))
        losses = losses[0].detach()
        # By a product, as adding by index is not the same each time on a GPU.
        levels = (sigma * NUM_LEVELS).long().clamp(0, NUM_LEVELS - 1)
        places = (levels[:, None] == torch.arange(NUM_LEVELS, device=losses.device)).to(losses)
        self._by_level += torch.stack([losses @ places, places.sum(dim=0)])

    def end_step(self, gradient: Tensor) -> None:
        """Take the length of a step's gradient, and the losses of its batches together."""
        self._losses.append(torch.stack(self._batches).mean(dim=0))
        self._gradients.append(gradient.detach())
        self._batches = []

    def read(self, accelerator: Any) -> tuple[list[list[float]], list[float], list[float | None]]:
        """Read everything, the mean of all processes, and begin anew.

        Args:
            accelerator: Of accelerate.

        Returns:
            Each loss of each step; gradient of each step; mean of the first loss at noise levels 0..0.1,
            0.1..0.2 and so on, None where there was none.
        """
        steps = torch.cat([torch.stack(self._losses).T, torch.stack(self._gradients)[None]])
        *losses, gradients = accelerator.reduce(steps, reduction="mean").tolist()
        sums, counts = accelerator.reduce(self._by_level, reduction="sum").tolist()
        self._begin()
        by_level = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
        return losses, gradients, by_level


def first_broken(*numbers: list[float]) -> int | None:
    """Tell the first place at which one of some lists is not finite; None where all are."""
    for place, values in enumerate(zip(*numbers, strict=True)):
        if not all(map(math.isfinite, values)):
            return place
    return None
