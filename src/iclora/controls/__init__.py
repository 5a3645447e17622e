"""Controls: functions that turn a filmed clip into the clip an adapter follows, each `Clip -> Clip`.

`CONTROLS` names them for surfaces that choose one by word (`--control canny=IN`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from iclora.clip import Clip
from iclora.controls.cache import Cache, user_cache
from iclora.controls.canny import canny
from iclora.controls.depth import depth
from iclora.controls.depths import Depths, draw_depths, find_depths, read_depths
from iclora.controls.flow import stabilised, steadied
from iclora.controls.lines import is_lines, redraw_lines, resize_lines, thin
from iclora.controls.plain import blocks, blur, green, grey
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
from iclora.controls.shades import line_art, normals, soft_edges
from iclora.controls.tracks import tracks

CONTROLS: Mapping[str, Callable[..., Clip]] = MappingProxyType(
    {
        "blocks": blocks,
        "blur": blur,
        "canny": canny,
        "depth": depth,
        "green": green,
        "grey": grey,
        "line-art": line_art,
        "normals": normals,
        "pose": pose,
        "soft-edges": soft_edges,
        "tracks": tracks,
    }
)

CACHED = ("depth", "pose", "tracks")
"""Controls that take a `cache`, as what they find takes long."""

__all__ = [
    "CACHED",
    "CONTROLS",
    "Cache",
    "Depths",
    "Poses",
    "Tracks",
    "blocks",
    "blur",
    "canny",
    "check_tracks",
    "depth",
    "draw_depths",
    "draw_poses",
    "draw_tracks",
    "find_depths",
    "find_poses",
    "follow_video",
    "green",
    "grey",
    "is_lines",
    "line_art",
    "normals",
    "pose",
    "read_depths",
    "read_keypoints",
    "read_tracks",
    "redraw_lines",
    "resize_lines",
    "save_tracks",
    "soft_edges",
    "stabilised",
    "steadied",
    "thin",
    "tracks",
    "user_cache",
    "write_keypoints",
]
