"""Schedules of noise levels that models were made for."""

from __future__ import annotations

import math

# Source: Lightricks LTX-2 pipelines, utils/constants.py.
DISTILLED_SIGMAS = (1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0)
REFINE_SIGMAS = (0.909375, 0.725, 0.421875, 0.0)

# Source: Lightricks LTX-2, components/schedulers.py: the shift at 4096 tokens, which the official pipelines
# take whatever the size, and the last level before 0.
_DEV_SHIFT = 2.05
_DEV_TERMINAL = 0.1


def dev_sigmas(num_steps: int) -> tuple[float, ...]:
    """Make the schedule of a model that is not distilled.

    Even levels are shifted towards noise, then stretched so that the last one before 0 is 0.1.

    Args:
        num_steps: Steps, from 2 up.

    Returns:
        ``num_steps + 1`` falling levels from 1 to 0.
    """
    even = [1 - step / num_steps for step in range(num_steps)]
    shifted = [math.exp(_DEV_SHIFT) / (math.exp(_DEV_SHIFT) + (1 / level - 1)) for level in even]
    scale = (1 - shifted[-1]) / (1 - _DEV_TERMINAL)
    return (*(1 - (1 - level) / scale for level in shifted), 0.0)
