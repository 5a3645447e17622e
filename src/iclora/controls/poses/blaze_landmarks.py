"""BlazePose's second network: the landmarks of one person, from an upright square around them.

    detection, or landmarks of the frame before ─► Region (centre, size, tilt)
                                                      │
    frame ──────────────────────────────► 256x256 picture, the person upright ─► network
                                                                                    │
    18 body points ◄─ 33 landmarks in the frame ◄─ turned back ◄─ moved to the heat around them

Source: the MediaPipe graphs pose_landmark_by_roi_cpu.pbtxt, tensors_to_pose_landmarks_and_segmentation.pbtxt,
pose_landmarks_to_roi.pbtxt and pose_detection_to_roi.pbtxt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.poses.skeleton import NUM_POINTS, set_neck

INPUT_SIZE = 256
"""Height and width of the network's picture in pixels."""
NUM_LANDMARKS = 39
"""33 landmarks of the body, 2 that say where the whole body lies, 4 that are not used."""
MARGIN = 1.25
"""The region is larger than the circle around the body by this factor."""
_WHOLE_BODY = slice(33, 35)
_HEAT_REACH = 3
"""Cells to each side of a landmark whose heat moves it."""
_MIN_HEAT = 0.5
_BODY_OF_LANDMARKS = (
    *((0, 0), (2, 12), (3, 14), (4, 16), (5, 11), (6, 13), (7, 15), (8, 24), (9, 26), (10, 28)),
    *((11, 23), (12, 25), (13, 27), (14, 5), (15, 2), (16, 8), (17, 7)),
)
"""(body point, landmark) of all body points but the neck, which lies between the shoulders."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """An upright square around a person.

    Attributes:
        x: Centre, pixels from the left of the frame.
        y: Centre, pixels from the top.
        size: Side in pixels, above 0.
        tilt: How far the person leans clockwise, in radians; 0: head up.
    """

    x: float
    y: float
    size: float
    tilt: float

    def to_frame(self) -> np.ndarray:
        """The affine map `2 3` from shares of the square, 0..1, to pixels of the frame."""
        cosine, sine = math.cos(self.tilt) * self.size, math.sin(self.tilt) * self.size
        return np.array(
            [
                [cosine, -sine, self.x - (cosine - sine) / 2],
                [sine, cosine, self.y - (sine + cosine) / 2],
            ]
        )


def region_of(hips: Float32[np.ndarray, " 2"], above: Float32[np.ndarray, " 2"]) -> Region:
    """Find the square around a person from the two alignment points.

    Args:
        hips: x and y of the middle of the hips, in pixels.
        above: x and y of the point straight above it on the circle around the whole body.

    Returns:
        The square; its size is at least one pixel.
    """
    across, up = float(above[0] - hips[0]), float(hips[1] - above[1])
    size = max(1.0, 2 * MARGIN * math.hypot(across, up))
    return Region(x=float(hips[0]), y=float(hips[1]), size=size, tilt=math.atan2(across, up))


def crop(frame: UInt8[np.ndarray, "h w 3"], region: Region) -> Float32[np.ndarray, "256 256 3"]:
    """Cut the square out of a frame, the person upright.

    Args:
        frame: RGB, 0..255.
        region: The square; outside the frame its border pixels go on.

    Returns:
        RGB 0..1.
    """
    to_frame = region.to_frame()
    to_frame[:, :2] /= INPUT_SIZE
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(
        frame, to_frame, (INPUT_SIZE, INPUT_SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(picture.astype(np.float32) / np.float32(255))


def to_landmarks(
    raw: Float32[np.ndarray, "39 5"], heat: Float32[np.ndarray, "64 64 39"], region: Region
) -> Float32[np.ndarray, "39 3"]:
    """Read the network's outputs in pixels of the frame.

    Args:
        raw: x, y and depth of each landmark in pixels of the network's picture, and its visibility and
            presence before the logistic function.
        heat: For each landmark a map of where it is, before the logistic function.
        region: The square the picture was cut from.

    Returns:
        x and y in pixels of the frame, and the visibility 0..1.
    """
    places = refine(raw[:, :2] / np.float32(INPUT_SIZE), heat)
    to_frame = region.to_frame()
    landmarks = np.empty((NUM_LANDMARKS, 3), np.float32)
    landmarks[:, :2] = places @ to_frame[:, :2].T + to_frame[:, 2]
    landmarks[:, 2] = _logistic(raw[:, 3])
    return landmarks


def refine(
    places: Float32[np.ndarray, "n 2"], heat: Float32[np.ndarray, "rows columns n"]
) -> Float32[np.ndarray, "n 2"]:
    """Move landmarks to the centre of the heat around them, where there is enough of it.

    Args:
        places: x and y of each as shares of the picture.
        heat: Its map, before the logistic function.

    Returns:
        The moved places; those outside the map, or where no cell of the 7x7 around them reaches 0.5, stay.
    """
    num_rows, num_columns, _ = heat.shape
    moved = places.copy()
    for number, (x, y) in enumerate(places):
        column, row = math.floor(x * num_columns), math.floor(y * num_rows)
        if not (0 <= column < num_columns and 0 <= row < num_rows):
            continue
        top, left = max(0, row - _HEAT_REACH), max(0, column - _HEAT_REACH)
        warm = _logistic(heat[top : row + _HEAT_REACH + 1, left : column + _HEAT_REACH + 1, number])
        if warm.max() >= _MIN_HEAT:
            rows, columns = np.mgrid[top : top + warm.shape[0], left : left + warm.shape[1]]
            total = warm.sum()
            moved[number] = (warm * columns).sum() / num_columns, (warm * rows).sum() / num_rows
            moved[number] /= total
    return np.asarray(moved)


def next_region(landmarks: Float32[np.ndarray, "39 3"]) -> Region:
    """Find the square for the next frame from the landmarks of this one."""
    hips, above = landmarks[_WHOLE_BODY, :2]
    return region_of(hips, above)


def to_person(landmarks: Float32[np.ndarray, "39 3"]) -> Float32[np.ndarray, "130 3"]:
    """Take the body points of `skeleton` from the landmarks; hands and face have none.

    Args:
        landmarks: x and y in pixels, visibility 0..1.

    Returns:
        The points with the visibility as score.
    """
    person = np.zeros((NUM_POINTS, 3), np.float32)
    for point, landmark in _BODY_OF_LANDMARKS:
        person[point] = landmarks[landmark]
    set_neck(person)
    return person


def _logistic(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), dtype=np.float32)
