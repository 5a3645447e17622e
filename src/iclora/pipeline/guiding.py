"""The passes of guidance over one video, composed to one guess."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from iclora import sampling
from iclora.plan import Plan
from iclora.reference import TokenSequence
from iclora.transformer import CachePolicy, Perturbation


def guided_by(
    plan: Plan,
    transformer: Any,
    prompts: Sequence[sampling.Prompt],
    video: TokenSequence,
    audio: TokenSequence | None,
) -> sampling.Denoise:
    """Make the callable that guesses the clean tokens, as a plan guides it.

    References, their strengths and masks are in every pass; each keeps its own where they are kept.

    Args:
        plan: The plan.
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        prompts: The encoded prompt, and the negative one where the plan wants it.
        video: The video sequence.
        audio: The audio sequence, or None for a silent video.

    Returns:
        A function of noisy tokens and the noise level.

    Source: Lightricks LTX-2, ``ltx_core``: ``components/guiders.py``.
    """
    policy = CachePolicy.parse(plan.reference_cache.mode)
    one = partial(sampling.denoiser, transformer, video=video, audio=audio, reference_cache=policy)
    scale, more = plan.guidance_scale, plan.more_guidance
    away = []
    if more.wants_negative(scale):
        audio_scale = more.audio_scale_beside(scale)
        away.append(sampling.Away(guess=one(prompts[1]), video=scale - 1, audio=audio_scale - 1))
    if more.stg_scale:
        skipping = one(prompts[0], perturbation=Perturbation(values_only_blocks=more.stg_blocks))
        away.append(sampling.Away(guess=skipping, video=more.stg_scale, audio=more.stg_scale))
    if audio is not None and more.modality_scale != 1:
        apart, far = one(prompts[0], perturbation=Perturbation(cross_modal=False)), more.modality_scale - 1
        away.append(sampling.Away(guess=apart, video=far, audio=far))
    return sampling.guided(one(prompts[0]), away, rescale=more.rescale)
