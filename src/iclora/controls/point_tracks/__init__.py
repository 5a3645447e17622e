"""Sparse motion tracks: points that move, drawn as trails that the Motion-Track adapters follow.

```
 editor's .json ─┐                    ┌─► checks: what may disappoint
 tracker's .npz ─┼─ files ─► Tracks ──┤
 a video ── following ──────►         ├─► drawing ─► Clip of trails
 keypoints ── splines ──────►         └─► files ─► .json, ours or the editor's
```
"""

from iclora.controls.point_tracks.checks import OF_A_FILM, TrackFinding, check_still, check_tracks
from iclora.controls.point_tracks.drawing import draw_tracks, film_tracks
from iclora.controls.point_tracks.files import TRACK_SUFFIXES, read_tracks, save_tracks
from iclora.controls.point_tracks.following import DEFAULT_TRACKS, find_tracks, follow_points, follow_video
from iclora.controls.point_tracks.json_files import sayable_to_editor
from iclora.controls.point_tracks.splines import even_spline, keyed_spline
from iclora.controls.point_tracks.value import Tracks, cut_tracks, fit_tracks, moving_most, retime_tracks

__all__ = [
    "DEFAULT_TRACKS",
    "OF_A_FILM",
    "TRACK_SUFFIXES",
    "TrackFinding",
    "Tracks",
    "check_still",
    "check_tracks",
    "cut_tracks",
    "draw_tracks",
    "even_spline",
    "film_tracks",
    "find_tracks",
    "fit_tracks",
    "follow_points",
    "follow_video",
    "keyed_spline",
    "moving_most",
    "read_tracks",
    "retime_tracks",
    "save_tracks",
    "sayable_to_editor",
]
