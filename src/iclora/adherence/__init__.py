"""How well a result follows its control: what the control says is found in the result again and compared.

```
 canny  depth  pose  tracks  likeness     pure metrics: numbers of the control, numbers of the result
 flicker  lag  drift  leak                pure measures of clips
        │
      kinds      a kind of control ─► how its truth is found, found again and compared
        │
      scoring    one call: a score by kind, with lag and leak, inside and outside of a mask
```
"""

from iclora.adherence.canny import CannyScore, canny
from iclora.adherence.depth import DepthScore, depth, rank_correlation
from iclora.adherence.drift import drift
from iclora.adherence.flicker import flicker, line_flicker
from iclora.adherence.kinds import SCORERS, Truth, find_again, find_truth, read_drawing, scorer_of
from iclora.adherence.lag import MAX_LAG, lag_frames
from iclora.adherence.leak import leak
from iclora.adherence.likeness import LikenessScore, likeness
from iclora.adherence.parts import fit_where
from iclora.adherence.pose import PoseScore, pose
from iclora.adherence.scoring import Score, score, steadiness
from iclora.adherence.tracks import TracksScore, follow_again, tracks

__all__ = [
    "MAX_LAG",
    "SCORERS",
    "CannyScore",
    "DepthScore",
    "LikenessScore",
    "PoseScore",
    "Score",
    "TracksScore",
    "Truth",
    "canny",
    "depth",
    "drift",
    "find_again",
    "find_truth",
    "fit_where",
    "flicker",
    "follow_again",
    "lag_frames",
    "leak",
    "likeness",
    "line_flicker",
    "pose",
    "rank_correlation",
    "read_drawing",
    "score",
    "scorer_of",
    "steadiness",
    "tracks",
]
