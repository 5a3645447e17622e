"""Poses: people of a clip as keypoints, and drawn as OpenPose skeletons.

```
 Clip ─► estimator ─► follow ─► Poses ─► smooth_poses ─► fit, place, with_body ─► draw_poses ─► Clip
                                │   ▲
                        write_keypoints, read_keypoints (JSON, for an animator)
```

`iclora.controls.pose` is the whole way in one call.
"""

from iclora.controls.poses.drawing import (
    MIN_SCORE,
    check_drawing,
    default_stick_width,
    draw_poses,
    film_poses,
)
from iclora.controls.poses.finding import (
    ESTIMATORS,
    Estimator,
    check_estimator,
    check_somebody,
    find_poses,
)
from iclora.controls.poses.keypoint_files import holds_keypoints, read_keypoints
from iclora.controls.poses.keypoint_writing import is_coco, write_keypoints
from iclora.controls.poses.placing import (
    check_placing,
    check_retargeting,
    fit,
    limb_lengths,
    place,
    retarget,
    retime,
    with_body,
)
from iclora.controls.poses.poses import Poses, follow, leading
from iclora.controls.poses.smoothing import (
    SMOOTH,
    check_smoothing,
    flicker,
    lag_frames,
    one_euro,
    smooth_poses,
)

__all__ = [
    "ESTIMATORS",
    "MIN_SCORE",
    "SMOOTH",
    "Estimator",
    "Poses",
    "check_drawing",
    "check_estimator",
    "check_placing",
    "check_retargeting",
    "check_smoothing",
    "check_somebody",
    "default_stick_width",
    "draw_poses",
    "film_poses",
    "find_poses",
    "fit",
    "flicker",
    "follow",
    "holds_keypoints",
    "is_coco",
    "lag_frames",
    "leading",
    "limb_lengths",
    "one_euro",
    "place",
    "read_keypoints",
    "retarget",
    "retime",
    "smooth_poses",
    "with_body",
    "write_keypoints",
]
