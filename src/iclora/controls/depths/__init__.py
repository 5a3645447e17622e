"""Depth: how near everything in a clip is, guessed or rendered, and drawn on one scale for the whole clip.

```
 Clip ─► estimator ─► Depths ─► draw_depths ─► Clip
 EXR, 16-bit PNG, grey video ──────▲ read_depths
```

`iclora.controls.depth` is the whole way in one call.
"""

from iclora.controls.depths.anything import RELEASES
from iclora.controls.depths.conventions import CONVENTIONS, NEAR_WHITE
from iclora.controls.depths.drawing import FAR, NEAR, check_drawing, depth_range, draw_depths
from iclora.controls.depths.finding import (
    DEPTH_ESTIMATORS,
    DepthEstimator,
    check_estimator,
    find_depths,
    named,
)
from iclora.controls.depths.renders import VALUES, read_depths
from iclora.controls.depths.value import Depths, from_distances

__all__ = [
    "CONVENTIONS",
    "DEPTH_ESTIMATORS",
    "FAR",
    "NEAR",
    "NEAR_WHITE",
    "RELEASES",
    "VALUES",
    "DepthEstimator",
    "Depths",
    "check_drawing",
    "check_estimator",
    "depth_range",
    "draw_depths",
    "find_depths",
    "from_distances",
    "named",
    "read_depths",
]
