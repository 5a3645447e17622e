"""What an attention mask comes to on the latent grid."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from iclora.errors import RequestError
from iclora.geometry import LatentGrid
from iclora.plan import Findings
from iclora.reference import mask_to_tokens

LEAST_TOKEN = 0.1
"""Weight that the strongest token should reach. A white line of one pixel in cells of 32 gives 0.03; one
white frame of eight 0.125."""


def judge_mask(
    mask: Float[np.ndarray, ...] | Bool[np.ndarray, ...], grid: LatentGrid, label: str
) -> Findings:
    """Say what is wrong with a mask.

    Args:
        mask: ``h w`` or ``f h w``, 0 to 1, on the clock of the result.
        grid: The reference's latent grid.
        label: What to call the reference.

    Returns:
        Findings, each with what to do.
    """
    findings = Findings()
    values = np.asarray(mask, np.float32)
    try:
        tokens = mask_to_tokens(torch.as_tensor(values), grid)
    except RequestError as error:
        findings.error(f"{label}: {error}", advice="A still serves all frames.")
        return findings
    strongest = float(tokens.max())
    if not values.any():
        findings.error(
            f"{label}: its attention mask is black everywhere: nothing of the reference is looked at.",
            advice="Paint white what is to be followed, invert the mask, or leave the reference out.",
        )
    elif strongest < LEAST_TOKEN:
        size = f"{grid.width}x{grid.height} cells and {grid.frames} latent frames"
        findings.warning(
            f"{label}: its attention mask falls to {strongest:.2f} on the model's grid of {size}: too thin, "
            "or in too few frames.",
            advice="Paint it broader (in Python: masks.foreground(grow=..)), or for 8 frames or more.",
        )
    elif bool((tokens == 1).all()):
        findings.warning(
            f"{label}: its attention mask is white everywhere: it does nothing.", advice="Leave it out."
        )
    return findings
