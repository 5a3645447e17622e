"""DWPose through `rtmlib` and onnxruntime: whole body with hands and face, several people.

The networks `yolox_l.onnx` (people, 640x640) and `dw-ll_ucoco_384.onnx` (133 points, 288x384) are those of
the released ComfyUI workflows, Apache-2.0, fetched from the hub on first use.

Source: dwpose/wholebody.py of comfyui_controlnet_aux: score limits 0.3, overlap 0.45, people alone of what
is detected, and the last two face points, the middles of the eyes; COCO-WholeBody for the order of the 133
points.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from iclora.controls import hub
from iclora.controls.cache import cache_folder
from iclora.controls.devices import onnx_providers
from iclora.controls.poses.skeleton import BODY, FACE, LEFT_HAND, NUM_POINTS, RIGHT_HAND, from_coco
from iclora.errors import MissingDependencyError, ModelError, RequestError

REPOSITORY = "yzd-v/DWPose"
DETECTOR, KEYPOINTS = "yolox_l.onnx", "dw-ll_ucoco_384.onnx"
INSTALL = "pip install onnxruntime tqdm && pip install --no-deps 'rtmlib>=0.0.16'"
"""Without --no-deps rtmlib brings two more builds of OpenCV, which overwrite ours."""
_PERSON = 0
"""The class of people among the 80 of COCO, all of which the detector finds."""


class DWPose:
    """Finds people with DWPose.

    Args:
        device: `cpu`, or `cuda` or `cuda:N` where onnxruntime has it.

    Raises:
        RequestError: If onnxruntime has no such device here, or cannot use it.
        MissingDependencyError: If `rtmlib` or onnxruntime is not installed.
        ModelError: If the networks cannot be fetched or read.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        check_dwpose(device)
        rtmlib, state = packages()
        detector, keypoints = find(DETECTOR), find(KEYPOINTS)
        runtime: dict[str, Any] = {"backend": "onnxruntime", "device": device}
        try:
            with contextlib.redirect_stdout(sys.stderr):  # rtmlib says there what it loads
                self._detector = rtmlib.YOLOX(
                    str(detector),
                    model_input_size=(640, 640),
                    det_mode="multiclass",
                    nms_thr=0.45,
                    score_thr=0.3,
                    **runtime,
                )
                self._keypoints = rtmlib.RTMPose(str(keypoints), model_input_size=(288, 384), **runtime)
        except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile) as error:
            raise ModelError(
                f"{detector} or {keypoints} cannot be read as a network ({' '.join(str(error).split())}); "
                "delete it and run again."
            ) from error
        if self._detector.session.get_outputs()[0].shape[-1:] == [5]:  # boxes and scores, without classes
            self._detector.det_mode = "human"
        # onnxruntime goes on without a card that it cannot use.
        if device != "cpu" and self._detector.session.get_providers()[0] == "CPUExecutionProvider":
            raise RequestError(
                f"onnxruntime was built for '{device}' and cannot use it; see what it says above, or leave "
                "the device out."
            )

    def __call__(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[list[Float32[np.ndarray, "130 3"]]]:
        """Find the people in each frame.

        Args:
            frames: RGB 0..255.

        Yields:
            For each frame the points of each person: x, y in pixels and a score 0..1.
        """
        for frame in frames:
            picture = np.ascontiguousarray(frame[..., ::-1])  # rtmlib counts on OpenCV's BGR
            boxes = self._detector(picture)
            if self._detector.det_mode == "multiclass":
                boxes, classes = boxes
                boxes = boxes[classes == _PERSON]
            if len(boxes) == 0:  # without boxes it would take the whole picture for a person
                yield []
                continue
            places, scores = self._keypoints(picture, bboxes=boxes)
            found = np.concatenate([places, scores[..., None]], axis=-1)
            yield [from_wholebody(person) for person in found]


def check_dwpose(device: str) -> None:
    """Refuse to run where DWPose cannot, before anything is read or fetched.

    Args:
        device: As for `DWPose`.

    Raises:
        RequestError: If onnxruntime has no such device here.
        MissingDependencyError: If `rtmlib` or onnxruntime is not installed.
    """
    packages()
    onnx_providers(device)


def packages() -> tuple[Any, Any]:
    """Import what runs the networks.

    Returns:
        `rtmlib`, and the errors of onnxruntime.

    Raises:
        MissingDependencyError: If one of them is not installed, or `rtmlib` is too old to name classes.
    """
    try:
        import rtmlib
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        name = "onnxruntime" if (error.name or "").startswith("onnxruntime") else "rtmlib"
        raise MissingDependencyError(f"DWPose needs {name}, which is not installed: {INSTALL}") from error
    if "det_mode" not in inspect.signature(rtmlib.YOLOX).parameters:
        raise MissingDependencyError(f"DWPose needs a newer rtmlib than the one installed: {INSTALL}")
    return rtmlib, state


def from_wholebody(points: Float[np.ndarray, "133 3"]) -> Float32[np.ndarray, "130 3"]:
    """Turn the 133 points of COCO-WholeBody into ours.

    Args:
        points: x and y in pixels and a score, which the network may give a little outside 0..1: 17 body
            points, 6 of the feet, 68 of the face, 21 of the left hand, 21 of the right.

    Returns:
        The points of `skeleton`; the feet are left out, and face points 68 and 69 are the right and left eye.
    """
    known = points.astype(np.float32)
    known[:, 2] = known[:, 2].clip(0, 1)
    person = np.zeros((NUM_POINTS, 3), np.float32)
    person[BODY] = from_coco(known[:17])
    person[FACE] = np.concatenate([known[23:91], person[14:16]])
    person[LEFT_HAND], person[RIGHT_HAND] = known[91:112], known[112:133]
    return person


def files() -> list[Path]:
    """Where each network lies, or would lie: put there by hand, else in the hub's cache."""
    folder = cache_folder() / "dwpose"
    return [hub.place_of(REPOSITORY, name, folder / name) for name in (DETECTOR, KEYPOINTS)]


def find_all() -> list[Path]:
    """Find both networks, as `find` does."""
    return [find(name) for name in (DETECTOR, KEYPOINTS)]


def find(name: str) -> Path:
    """Find a network of DWPose, and fetch it where it is not there yet.

    Args:
        name: Its file name.

    Returns:
        Its path: in the cache of this package where it was put by hand, else in that of the hub.

    Raises:
        ModelError: If it cannot be fetched; the message says what to put where.
    """
    by_hand = cache_folder() / "dwpose" / name
    if by_hand.is_file():
        return by_hand
    try:
        return hub.download(REPOSITORY, name, about="for DWPose, Apache-2.0")
    except hub.FAILURES as error:
        raise ModelError(
            f"DWPose's {name} could not be fetched ({hub.reason_of(error)}). Download {DETECTOR} and "
            f"{KEYPOINTS} from the Hugging Face repository {REPOSITORY} and put them into {by_hand.parent}, "
            "or use the estimator blazepose, which needs no hub."
        ) from error
