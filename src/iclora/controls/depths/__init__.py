"""Depth: how near everything in a clip is, guessed or rendered, and drawn on one scale for the whole clip.

```
 Clip ─► estimator ─► Depths ─► draw_depths ─► Clip           held
 EXR, 16-bit PNG, grey video ──────▲ read_depths

 Film ─► film_found ─► DepthFilm ─► steadied_depths ─► film_drawn ─► Film     frame by frame, through a file
 EXR, 16-bit PNG, grey video ──────────▲ film_render
```

`iclora.controls.depth` is the whole way in one call.
"""

from iclora.controls.depths.conventions import CONVENTIONS, NEAR_WHITE, uncoloured
from iclora.controls.depths.drawing import (
    FAR,
    NEAR,
    check_drawing,
    depth_range,
    draw_depths,
    film_drawn,
    steadied_depths,
)
from iclora.controls.depths.finding import (
    DEPTH_ESTIMATORS,
    DepthEstimator,
    check_estimator,
    film_found,
    find_depths,
    named,
)
from iclora.controls.depths.releases import RELEASES
from iclora.controls.depths.renders import check_values_used, film_render, read_depths
from iclora.controls.depths.value import DepthFilm, Depths, from_distances

__all__ = [
    "CONVENTIONS",
    "DEPTH_ESTIMATORS",
    "FAR",
    "NEAR",
    "NEAR_WHITE",
    "RELEASES",
    "DepthEstimator",
    "DepthFilm",
    "Depths",
    "check_drawing",
    "check_estimator",
    "check_values_used",
    "depth_range",
    "draw_depths",
    "film_drawn",
    "film_found",
    "film_render",
    "find_depths",
    "from_distances",
    "named",
    "read_depths",
    "steadied_depths",
    "uncoloured",
]
