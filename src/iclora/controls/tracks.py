"""Tracks of what moves in a clip, drawn as trails; see `point_tracks` for tracks from elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from iclora.clip import Clip, Film, Footage, redraw
from iclora.controls.cache import Cache
from iclora.controls.point_tracks import (
    DEFAULT_TRACKS,
    Tracks,
    draw_tracks,
    film_tracks,
    find_tracks,
    moving_most,
)


def tracks(
    clip: Footage | Tracks,
    *,
    count: int | None = None,
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Footage | Clip:
    """Take tracks from a clip and draw them, or draw given ones.

    Args:
        clip: The filmed clip or film, RGB 0..255, or tracks.
        count: How many tracks to draw at most, >= 1: those that move most and last longest. None: 16 of a
            clip, all that are given.
        cache: Where the tracks are kept, and taken from if they were found before.
        progress: Called with (frames followed, frames in all).

    Returns:
        Trails on black with the clip's size, rate and sound; black where there is nothing to follow, as the
        official node draws no tracks.

    Raises:
        RequestError: If `count` is below 1, or the clip is too long, or longer than 16 times its short side.
    """
    if isinstance(clip, Tracks):
        return draw_tracks(clip if count is None else moving_most(clip, count), progress=progress)
    most = DEFAULT_TRACKS if count is None else count
    found = find_tracks(clip, num_tracks=most, cache=cache, progress=progress)
    if found is None:
        return redraw(clip, _black)
    trails = film_tracks(found)
    return trails if isinstance(clip, Film) else dataclasses.replace(clip, frames=trails.read().frames)


def _black(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield np.zeros_like(frame)
