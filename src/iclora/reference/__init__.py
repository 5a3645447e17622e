"""References: what the user asks for, the tokens the model gets, and the masks that say where it looks.

numbers, control clips ─► masks ─► attention mask ┐
                          control clip, strengths ┴► Reference ─► tokens ─► ReferenceTokens, TokenSequence
"""

from iclora.reference.calibration import attention_for
from iclora.reference.masks import fade_in, fade_out, feather, foreground, preview, regions
from iclora.reference.tokens import (
    assemble,
    audio_sequence,
    keyframe_tokens,
    mask_to_tokens,
    reference_tokens,
    target_sequence,
)
from iclora.reference.values import Reference, ReferenceTokens, TokenSequence

__all__ = [
    "Reference",
    "ReferenceTokens",
    "TokenSequence",
    "assemble",
    "attention_for",
    "audio_sequence",
    "fade_in",
    "fade_out",
    "feather",
    "foreground",
    "keyframe_tokens",
    "mask_to_tokens",
    "preview",
    "reference_tokens",
    "regions",
    "target_sequence",
]
