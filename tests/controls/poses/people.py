"""Small figures for the tests of poses."""

import numpy as np

from iclora.controls.poses import Poses
from iclora.controls.poses.skeleton import BODY, NUM_POINTS

STANDING = (
    *((50, 10), (50, 30), (40, 30), (36, 50), (34, 70), (60, 30), (64, 50), (66, 70)),
    *((44, 70), (44, 95), (44, 120), (56, 70), (56, 95), (56, 120), (47, 7), (53, 7), (43, 9), (57, 9)),
)
"""x and y of the body of somebody who stands, 120 pixels high."""


def person(x: float = 0, y: float = 0, *, scale: float = 1.0, score: float = 0.9) -> np.ndarray:
    """Somebody standing, all body points seen."""
    points = np.zeros((NUM_POINTS, 3), np.float32)
    points[BODY, :2] = np.array(STANDING) * scale + (x, y)
    points[BODY, 2] = score
    return points


def poses_of(*frames: list[np.ndarray], fps: float = 24.0, height: int = 130, width: int = 200) -> Poses:
    """Poses whose frames each hold the same number of people."""
    return Poses(points=np.array(frames, np.float32), height=height, width=width, fps=fps)
