"""Tracks of what moves in a clip, drawn as trails; see `point_tracks` for tracks from elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from iclora.clip import Clip
from iclora.controls.point_tracks import DEFAULT_TRACKS, Tracks, draw_tracks, find_tracks, moving_most


def tracks(
    clip: Clip | Tracks,
    *,
    count: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Take tracks from a clip and draw them, or draw given ones.

    Args:
        clip: The filmed clip, RGB 0..255, or tracks.
        count: How many tracks to draw at most, >= 1: those that move most and last longest. None: 16 of a
            clip, all that are given.
        progress: Called with (frames followed, frames in all).

    Returns:
        Trails on black with the clip's size, rate and sound; black where there is nothing to follow, as the
        official node draws no tracks.

    Raises:
        RequestError: If `count` is below 1, or the clip is longer than 16 times its short side.
    """
    if isinstance(clip, Tracks):
        return draw_tracks(clip if count is None else moving_most(clip, count), progress=progress)
    found = find_tracks(clip, num_tracks=DEFAULT_TRACKS if count is None else count, progress=progress)
    trails = np.zeros_like(clip.frames) if found is None else draw_tracks(found).frames
    return dataclasses.replace(clip, frames=trails)
