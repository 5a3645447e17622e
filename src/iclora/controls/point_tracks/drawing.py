"""Tracks drawn as trails on black, as the released Motion-Track adapter knows them.

frame t shows the places of the last 51 frames:  ∙ ∙ • • ● ●   newest on top
radius (canvas of 1080 px on the short side)     2  ...     8
colour (RGB of the clip)                      red green cyan blue
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int, UInt8

from iclora.clip import Clip, Film, Frames, redraw
from iclora.controls.point_tracks.value import Tracks
from iclora.errors import RequestError
from iclora.media.room import check_room

TRAIL_FRAMES = 50
"""Age in frames at which a place is last drawn."""
SHORT_SIDE_PX = 1080
"""Short side of the canvas discs are drawn on, before it is brought to the size of the result."""
RADII_PX = (2.0, 8.0)
"""Radius of the oldest and of the newest disc on that canvas."""
MAX_ASPECT = 16.0
"""Longest shape drawn, long side over short: the inner canvas grows with it."""
DEFAULT_FPS = 24.0
_REACH = int(RADII_PX[1])
_MARGIN = 2 * _REACH + 1
"""Pixels around the inner canvas that take what is painted beyond its border."""


def draw_tracks(
    tracks: Tracks,
    *,
    fps: float | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Clip:
    """Draw tracks as the official node does, one frame for each of theirs.

    Where discs of the same age lie over each other the official node leaves open which is seen; here it is
    that of the later track.

    Args:
        tracks: The tracks, on the canvas to draw.
        fps: Rate of the clip; None: that of the tracks, or else 24.
        progress: Called with (frames done, frames in all).

    Returns:
        Trails on black, RGB 0..255, of the canvas's size: the head is blue, the tail red, as the official
        node swaps red and blue for the adapter.

    Raises:
        RequestError: If the canvas is longer than 16 times its short side.

    Source: `LTXVDrawTracks` of ComfyUI-LTXVideo's sparse_tracks.py (August 2026).
    """
    film = film_tracks(tracks, fps=fps)
    check_room(film.num_frames, film.height, film.width)
    return redraw(film, iter, progress=progress).read()


def film_tracks(tracks: Tracks, *, fps: float | None = None) -> Film:
    """Draw tracks frame by frame as they are needed.

    Args:
        tracks: The tracks, on the canvas to draw.
        fps: As for `draw_tracks`.

    Returns:
        A film of the frames that `draw_tracks` gives.

    Raises:
        RequestError: If the canvas is longer than 16 times its short side.
    """
    height, width = _inner_size(tracks)

    def drawn() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        centres = _centres(tracks, height, width)
        brush = _brush(width + 2 * _MARGIN)
        canvas = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN, 3), np.float32)
        discs = np.zeros(canvas.shape[:2], np.uint8)
        for frame in range(tracks.num_frames):
            picture = np.zeros((tracks.height, tracks.width, 3), np.uint8)
            live = tracks.visible[:, max(0, frame - TRAIL_FRAMES) : frame + 1].any(axis=1)
            if live.any():
                _stamp(discs, brush, centres[live], frame)
                # Discs overlap a lot: coloured once they all lie there, a pixel is coloured once.
                lit = np.flatnonzero(discs.view(bool))
                canvas.reshape(-1, 3)[lit] = brush.colours.take(discs.reshape(-1)[lit], axis=0)
                _shrink(canvas[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN], into=picture)
                canvas[:] = 0
                discs[:] = 0
            yield picture

    return Film(
        frames=Frames(drawn),
        height=tracks.height,
        width=tracks.width,
        num_frames=tracks.num_frames,
        fps=fps or tracks.fps or DEFAULT_FPS,
    )


@dataclass(frozen=True, kw_only=True)
class _Brush:
    """Every pixel of the discs of all ages, oldest first: steps from its centre, and how old it is.

    Steps count through the canvas with its margin, row after row. Row k of the colours is that of disc k,
    which is `TRAIL_FRAMES + 1 - k` frames old; row 0 is black, where there is no disc.
    """

    steps: Int[np.ndarray, " pixels"]
    ages: Int[np.ndarray, " pixels"]
    colours: Float32[np.ndarray, "discs 3"]


def _brush(row_length: int) -> _Brush:
    ages = np.arange(TRAIL_FRAMES, -1, -1)
    freshness = np.float32(1) - ages.astype(np.float32) / np.float32(TRAIL_FRAMES)
    smallest, largest = RADII_PX
    radii = np.float32(smallest) + np.float32(largest - smallest) * freshness
    reach = np.arange(-_REACH, _REACH + 1)
    rows, columns = np.meshgrid(reach, reach, indexing="ij")
    number, row, column = np.nonzero(rows**2 + columns**2 <= (radii**2)[:, None, None])
    steps = reach[row] * row_length + reach[column]
    colours = np.concatenate([np.zeros((1, 3), np.float32), _colours(freshness)])
    return _Brush(steps=steps, ages=ages[number], colours=colours)


def _colours(freshness: Float32[np.ndarray, " ages"]) -> Float32[np.ndarray, "ages 3"]:
    """Colours in 0..1 from tail (freshness 0) to head (1), in thirds: red, green, cyan, blue."""
    ramp = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]], np.float32)
    knots = np.linspace(0, 1, 4)
    channels = [np.interp(freshness, knots, channel) for channel in ramp.T]
    return np.stack(channels, axis=1).astype(np.float32)


def _centres(tracks: Tracks, height: int, width: int) -> Int[np.ndarray, "tracks f 2"]:
    """Centres of the discs on the inner canvas; hidden and far ones just so far off that no disc is seen."""
    scale = np.array([width / tracks.width, height / tracks.height])
    placed = np.where(tracks.visible[..., None], tracks.points, -np.inf) * scale
    nearest = np.clip(placed, -_REACH - 1, np.array([width, height]) + _REACH).astype(np.float32)
    return np.asarray(np.rint(nearest), np.int64)


def _stamp(
    discs: UInt8[np.ndarray, "rows columns"],
    brush: _Brush,
    centres: Int[np.ndarray, "tracks f 2"],
    frame: int,
) -> None:
    """Write at each pixel which disc of a frame is seen there, counted from 1, the oldest."""
    starts = (centres[..., 1] + _MARGIN) * discs.shape[1] + centres[..., 0] + _MARGIN
    known = brush.ages <= frame
    ages = brush.ages[known]
    pixels = (starts[:, frame - ages].T + brush.steps[known, None]).ravel()
    # Oldest first, and the last write to a pixel stays.
    discs.reshape(-1)[pixels] = np.repeat((TRAIL_FRAMES + 1 - ages).astype(np.uint8), len(centres))


def _inner_size(tracks: Tracks) -> tuple[int, int]:
    """Height and width of the canvas that discs are drawn on."""
    short, long = sorted((tracks.height, tracks.width))
    if long > MAX_ASPECT * short:
        raise RequestError(
            f"Cannot draw tracks on {tracks.width}x{tracks.height}; the long side may be at most "
            f"{MAX_ASPECT:g} times the short one."
        )
    inner = int(long * SHORT_SIDE_PX / short)
    return (SHORT_SIDE_PX, inner) if tracks.height <= tracks.width else (inner, SHORT_SIDE_PX)


def _shrink(canvas: Float32[np.ndarray, "rows columns 3"], *, into: UInt8[np.ndarray, "h w 3"]) -> None:
    """Bring the canvas, 0..1, to the size of a black picture, 0..255."""
    height, width = into.shape[:2]
    small = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_LINEAR))
    lit = np.flatnonzero(small > 0)
    # Through half floats, as the official node hands its picture on: some roundings depend on it.
    halves = small.reshape(-1)[lit].astype(np.float16).astype(np.float32)
    into.reshape(-1)[lit] = np.rint(halves * 255)
