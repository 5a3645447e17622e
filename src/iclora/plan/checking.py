"""Dials and adapters that make a plan do less than it seems to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from iclora.adapters import Outline
from iclora.checkpoints import Recipe
from iclora.plan.values import Findings, PlannedAdapter, PlannedReference, Request

LOW_ATTENTION = 0.2
"""Attention strength from which down hardly anything is left. Measured with the embedded model on edges of
the filmed clip `carphone` (two seeds, 256x256, 17 frames): the share of the gain in edge F1, from 0.14 at 0
to 0.50 at 1, is 0.02 at 0.1, 0.11 at 0.2, 0.27 at 0.3, 0.53 at 0.5."""


def check_origin(outline: Outline, recipe: Recipe, findings: Findings) -> None:
    """Say what is known of an adapter by its name alone, and when it was made for another kind of model.

    Args:
        outline: The adapter's header; it fits the model by its layers, and by the base it says.
        recipe: What the model was made for.
        findings: What is said is added here.
    """
    if outline.controls_source == "file name":
        followed = " or ".join("the film as it is" if one == "film" else one for one in outline.controls)
        findings.note(
            f"{outline.source} does not say what it follows; known by its file name: {followed}.",
            advice="If that is another file of that name, give it a name of its own.",
        )
    if outline.base is None and outline.named_base not in (None, recipe.base):
        findings.warning(
            f"{outline.source} is for the base '{outline.named_base}' (known by its file name), but this "
            f"model is '{recipe.base}': it may do little, or harm.",
            advice="Load the base it was trained on, or the adapter released for this one.",
            about="adapter",
        )
    if None not in (outline.distilled, recipe.distilled) and outline.distilled != recipe.distilled:
        wanted, here = ("distilled", "dev") if outline.distilled else ("dev", "distilled")
        known = "" if "iclora.recipe" in outline.metadata else " (known by its file name)"
        findings.warning(
            f"{outline.source} is made for {wanted} models{known}, but this is a {here} one, with "
            f"{len(recipe.sigmas) - 1} steps and guidance {recipe.guidance_scale:g}.",
            advice=f"Load the {wanted} model of its base.",
            about="adapter",
        )


def check_guidance(request: Request, recipe: Recipe, findings: Findings) -> None:
    """Refuse guidance that cannot be, and say what of it does nothing.

    Args:
        request: What is asked for.
        recipe: What the model was made for.
        findings: What is said is added here.
    """
    more = request.more_guidance
    if not (math.isfinite(request.guidance_scale) and request.guidance_scale >= 1):
        text = f"The guidance scale is {request.guidance_scale:g}; a number from 1 (none) up is accepted."
        findings.error(text, advice=f"Ask for {recipe.guidance_scale:g}, the model's own.")
    if more.stg_scale and not more.stg_blocks:
        text = "It is not known which blocks of this model stg leaves self-attention out of."
        findings.error(text, advice="Leave stg out; in Python say MoreGuidance(stg_blocks=(28,), ...).")
    if not recipe.has_audio and (more.modality_scale != 1 or more.audio_scale is not None):
        text = "The model makes no audio: of the guidance audio and modality do nothing."
        findings.warning(text, advice="Leave them out.")


def check_dials(
    adapters: Sequence[PlannedAdapter], references: Sequence[PlannedReference], findings: Findings
) -> None:
    """Say which references are hardly looked at, and when there are more than adapters were trained with.

    Args:
        adapters: The adapters to attach.
        references: The references as the model will be given them.
        findings: What is said is added here.
    """
    _check_attention(references, findings)
    _check_company(adapters, references, findings)


def _check_attention(references: Sequence[PlannedReference], findings: Findings) -> None:
    for one in references:
        if one.attention_strength == 0:
            findings.warning(
                f"{one.label}: the attention strength is 0: the video does not look at it at all.",
                advice="Leave it out, or raise the attention strength.",
            )
        elif 0 < one.attention_strength <= LOW_ATTENTION:
            findings.warning(
                f"{one.label}: the attention strength {one.attention_strength:g} is low: little of the "
                "control is followed.",
                advice="0.3 to 1 follows visibly; 'iclora evaluate' measures it.",
            )


def _check_company(
    adapters: Sequence[PlannedAdapter], references: Sequence[PlannedReference], findings: Findings
) -> None:
    """Adapters are trained with one reference each."""
    seen = [one for one in references if one.attention_strength > 0]
    if not adapters or len(seen) <= len(adapters):
        return
    names = " and ".join(f"'{one.name}'" for one in adapters)
    one = "the adapter was trained with one" if len(adapters) == 1 else "each was trained with one"
    findings.warning(
        f"{len(seen)} references for {names}: {one} at a time, so they may blur into each other.",
        advice="Keep one reference, name an adapter for each, or share the picture out with attention masks.",
        about="adapter",
    )
