"""Guidance that models were made for, beyond the scale of the prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass

from iclora.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class MoreGuidance:
    """What guidance moves away from beside the negative prompt, whose scale for the video stands alone.

    Attributes:
        audio_scale: How far the audio moves away from the negative prompt; 1 is not at all, None as far as
            the video.
        stg_scale: How far both move away from what is made where self-attention is left out of `stg_blocks`
            (spatio-temporal guidance); 0 is not at all.
        stg_blocks: Those blocks.
        modality_scale: How far both move away from what is made where they do not hear each other; 1 is not
            at all.
        rescale: How much of the spread of the guess without guidance is given back, 0 to 1.

    Raises:
        RequestError: A number is outside its range.
    """

    audio_scale: float | None = None
    stg_scale: float = 0.0
    stg_blocks: tuple[int, ...] = ()
    modality_scale: float = 1.0
    rescale: float = 0.0

    def __post_init__(self) -> None:
        numbers = {
            "audio scale": (self.audio_scale, 1, math.inf),
            "stg scale": (self.stg_scale, 0, math.inf),
            "modality scale": (self.modality_scale, 1, math.inf),
            "rescaling": (self.rescale, 0, 1),
        }
        for name, (value, least, most) in numbers.items():
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                accepted = (
                    f"a number from {least} up" if most == math.inf else f"a number from {least} to {most}"
                )
                raise RequestError(f"The {name} of the guidance is {value:g}; {accepted} is accepted.")

    def audio_scale_beside(self, scale: float) -> float:
        """The audio's scale of the prompt beside that of the video."""
        return scale if self.audio_scale is None else self.audio_scale

    def wants_negative(self, scale: float) -> bool:
        """Whether there is a pass with the negative prompt, where the video's scale is this."""
        return scale != 1 or self.audio_scale_beside(scale) != 1

    def num_passes(self, scale: float, *, has_audio: bool) -> int:
        """How many times the transformer runs in a step, where the video's scale is this."""
        apart = has_audio and self.modality_scale != 1
        return 1 + self.wants_negative(scale) + (self.stg_scale != 0) + apart
