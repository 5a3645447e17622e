"""What may be wrong with a pair, and captions that tell of the control instead of the clip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from iclora.plan import ModelFacts, num_prompt_tokens

FlawKind = Literal["file", "reference", "prompt", "length", "size", "duplicate", "caption", "motion", "empty"]

ACCEPTABLE: tuple[FlawKind, ...] = ("length", "size", "duplicate", "caption", "motion", "empty")
"""Kinds that can be accepted: a pair is trained on all the same."""

_SUBJECTS = r"depth|normals?|edges?|canny|poses?|skeleton|segmentation|line[- ]?art|optical flow|control"
_TELLING = re.compile(
    rf"\b(?:{_SUBJECTS})[- ]?(?:maps?|images?|videos?|sequences?|passes|render(?:ing)?s?)\b"
    r"|\bcanny\b|\b(?:open|dw|blaze)pose\b|\bkey-?points?\b"
    r"|\b(?:skeleton|stick[- ]figure|wire-?frame|line drawing|edge detection) of\b"
    r"|\b(?:white|colou?red|thin|bright) (?:lines?|edges?|outlines?|dots?|trails?) (?:on|over|against) "
    r"(?:an? )?(?:plain |solid )?black\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """Something wrong with a pair.

    Attributes:
        kind: What it is about.
        text: What is the case, with the values.
        broken: Whether the pair must not be trained on; else it is said and no more.
    """

    kind: FlawKind
    text: str
    broken: bool = True


def prompt_flaws(facts: ModelFacts, prompt: str) -> list[Flaw]:
    """Look whether a prompt fits the model.

    Args:
        facts: The model.
        prompt: The caption with its trigger.

    Returns:
        What is wrong with it.

    Raises:
        ModelError: The model's tokenizer cannot be read.
    """
    count, most = num_prompt_tokens(facts, prompt), facts.recipe.max_prompt_tokens
    if count <= most:
        return []
    return [Flaw(kind="prompt", text=f"its caption has {count} tokens, and the model takes {most}")]


def caption_flaws(caption: str) -> list[Flaw]:
    """Look at a caption.

    A model learns to make what the caption says; a caption of the control teaches it to draw the control.

    Args:
        caption: The caption.

    Returns:
        What is wrong with it.
    """
    if not caption:
        return [Flaw(kind="caption", text="it has no caption", broken=False)]
    found = _TELLING.search(caption)
    if found is None:
        return []
    return [Flaw(kind="caption", text=f"its caption tells of the control: '{found[0]}'")]
