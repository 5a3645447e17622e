"""What may disappoint in tracks, said before they cost an hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from iclora.controls.point_tracks.value import Tracks, extents

SHARP_TURN_DEGREES = 90.0
"""Turns beyond it, from 3 frames before to 3 frames after, are called too sharp."""
TURN_FRAMES = 3
TURN_SPEED = 0.02
"""Way before and after a turn, as a share of the short side, below which it is no turn but standing."""
JUMP = 0.12
"""Step from one frame to the next, as a share of the short side, from which on it is a jump."""
STILL = 0.01
"""Way, as a share of the short side, below which a track stands still."""
OF_A_FILM = "bring a clip that moves"
"""Advice where no track of a film moves."""
FEW_FRAMES = 9
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class TrackFinding:
    """One thing to know about tracks.

    Attributes:
        text: What is the case, with track numbers (from 1) and frames (from 0).
        advice: What to do about it.
    """

    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text} {self.advice}"


def check_tracks(tracks: Tracks) -> tuple[TrackFinding, ...]:
    """Look for tracks that leave the canvas, turn too sharply, jump, stand still or end at once.

    Args:
        tracks: The tracks.

    Returns:
        At most one finding of each kind, in that order.
    """
    short = min(tracks.height, tracks.width)
    canvas = np.array([tracks.width, tracks.height])
    off = tracks.visible & ((tracks.points < 0) | (tracks.points >= canvas)).any(axis=2)
    found = [
        _finding(off, "Off the canvas", "Places there are not drawn; move them in, or end the track before."),
        _finding(
            _sharp_turns(tracks, TURN_SPEED * short),
            f"Turning by more than {SHARP_TURN_DEGREES:.0f} degrees at speed",
            "Spread the turn over more frames or round it with keypoints.",
        ),
        _finding(
            _steps(tracks) > JUMP * short,
            f"Moving more than {JUMP:.0%} of the short side in one frame",
            "Give the way more frames, or hide the point in between.",
        ),
    ]
    found.append(check_still(tracks, "move at least one"))
    if tracks.num_frames < FEW_FRAMES:
        text = f"The tracks last {tracks.num_frames} frames in all."
        advice = 'If these are keypoints, say so: {"points_store": [..]}, or --keypoints (keypoints=True).'
        found.append(TrackFinding(text=text, advice=advice))
    return tuple(finding for finding in found if finding is not None)


def check_still(tracks: Tracks, advice: str) -> TrackFinding | None:
    """Look whether any track moves.

    Args:
        tracks: The tracks.
        advice: What to do where none does.

    Returns:
        The finding; None where one moves.
    """
    if (extents(tracks) > STILL * min(tracks.height, tracks.width)).any():
        return None
    return TrackFinding(text="No track moves.", advice=f"Standing dots ask for a standing picture; {advice}.")


def _steps(tracks: Tracks) -> Float[np.ndarray, "tracks f"]:
    """Way to each place from the one before, in pixels; 0 where either is hidden, and at the start."""
    moved = np.zeros(tracks.visible.shape)
    both = tracks.visible[:, 1:] & tracks.visible[:, :-1]
    moved[:, 1:] = np.where(both, np.linalg.norm(_differences(tracks, 1), axis=2), 0)
    return moved


def _sharp_turns(tracks: Tracks, least_px: float) -> Bool[np.ndarray, "tracks f"]:
    """Where the way bends too much, moving at least so many pixels before and after."""
    turns = np.zeros(tracks.visible.shape, bool)
    if tracks.num_frames <= 2 * TURN_FRAMES:
        return turns
    ways = _differences(tracks, TURN_FRAMES)
    seen = np.lib.stride_tricks.sliding_window_view(tracks.visible, 2 * TURN_FRAMES + 1, axis=1).all(axis=2)
    before, after = ways[:, :-TURN_FRAMES], ways[:, TURN_FRAMES:]
    lengths = np.linalg.norm(before, axis=2), np.linalg.norm(after, axis=2)
    fast = (lengths[0] >= least_px) & (lengths[1] >= least_px)
    product = (before * after).sum(axis=2)
    limit = np.cos(np.radians(SHARP_TURN_DEGREES)) * lengths[0] * lengths[1]
    turns[:, TURN_FRAMES:-TURN_FRAMES] = seen & fast & (product < limit - 1e-9)
    return turns


def _differences(tracks: Tracks, frames: int) -> Float[np.ndarray, "tracks steps 2"]:
    places = np.where(tracks.visible[..., None], tracks.points, 0.0)
    return np.asarray(places[:, frames:] - places[:, :-frames])


def _finding(where: Bool[np.ndarray, "tracks f"], what: str, advice: str) -> TrackFinding | None:
    """Name the tracks, each with its first frame, for which something is so."""
    numbers = np.flatnonzero(where.any(axis=1))
    if not len(numbers):
        return None
    named = [f"track {number + 1} at frame {int(where[number].argmax())}" for number in numbers[:_NAMED]]
    if len(numbers) > _NAMED:
        named.append(f"and {len(numbers) - _NAMED} more")
    return TrackFinding(text=f"{what}: {', '.join(named)}.", advice=advice)
