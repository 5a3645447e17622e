"""Keypoints written as JSON, in the form that the name of the file says; `keypoint_files` reads both.

`NAME.json`: OpenPose's, as ComfyUI's pose nodes keep it, a list with one record for each frame:

    [{"version": 1.3, "canvas_width": 640, "canvas_height": 360, "fps": 24.0, "people": [
        {"person_id": [0], "pose_keypoints_2d": [x, y, score, x, y, score, ...], ...}]},
     ...]

`NAME.coco.json`: COCO's annotations, as labelling tools keep them: 17 points of the body, no hands, no face,
and for each point whether it is there rather than a score:

    {"info": {"fps": 24.0}, "images": [{"id": 0, "width": 640, "height": 360, ...}, ...],
     "annotations": [{"image_id": 0, "track_id": 0, "keypoints": [x, y, 2, x, y, 0, ...], ...}, ...],
     "categories": [{"name": "person", "keypoints": ["nose", "left_eye", ...], ...}]}

Source: OpenPose doc/02_output.md, COCO data format (keypoint detection), comfyui_controlnet_aux.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from iclora.controls.poses.drawing import MIN_SCORE
from iclora.controls.poses.poses import Poses
from iclora.controls.poses.skeleton import (
    BODY,
    BODY_NAMES,
    COCO_TO_BODY,
    FACE,
    LEFT_HAND,
    LIMBS,
    RIGHT_HAND,
)
from iclora.errors import RequestError
from iclora.media.files import write_file

PARTS = {
    "pose_keypoints_2d": BODY,
    "hand_left_keypoints_2d": LEFT_HAND,
    "hand_right_keypoints_2d": RIGHT_HAND,
    "face_keypoints_2d": FACE,
}
"""Where OpenPose's records hold which points."""
_DECIMALS = 3
_LABELLED = 2
"""COCO's word for a point that is there and seen."""


def is_coco(path: str | Path) -> bool:
    """Say whether a path is one of COCO's annotations: whether its name ends in `.coco.json`."""
    return str(path).lower().endswith(".coco.json")


def write_keypoints(
    poses: Poses, path: str | Path, *, whole_scores: float | None = None, overwrite: bool = False
) -> Path:
    """Write keypoints as JSON: COCO's annotations where the name ends in `.coco.json`, else OpenPose's.

    Args:
        poses: The keypoints. A person without any point in a frame is left out there.
        path: A `.json` file.
        whole_scores: Where given, scores from there on are written as 1 and points below it are left out, as
            ComfyUI's nodes take any lower score for a missing point. None: scores as they are; in COCO's
            form, which has none, points from `MIN_SCORE` on.
        overwrite: Whether a file that exists may be replaced.

    Returns:
        The path written.

    Raises:
        OutputError: If the file exists or cannot be written.
        RequestError: If there are points, but none that COCO's form has.
    """
    coco = is_coco(path)
    if coco and whole_scores is None:
        whole_scores = MIN_SCORE
    points = poses.points.astype(np.float64).round(_DECIMALS)
    if whole_scores is not None:
        points[..., 2] = (poses.points[..., 2] >= max(whole_scores, 1e-6)).astype(np.float64)
    points[points[..., 2] == 0] = 0
    target = Path(path)
    own = points[:, :, [of_body for _, of_body in COCO_TO_BODY], 2]
    if coco and points[..., 2].any() and not own.any():
        raise RequestError(
            f"{target} would hold nobody: of COCO's 17 points of the body none is there. Write NAME.json, "
            "which has hands and faces too."
        )
    text = json.dumps(_coco(poses, points)) + "\n" if coco else _openpose(poses, points)
    write_file(target, text.encode(), overwrite=overwrite)
    return target


def _openpose(poses: Poses, points: Float[np.ndarray, "f p 130 3"]) -> str:
    """A record for each frame, on a line of its own."""
    head = {
        "version": 1.3,
        "canvas_width": poses.width,
        "canvas_height": poses.height,
        "fps": float(poses.fps),
    }
    lines = [
        json.dumps(
            {**head, "people": [_record(one, number) for number, one in enumerate(people) if one.any()]}
        )
        for people in points
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _record(person: np.ndarray, number: int) -> dict[str, Any]:
    """One person of one frame; a part without any point is an empty list, as OpenPose has it."""
    record: dict[str, Any] = {"person_id": [number]}
    for name, part in PARTS.items():
        record[name] = person[part].reshape(-1).tolist() if person[part].any() or part == BODY else []
    return record


def _coco(poses: Poses, points: Float[np.ndarray, "f p 130 3"]) -> dict[str, Any]:
    """All frames as images, and everybody in each as an annotation."""
    size = {"width": poses.width, "height": poses.height}
    images = [{"id": frame, "file_name": f"{frame:06}.png", **size} for frame in range(poses.num_frames)]
    own = [of_body for _, of_body in COCO_TO_BODY]
    limbs = [[own.index(start) + 1, own.index(end) + 1] for start, end in LIMBS if {start, end} <= {*own}]
    names = [BODY_NAMES[of_body].replace(" ", "_") for of_body in own]
    person = {"id": 1, "name": "person", "supercategory": "person", "keypoints": names, "skeleton": limbs}
    return {
        "info": {"fps": float(poses.fps)},
        "images": images,
        "annotations": [{"id": number, **one} for number, one in enumerate(_annotations(points[:, :, own]))],
        "categories": [person],
    }


def _annotations(points: Float[np.ndarray, "f p 17 3"]) -> Iterator[dict[str, Any]]:
    """Everybody of whom something is there, frame by frame."""
    for frame, place in np.argwhere(points[..., 2].any(axis=2)):
        person = points[frame, place]
        there = person[:, 2] > 0
        person[:, 2] = there * _LABELLED
        left, top = person[there, :2].min(axis=0)
        width, height = np.ptp(person[there, :2], axis=0).round(_DECIMALS)
        yield {
            "image_id": int(frame),
            "track_id": int(place),
            "category_id": 1,
            "num_keypoints": int(there.sum()),
            "keypoints": person.reshape(-1).tolist(),
            "bbox": [float(left), float(top), float(width), float(height)],
            "area": float(width * height),
            "iscrowd": 0,
        }
