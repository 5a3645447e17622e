"""Clips brought to a plan: to its clock, to its size, and made smaller for the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from iclora import controls, media
from iclora.clip import Clip, Film
from iclora.controls.depths import DepthFilm
from iclora.controls.point_tracks import Tracks, fit_tracks, retime_tracks
from iclora.controls.poses import Poses, fit, retime
from iclora.plan import Plan, PlannedReference
from iclora.plan.laying import Canvas
from iclora.reference import Reference

Drawable = Clip | Film | Tracks | Poses | DepthFilm
"""What controls are drawn from: a film, or points and depth that are there already."""
Onto = Plan | Canvas | Clip
"""What controls are laid over: a result, or what says its size and clock."""


def extract_control(
    kind: str,
    source: Drawable,
    plan: Onto,
    *,
    cache: controls.Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **dials: Any,
) -> Clip | Film:
    """Extract a control at the size and rate of the result, so that lines are as thick whatever was filmed.

    A film is brought there frame by frame as it is read, so that no more is held than the result needs. Where
    a preset of `canny` says at which size its workflow draws, lines are drawn at that and then brought there.

    Args:
        kind: A name in `controls.CONTROLS`.
        source: The filmed clip or film, or points or depth to draw. Depth is drawn at its own size.
        plan: The plan, the size and clock of the result, or the result.
        cache: Where what takes long to find is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).
        **dials: Of the control, such as those of the planned reference; a mask may be a path.

    Returns:
        The control clip; of depth a film where it is large.

    Raises:
        IcloraError: If the control cannot be drawn from it.
    """
    dials = controls.drawing(kind, dials)
    preset = dials.get("preset", "auto") if kind == "canny" else "auto"
    laid = lay_over(source, plan, size=controls.drawing_size(preset, plan.height, plan.width))
    if isinstance(source, (Clip, Film)) and dials.get("mask") is not None:
        dials["mask"] = _mask(dials["mask"], source, plan)
    kept = {"cache": cache} if kind in controls.CACHED else {}
    drawn: Clip | Film = controls.CONTROLS[kind](laid, progress=progress, **kept, **dials)
    if kind == "canny":
        return _fit_lines(drawn, plan, int(dials.get("thickness", 1)))
    return media.hold_small(drawn)


def lay_over(source: Drawable, result: Onto, *, size: tuple[int, int] | None = None) -> Drawable:
    """Bring what a control is drawn from to the clock and the size of a result.

    Args:
        source: The filmed clip or film, or points. Depth stays as it is.
        result: The result, the plan of it, or its size and clock.
        size: Height and width that what is filmed is brought to, in pixels; None: those of the result.

    Returns:
        The same, laid over the result, a film as a clip; tracks keep their length.

    Raises:
        RequestError: If nothing of it lies on the result.
    """
    if isinstance(source, Tracks):
        return fit_tracks(retime_tracks(source, result.fps), result.height, result.width)
    if isinstance(source, Poses):
        retimed = retime(source, fps=result.fps, num_frames=result.num_frames)
        return fit(retimed, result.height, result.width)
    if isinstance(source, (Clip, Film)):
        laid = media.resample(source, fps=result.fps, num_frames=result.num_frames)
        return media.hold(media.resize(laid, *(size or (result.height, result.width))))
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


def _mask(mask: Clip | Film | str | Path, source: Clip | Film, plan: Onto) -> Clip:
    """A mask of a film, read where it is a path, and laid over the result as the film is."""
    if isinstance(mask, (str, Path)):
        mask = media.film(mask, fps=plan.fps, max_frames=plan.num_frames)
    if mask.num_frames > 1:
        mask = media.resample(mask, fps=plan.fps, num_frames=plan.num_frames)
    return media.hold(controls.fit_mask(mask, source, (plan.height, plan.width)))


def fit_reference(clip: Clip | Film, planned: PlannedReference, plan: Onto) -> Clip:
    """Bring a reference to the clock and size of the result.

    Lines stay white; where they are thinner than the adapter was trained on, they are drawn as thick as that.

    Args:
        clip: The reference, its control already extracted; a film is brought there as it is read.
        planned: What the plan says of it.
        plan: The plan, the size and clock of the result, or the result.

    Returns:
        The reference laid over the result.
    """
    clip = media.resample(clip, fps=plan.fps, num_frames=plan.num_frames)
    if planned.is_lines:
        return _fit_lines(clip, plan, int(planned.dials.get("thickness", 1)))
    return media.hold(media.resize(clip, plan.height, plan.width))


def _fit_lines(clip: Clip | Film, plan: Onto, thickness: int) -> Clip:
    same = (clip.height, clip.width) == (plan.height, plan.width)
    if not same and clip.height >= plan.height and clip.width >= plan.width:
        return media.hold(controls.resize_lines(clip, plan.height, plan.width, thickness=thickness))
    fitted = media.hold(media.resize(clip, plan.height, plan.width))
    return controls.redraw_lines(fitted, thickness) if thickness > 1 else fitted


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
