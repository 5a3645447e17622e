"""BlazePose's first network: where people are, from 2254 anchors to a few detections.

    frame ─► 224x224, whole picture, black around it ─► network ─► 2254 x (score, box, 4 alignment points)
                                                                        │
                     detections, in pixels of the frame ◄─ merge overlapping ones ◄─ score >= 0.6

The box is that of the face; the first two alignment points are the middle of the hips and a point above it
as far away as the farthest limb, which say where the whole body lies, how large and how tilted.

Source: the MediaPipe graphs pose_detection_cpu.pbtxt and pose_landmark_cpu.pbtxt, and the paper V. Bazarevsky
et al., "BlazePose: On-device Real-time Body Pose tracking" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

INPUT_SIZE = 224
"""Height and width of the network's picture in pixels."""
MIN_SCORE = 0.6
"""MediaPipe takes 0.5, which blurred traffic passes now and then."""
SAME_OVERLAP = 0.3
"""Boxes that overlap by more than this share of their union are the same person."""
_GRIDS = ((28, 2), (14, 2), (7, 6))
"""(cells along a side, anchors in each cell), strides 8, 16 and three times 32."""
_SCORE_LIMIT = 80.0
"""Beyond that the logistic function overflows float32; MediaPipe cuts at 100, which is the same score."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Detection:
    """A person the detector found.

    Attributes:
        score: How sure it is, 0..1.
        box: Left, top, right and bottom of the face, in pixels of the frame.
        points: x and y of four alignment points, in pixels of the frame: middle of the hips, a point that
            says size and tilt of the whole body, and the same two for the upper body.
    """

    score: float
    box: Float32[np.ndarray, " 4"]
    points: Float32[np.ndarray, "4 2"]


def anchors() -> Float32[np.ndarray, "2254 2"]:
    """Centres of the anchors.

    Returns:
        x and y of each as shares of the network's picture, in the order of its outputs.
    """
    grids = []
    for side, times in _GRIDS:
        rows, columns = np.mgrid[:side, :side]
        centres = np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
        grids.append(np.repeat(centres / side, times, axis=0))
    return np.concatenate(grids).astype(np.float32)


def letterbox(
    frame: UInt8[np.ndarray, "h w 3"],
) -> tuple[Float32[np.ndarray, "224 224 3"], float, float, float]:
    """Fit a frame into the network's square.

    Args:
        frame: RGB, 0..255.

    Returns:
        The picture, RGB -1..1 with -1 around the frame; the side of the square in pixels of the frame; and
        the left and top of the square there, 0 or below.
    """
    height, width = frame.shape[:2]
    side = float(max(height, width))
    left, top = (width - side) / 2, (height - side) / 2
    scale = INPUT_SIZE / side
    to_input = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    picture = cv2.warpAffine(frame, to_input, (INPUT_SIZE, INPUT_SIZE), flags=cv2.INTER_LINEAR)
    return picture.astype(np.float32) / np.float32(127.5) - np.float32(1), side, left, top


def decode(
    logits: Float32[np.ndarray, " 2254"], raw: Float32[np.ndarray, "2254 12"]
) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, "n 6 2"]]:
    """Turn the network's outputs into scores, boxes and points.

    Args:
        logits: Score of each anchor before the logistic function.
        raw: For each anchor x, y of the box's centre relative to the anchor, its width, its height, and x,
            y of four points relative to the anchor, all in pixels of the network's picture.

    Returns:
        The scores from `MIN_SCORE` on, and for each left top, right bottom and four points, as shares of the
        network's picture.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits, -_SCORE_LIMIT, _SCORE_LIMIT)))
    kept = scores >= MIN_SCORE
    values = raw[kept].reshape(-1, 6, 2) / INPUT_SIZE
    half_size = values[:, 1].copy() / 2
    values += anchors()[kept][:, None]
    centre = values[:, 0].copy()
    values[:, 0], values[:, 1] = centre - half_size, centre + half_size
    return scores[kept].astype(np.float32), values.astype(np.float32)


def merge(
    scores: Float32[np.ndarray, " n"], values: Float32[np.ndarray, "n 6 2"]
) -> list[tuple[float, np.ndarray]]:
    """Melt overlapping detections into one each, weighted by their scores (weighted non-maximum suppression).

    Args:
        scores: Score of each, above 0.
        values: Left top, right bottom and points of each.

    Returns:
        Score and values `6 2` of what is left, best first; the score is that of the best of those melted.
    """
    order = np.argsort(-scores, kind="stable")
    melted = []
    while order.size:
        overlaps = _overlap(values[order[0]], values[order])
        same = overlaps > SAME_OVERLAP
        same[0] = True  # also where the box has no area
        group = order[same]
        mean = np.average(values[group], axis=0, weights=scores[group]).astype(np.float32)
        melted.append((float(scores[order[0]]), mean))
        order = order[~same]
    return melted


def to_detections(
    logits: Float32[np.ndarray, " 2254"],
    raw: Float32[np.ndarray, "2254 12"],
    *,
    side: float,
    left: float,
    top: float,
) -> list[Detection]:
    """Read the network's outputs in pixels of the frame.

    Args:
        logits: As for `decode`.
        raw: As for `decode`.
        side: Side of the letterbox in pixels of the frame.
        left: Its left edge there.
        top: Its top edge there.

    Returns:
        The people, the surest first.
    """
    found = []
    for score, values in merge(*decode(logits, raw)):
        places = (values * side + np.array([left, top])).astype(np.float32)
        found.append(Detection(score=score, box=places[:2].reshape(4), points=places[2:]))
    return found


def _overlap(one: Float32[np.ndarray, "6 2"], others: Float32[np.ndarray, "n 6 2"]) -> np.ndarray:
    """Intersection over union of one box with others."""
    inside = np.minimum(one[1], others[:, 1]) - np.maximum(one[0], others[:, 0])
    shared = np.prod(np.clip(inside, 0, None), axis=-1)
    areas = np.prod(np.clip(others[:, 1] - others[:, 0], 0, None), axis=-1)
    own = float(np.prod(np.clip(one[1] - one[0], 0, None)))
    return np.asarray(shared / np.maximum(own + areas - shared, 1e-12))
