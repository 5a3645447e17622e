"""Clips brought to a plan: to its clock, to its size, and made smaller for the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from iclora import controls, media
from iclora.clip import Clip
from iclora.plan import Plan, PlannedReference


def extract_control(kind: str, clip: Clip, plan: Plan, **dials: Any) -> Clip:
    """Extract a control at the size and rate of the result, so that lines are as thick whatever was filmed.

    Args:
        kind: A name in `controls.CONTROLS`.
        clip: The filmed clip.
        plan: The plan.
        **dials: Passed on to the control, such as those of the planned reference.

    Returns:
        The control clip.
    """
    clip = media.resample(clip, fps=plan.fps, num_frames=plan.num_frames)
    return controls.CONTROLS[kind](media.resize(clip, plan.height, plan.width), **dials)


def fit_reference(clip: Clip, planned: PlannedReference, plan: Plan) -> Clip:
    """Bring a reference to the clock and size of the result.

    Lines stay white; where they are thinner than the adapter was trained on, they are drawn as thick as that.

    Args:
        clip: The reference, its control already extracted.
        planned: What the plan says of it.
        plan: The plan.

    Returns:
        The reference laid over the result.
    """
    clip = media.resample(clip, fps=plan.fps, num_frames=plan.num_frames)
    thickness = int(planned.dials.get("thickness", 1))
    same = (clip.height, clip.width) == (plan.height, plan.width)
    if planned.is_lines and not same and clip.height >= plan.height and clip.width >= plan.width:
        return controls.resize_lines(clip, plan.height, plan.width, thickness=thickness)
    clip = clip if same else media.resize(clip, plan.height, plan.width)
    return controls.redraw_lines(clip, thickness) if planned.is_lines and thickness > 1 else clip


def shrink_reference(clip: Clip, planned: PlannedReference) -> Clip:
    """Bring a fitted reference to the size and the frames that are encoded.

    With a temporal factor S, frame 0 is kept and then every S-th from frame 1 on.

    Args:
        clip: The reference at the size and rate of the result.
        planned: What the plan says of it.

    Returns:
        The clip to encode.
    """
    frames = np.concatenate([clip.frames[:1], clip.frames[1 :: planned.temporal_factor]])
    small = replace(clip, frames=frames, audio=None)
    return media.resize(small, planned.height, planned.width, fit="stretch")
