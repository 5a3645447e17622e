"""Controls: functions that turn a filmed clip into the clip an adapter follows, each `Clip -> Clip`.

`CONTROLS` names them for surfaces that choose one by word (`--control canny=IN`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from iclora.clip import Clip
from iclora.controls.canny import canny
from iclora.controls.lines import is_lines, redraw_lines, resize_lines, thin
from iclora.controls.point_tracks import (
    Tracks,
    check_tracks,
    draw_tracks,
    follow_video,
    read_tracks,
    save_tracks,
)
from iclora.controls.pose import pose
from iclora.controls.poses import Poses, draw_poses, find_poses, read_keypoints, write_keypoints
from iclora.controls.tracks import tracks

CONTROLS: Mapping[str, Callable[..., Clip]] = MappingProxyType(
    {"canny": canny, "pose": pose, "tracks": tracks}
)

__all__ = [
    "CONTROLS",
    "Poses",
    "Tracks",
    "canny",
    "check_tracks",
    "draw_poses",
    "draw_tracks",
    "find_poses",
    "follow_video",
    "is_lines",
    "pose",
    "read_keypoints",
    "read_tracks",
    "redraw_lines",
    "resize_lines",
    "save_tracks",
    "thin",
    "tracks",
    "write_keypoints",
]
