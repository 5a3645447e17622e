"""Controls: functions that turn a filmed clip into the clip an adapter follows, each `Clip -> Clip`.

`CONTROLS` names them for surfaces that choose one by word (`--control canny=IN`).
"""

from iclora.controls.cache import Cache, user_cache
from iclora.controls.canny import canny, drawing_size
from iclora.controls.depth import depth
from iclora.controls.depths import DepthFilm, Depths, draw_depths, find_depths, read_depths
from iclora.controls.dials import CACHED, CONTROLS, FILES, check_dials, dials_of, drawing, read_dials
from iclora.controls.estimators import (
    FETCHED,
    check_installed,
    estimator_of,
    fetch_weights,
    missing_weights,
    weight_files,
)
from iclora.controls.flow import stabilised, steadied
from iclora.controls.lines import is_lines, redraw_lines, resize_lines, thin
from iclora.controls.plain import blocks, blur, fit_mask, green, grey
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

__all__ = [
    "CACHED",
    "CONTROLS",
    "Cache",
    "DepthFilm",
    "FETCHED",
    "FILES",
    "Depths",
    "Poses",
    "Tracks",
    "blocks",
    "blur",
    "canny",
    "check_dials",
    "check_installed",
    "check_tracks",
    "depth",
    "dials_of",
    "draw_depths",
    "draw_poses",
    "draw_tracks",
    "drawing",
    "drawing_size",
    "estimator_of",
    "fetch_weights",
    "find_depths",
    "find_poses",
    "fit_mask",
    "follow_video",
    "green",
    "grey",
    "is_lines",
    "line_art",
    "missing_weights",
    "normals",
    "pose",
    "read_depths",
    "read_dials",
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
    "weight_files",
    "write_keypoints",
]
