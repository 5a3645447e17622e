"""How closely points of a result go where the tracks of its control go.

A point is set where a track begins and followed through the result by its own pictures, forward and back. It
is lost where that fails; then it counts as standing where it was last seen, so that losing it is no way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from iclora.adherence.parts import Where, check_where
from iclora.clip import Clip
from iclora.controls.point_tracks import Tracks, follow_points
from iclora.errors import NothingToFollowError, RequestError

NEAR = 0.05
"""A point is where it should be if it lies within this share of the frame: of its shorter side."""


@dataclass(frozen=True, kw_only=True)
class TracksScore:
    """Agreement of tracks, over all places of them but the first ones, on the picture.

    Args:
        error: Mean distance of the followed points from where they should be, as a share of the shorter side.
        survival: Share of the places at which the point is still followed.
        within: Share of the places at which it is followed and within 5 % of where it should be.
        still_error: What the error would be if nothing moved: tracks that go nowhere are easily followed.
        frame_within: `within` of each frame; None where no place counts.
    """

    error: float
    survival: float
    within: float
    still_error: float
    frame_within: tuple[float | None, ...]


def tracks(control: Tracks, result: Tracks, *, near: float = NEAR, where: Where | None = None) -> TracksScore:
    """Score how well followed points keep to their tracks.

    Args:
        control: The tracks.
        result: The same points as followed in the result, from `follow_again`; of the same canvas.
        near: How far a point may lie, as a share of the shorter side, above 0.
        where: The part of the canvas in which places of the control count; None: all of it.

    Returns:
        The score.

    Raises:
        NothingToFollowError: If no track has a second place on the canvas (there).
        RequestError: If the two have other tracks, frames or canvases, or `near` is not above 0.
    """
    if not near > 0:
        raise RequestError(f"near is {near}; give a share of the shorter side above 0, such as {NEAR}.")
    shapes = [(*one.points.shape[:2], one.height, one.width) for one in (control, result)]
    if shapes[0] != shapes[1]:
        raise RequestError(
            f"The tracks of the control and of the result are {shapes[0]} and {shapes[1]} (tracks, frames, "
            "height, width); follow the control's points in the result first (adherence.follow_again)."
        )
    counted = on_canvas(control)
    starts = np.array(control.points, np.float64)
    held = np.array(result.points, np.float64)
    for track, first, end in _runs(control):
        counted[track, first] = False
        starts[track, first:end] = control.points[track, first]
        held[track, first] = control.points[track, first]
        for frame in range(first + 1, end):
            if not result.visible[track, frame]:
                held[track, frame] = held[track, frame - 1]
    if where is not None:
        counted &= _inside(control, check_where(where, (shapes[0][1], *shapes[0][2:])))
    if not counted.any():
        raise NothingToFollowError("No track goes anywhere there, so there is nothing to follow.")
    short = min(control.height, control.width)
    apart = np.linalg.norm(held - control.points, axis=2) / short
    close = result.visible & (apart <= near)
    rest = np.linalg.norm(starts - control.points, axis=2) / short
    return TracksScore(
        error=float(apart[counted].mean()),
        survival=float(result.visible[counted].mean()),
        within=float(close[counted].mean()),
        still_error=float(rest[counted].mean()),
        frame_within=tuple(
            float(close[some, frame].mean()) if some.any() else None for frame, some in enumerate(counted.T)
        ),
    )


def follow_again(control: Tracks, result: Clip) -> Tracks:
    """Follow the points of tracks through a clip, each from where and when its track begins.

    Args:
        control: The tracks, on the clip's canvas. A track that is hidden in between begins anew after that.
        result: The clip, with as many frames.

    Returns:
        As many tracks, visible where the point is still followed and its track visible.

    Raises:
        RequestError: If the canvases or the frame counts differ.
    """
    wanted = (control.num_frames, control.height, control.width)
    if wanted != (result.num_frames, result.height, result.width):
        raise RequestError(
            f"The tracks have {wanted[0]} frames of {wanted[2]}x{wanted[1]} and the result "
            f"{result.num_frames} of {result.width}x{result.height}; bring the tracks to the result first "
            "(retime_tracks, fit_tracks)."
        )
    points, visible = np.array(control.points, np.float64), np.zeros_like(control.visible)
    there = on_canvas(control)
    runs = [run for run in _runs(control) if there[run[0], run[1]]]
    for first in sorted({start for _, start, _ in runs}):
        some = [run for run in runs if run[1] == first]
        clip = replace(result, frames=result.frames[first:], audio=None)
        found = follow_points(clip, np.array([control.points[track, first] for track, _, _ in some]))
        for (track, _, end), places, seen in zip(some, found.points, found.visible, strict=True):
            points[track, first:end] = places[: end - first]
            visible[track, first:end] = seen[: end - first]
    if not visible.any():
        raise NothingToFollowError("No track begins on the picture, so there is nothing to follow.")
    return replace(control, points=points, visible=visible)


def on_canvas(control: Tracks) -> Bool[np.ndarray, "tracks f"]:
    """Say which places of tracks are visible and on their canvas.

    Args:
        control: The tracks.

    Returns:
        One truth value for each place.
    """
    last = np.array([control.width - 1, control.height - 1])
    with np.errstate(invalid="ignore"):
        inside = ((control.points >= 0) & (control.points <= last)).all(axis=2)
    return np.asarray(control.visible & inside)


def _runs(control: Tracks) -> Iterator[tuple[int, int, int]]:
    """Track, first frame and frame after the last of each stretch that a track is visible for."""
    for track, visible in enumerate(control.visible):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], visible.astype(int), [0]])))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            yield track, int(first), int(end)


def _inside(control: Tracks, where: Where) -> Bool[np.ndarray, "tracks f"]:
    places: Float[np.ndarray, "tracks f 2"] = np.nan_to_num(control.points)
    columns = np.clip(np.rint(places[..., 0]), 0, control.width - 1).astype(int)
    rows = np.clip(np.rint(places[..., 1]), 0, control.height - 1).astype(int)
    return np.asarray(where[np.arange(control.num_frames), rows, columns])
