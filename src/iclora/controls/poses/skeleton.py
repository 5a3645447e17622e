"""The OpenPose skeleton as numbers: which point is which, what is joined to what, in which colour.

A person is 130 points in one array, always in this order:

    0..17 body    18..38 left hand    39..59 right hand    60..129 face

         16─14─0─15─17            0 nose        1 neck (between the shoulders)
               │                  2 3 4         right shoulder, elbow, wrist
      4─3─2─── 1 ───5─6─7         5 6 7         left shoulder, elbow, wrist
              ╱ ╲                 8 9 10        right hip, knee, ankle
             8   11               11 12 13      left hip, knee, ankle
             9   12               14 15 16 17   right eye, left eye, right ear, left ear
            10   13

Left and right are the person's own. Source: the OpenPose output format, and the drawing of the ControlNet
annotators (body.py and util.py of lllyasviel/ControlNet, dwpose/util.py of comfyui_controlnet_aux).
"""

import numpy as np
from jaxtyping import Float32

BODY = slice(0, 18)
LEFT_HAND = slice(18, 39)
RIGHT_HAND = slice(39, 60)
FACE = slice(60, 130)
NUM_POINTS = 130

BODY_NAMES = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist"),
    *("left shoulder", "left elbow", "left wrist", "right hip", "right knee", "right ankle"),
    *("left hip", "left knee", "left ankle", "right eye", "left eye", "right ear", "left ear"),
)
NOSE, NECK, RIGHT_SHOULDER, LEFT_SHOULDER = 0, 1, 2, 5
RIGHT_WRIST, LEFT_WRIST = 4, 7

LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
"""Pairs of body points that are joined, in the order they are drawn; each starts nearer to the neck."""
COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""RGB of point k, and, darkened, of limb k."""
FINGERS = tuple(
    (0 if joint == 1 else first + joint - 1, first + joint)
    for first in (0, 4, 8, 12, 16)
    for joint in (1, 2, 3, 4)
)
"""Pairs of the 21 hand points that are joined: thumb to little finger, each from the wrist (0) outwards."""

COCO_TO_BODY = (
    *((0, 0), (1, 15), (2, 14), (3, 17), (4, 16), (5, 5), (6, 2), (7, 6), (8, 3)),
    *((9, 7), (10, 4), (11, 11), (12, 8), (13, 12), (14, 9), (15, 13), (16, 10)),
)
"""(index of a COCO-17 point, index of the same body point)."""
BODY25_TO_BODY = (*range(8), *range(9, 19))
"""Index in OpenPose's 25-point body of each of the 18 body points; its point 8 is the middle of the hips."""


def from_coco(points: Float32[np.ndarray, "*n 17 3"]) -> Float32[np.ndarray, "*n 18 3"]:
    """Turn COCO's 17 points into the 18-point body; the neck is the middle of the shoulders.

    Args:
        points: x and y in pixels, score 0..1 (0: not there).

    Returns:
        The body points; the neck is there where both shoulders are, with the lower of their scores.
    """
    body = np.zeros((*points.shape[:-2], 18, 3), np.float32)
    for coco, own in COCO_TO_BODY:
        body[..., own, :] = points[..., coco, :]
    set_neck(body)
    return body


def set_neck(body: Float32[np.ndarray, "*n points 3"]) -> None:
    """Put the neck between the shoulders, in place.

    Args:
        body: x, y and score of points that begin with the body's. Without both shoulders there is no neck.
    """
    right, left = body[..., RIGHT_SHOULDER, :], body[..., LEFT_SHOULDER, :]
    score = np.minimum(right[..., 2], left[..., 2])
    body[..., NECK, :2] = np.where(score[..., None] > 0, (right[..., :2] + left[..., :2]) / 2, 0)
    body[..., NECK, 2] = score
