"""Clips brought to a plan: to its clock, to its size, and made smaller for the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from iclora import controls, media
from iclora.clip import Clip
from iclora.controls.depths import Depths
from iclora.controls.point_tracks import Tracks, fit_tracks, retime_tracks
from iclora.controls.poses import Poses, fit, retime
from iclora.plan import Plan, PlannedReference
from iclora.plan.laying import Canvas
from iclora.reference import Reference

Drawable = Clip | Tracks | Poses | Depths
"""What controls are drawn from: a film, or points and depth that are there already."""


def extract_control(
    kind: str,
    source: Drawable,
    plan: Plan | Canvas,
    *,
    cache: controls.Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **dials: Any,
) -> Clip:
    """Extract a control at the size and rate of the result, so that lines are as thick whatever was filmed.

    Args:
        kind: A name in `controls.CONTROLS`.
        source: The filmed clip, or points or depth to draw. Depth is drawn at its own size.
        plan: The plan, or the size and clock of the result.
        cache: Where what takes long to find is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).
        **dials: Of the control, such as those of the planned reference; a mask may be a path.

    Returns:
        The control clip.

    Raises:
        IcloraError: If the control cannot be drawn from it.
    """
    dials = controls.drawing(kind, dials)
    laid = lay_over(source, plan)
    if isinstance(source, Clip) and dials.get("mask") is not None:
        dials["mask"] = _mask(dials["mask"], source, plan)
    kept = {"cache": cache} if kind in controls.CACHED else {}
    drawn: Clip = controls.CONTROLS[kind](laid, progress=progress, **kept, **dials)
    return drawn


def lay_over(source: Drawable, result: Plan | Canvas | Clip) -> Drawable:
    """Bring what a control is drawn from to the clock and the size of a result.

    Args:
        source: The filmed clip, or points. Depth stays as it is.
        result: The result, the plan of it, or its size and clock.

    Returns:
        The same, laid over the result; tracks keep their length.

    Raises:
        RequestError: If nothing of it lies on the result.
    """
    if isinstance(source, Tracks):
        return fit_tracks(retime_tracks(source, result.fps), result.height, result.width)
    if isinstance(source, Poses):
        retimed = retime(source, fps=result.fps, num_frames=result.num_frames)
        return fit(retimed, result.height, result.width)
    if isinstance(source, Clip):
        laid = media.resample(source, fps=result.fps, num_frames=result.num_frames)
        return media.resize(laid, result.height, result.width)
    return source


def draw_reference(reference: Reference, planned: PlannedReference, plan: Plan) -> Reference:
    """Extract the control of a reference, where it is still to be taken from its clip.

    Args:
        reference: As asked for.
        planned: What the plan says of it.
        plan: The plan.

    Returns:
        The reference with its control drawn.

    Raises:
        IcloraError: If the control cannot be drawn from it.
    """
    if reference.control is None:
        return reference
    clip = extract_control(reference.control, reference.clip, plan, **{**planned.dials, **reference.dials})
    return replace(reference, clip=clip, control=None, dials={})


def _mask(mask: Clip | str | Path, source: Clip, plan: Plan | Canvas) -> Clip:
    """A mask of a film, read where it is a path, and laid over the result as the film is."""
    if not isinstance(mask, Clip):
        mask = media.read(mask, fps=plan.fps, max_frames=plan.num_frames)
    mask = controls.fit_mask(mask, source, (plan.height, plan.width))
    return mask if mask.num_frames == 1 else media.resample(mask, fps=plan.fps, num_frames=plan.num_frames)


def fit_reference(clip: Clip, planned: PlannedReference, plan: Plan | Canvas) -> Clip:
    """Bring a reference to the clock and size of the result.

    Lines stay white; where they are thinner than the adapter was trained on, they are drawn as thick as that.

    Args:
        clip: The reference, its control already extracted.
        planned: What the plan says of it.
        plan: The plan, or the size and clock of the result.

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
