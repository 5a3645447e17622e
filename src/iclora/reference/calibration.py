"""The attention dial made even: how much of its effect a control shall have, as an attention strength.

The attention strength is a factor of softmax weights. References win most of the attention of what lies near
them, so a factor of 0.5 changes little: as it is turned up from 0 the effect rises early and steeply.

    effect                 share of the adherence that the control adds at strength 1 (0: none, 1: all)
    attention strength w   effect = (1 + HALF²) · w² / (w² + HALF²)

Measured with `iclora sweep` on the embedded model: edges of two filmed clips and a rendered one, 2 seeds
each, 192x192, 17 frames; mean effect of the three 0.97 at 0.5, 0.86 at 0.25, 0.45 at 0.1, 0.07 at 0.03. Of
other models and adapters the place of the half differs, and has not been measured.
"""

from __future__ import annotations

import math

from iclora.errors import RequestError

HALF = 0.11
"""Attention strength at which the control has about half its effect."""


def attention_for(effect: float) -> float:
    """Find the attention strength at which a control has some share of its effect.

    Args:
        effect: 0 (none) .. 1 (all), evenly.

    Returns:
        The attention strength, 0..1; 0 and 1 are exact.

    Raises:
        RequestError: If the effect is out of 0..1.
    """
    if not 0 <= effect <= 1:
        raise RequestError(
            f"The control strength is {effect}; it must lie in 0..1, where 0.5 is half the effect."
        )
    if effect == 1:
        return 1.0
    return HALF * math.sqrt(effect / (1 + HALF**2 - effect))
