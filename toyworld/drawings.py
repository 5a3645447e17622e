"""The controls of a rendered clip, drawn from what the world knows exactly, or found as users find them.

depth, skeletons, tracks of `Scenes` ─► numbers of `iclora.controls` ─┐
frames ───────────────────────────────► its estimators ───────────────┴─► the pipeline's drawing and sizes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from iclora import controls
from iclora.clip import Clip
from iclora.controls.depths import Depths, from_distances
from iclora.controls.point_tracks import DEFAULT_TRACKS, Tracks, moving_most
from iclora.controls.poses import MIN_SCORE, Poses
from iclora.controls.poses.skeleton import BODY, NUM_POINTS
from iclora.errors import RequestError
from iclora.pipeline.fitting import Drawable, extract_control, fit_reference, shrink_reference
from iclora.plan import Findings, ReferenceRequest, Source
from iclora.plan.laying import Canvas, lay_reference
from toyworld.render import Scenes

CENTRE = 0.5
"""The world counts pixels from the centre of the first one, controls from its corner."""
FOLLOWED_JOINTS = (0, 1, 4, 7, 10, 13)
"""Joints of figures that make tracks beside the objects' centres: nose, neck, wrists and ankles."""
ESTIMATED = ("depth", "pose")
"""Controls that an estimator finds."""
LEAST_SHARE = 0.5
"""Share of the frames in which somebody must be seen, for a clip to have skeletons."""


def exact_controls(scenes: Scenes, place: int) -> dict[str, Drawable | Depths]:
    """Gives what the world knows of a clip in the form that controls are drawn from.

    Args:
        scenes: Rendered clips.
        place: Which of them.

    Returns:
        By control: `canny` the clip itself; `depth`; `pose` and `tracks` where there is somebody, or
        something, to be seen.
    """
    clip = Clip(frames=scenes.frames[place].cpu().numpy(), fps=scenes.fps)
    known: dict[str, Drawable | Depths | None] = {
        "canny": clip,
        "depth": _depths(scenes.depth[place].cpu().numpy(), scenes.fps),
        "pose": _poses(scenes.skeletons[place].cpu().numpy(), clip),
        "tracks": _tracks(scenes, place, clip),
    }
    return {kind: source for kind, source in known.items() if source is not None}


def drawn(
    kind: str, source: Drawable | Depths, canvas: Canvas, *, downscale: int, dials: Mapping[str, Any]
) -> UInt8[np.ndarray, "f h w 3"]:
    """Draws a control as the pipeline does it, as large as references are encoded.

    Args:
        kind: A name in `iclora.controls.CONTROLS`.
        source: A clip to find it in, or numbers to draw.
        canvas: Size and clock of the target.
        downscale: How many times smaller the reference is.
        dials: How it is drawn.

    Returns:
        The frames to encode, RGB 0..255.
    """
    facts = Source(
        label=kind,
        height=canvas.height,
        width=canvas.width,
        num_frames=canvas.num_frames,
        fps=canvas.fps,
        is_lines=False,
    )
    asked = ReferenceRequest(source=facts, control=kind, dials=dials)
    planned = lay_reference(asked, (downscale, 1), canvas, [], Findings())
    if isinstance(source, Depths):
        control = controls.depth(source, **planned.dials)  # rendered at the size of the clip
    else:
        control = extract_control(kind, source, canvas, **planned.dials)
    return shrink_reference(fit_reference(control, planned, canvas), planned).frames


def found(
    kind: str, clip: Clip, canvas: Canvas, *, downscale: int, dials: Mapping[str, Any], device: str
) -> UInt8[np.ndarray, "f h w 3"] | None:
    """Finds a control in the pictures and draws it, with the estimators inside the package.

    Args:
        kind: A name in `iclora.controls.CONTROLS`.
        clip: The clip.
        canvas: As for `drawn`.
        downscale: As for `drawn`.
        dials: As for `drawn`.
        device: Where estimators run.

    Returns:
        As `drawn`; None where there is nothing to be found: nobody, or no depth.
    """
    where = {"estimator": "tiny", "device": device} if kind in ESTIMATED else {}
    try:
        return drawn(kind, clip, canvas, downscale=downscale, dials={**dials, **where})
    except RequestError:
        return None


def _depths(distances: np.ndarray, fps: float) -> Depths | None:
    """Depth of a clip; None where everything is equally far, as nothing can be drawn then."""
    near = np.where(np.isfinite(distances), 1 / distances, 0)
    return from_distances(distances, fps=fps) if np.ptp(near) > 0 else None


def _poses(skeletons: np.ndarray, clip: Clip) -> Poses | None:
    """Skeletons `f people 18 3` as keypoints; None where hardly anybody is to be seen."""
    points = np.zeros((*skeletons.shape[:2], NUM_POINTS, 3), np.float32)
    points[:, :, BODY] = skeletons
    points[..., :2] += CENTRE
    points[points[..., 2] == 0] = 0
    poses = Poses(points=points, height=clip.height, width=clip.width, fps=clip.fps)
    return poses if poses.seen(MIN_SCORE).mean() >= LEAST_SHARE else None


def _tracks(scenes: Scenes, place: int, clip: Clip) -> Tracks | None:
    """Objects and some joints as tracks, those that move most; None where nothing is to be seen."""
    joints = scenes.skeletons[place][:, :, FOLLOWED_JOINTS].flatten(1, 2).cpu().numpy()
    points = np.concatenate([scenes.tracks[place].cpu().numpy(), joints], axis=1).transpose(1, 0, 2)
    visible = points[..., 2] == 1
    there = visible.any(axis=1)
    if not there.any():
        return None
    tracks = Tracks(
        points=points[there, :, :2].astype(np.float64) + CENTRE,
        visible=visible[there],
        height=clip.height,
        width=clip.width,
        fps=clip.fps,
    )
    return moving_most(tracks, DEFAULT_TRACKS)
