"""Keypoints read from JSON, OpenPose's and COCO's; `keypoint_writing` shows how both are written here.

Read are a list with one OpenPose record for each frame; one such record (one frame); an object whose "frames"
are such records; a folder of OpenPose's files, one for each frame, in the order of their names; COCO
annotations and result lists (17 points; frames in the order of the image ids). OpenPose's bodies may have 18
or 25 points. Coordinates that all lie in 0..1 are shares of the picture.

Source: OpenPose doc/02_output.md, COCO data format (keypoint detection), comfyui_controlnet_aux.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float32

from iclora.controls.poses.keypoint_writing import PARTS
from iclora.controls.poses.poses import Poses, follow
from iclora.controls.poses.skeleton import BODY, BODY25_TO_BODY, FACE, NUM_POINTS, from_coco
from iclora.errors import InputError, RequestError

_ADVICE = "The keypoints that `iclora control pose` writes (--keypoints FILE) show how it is written."


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """One frame as it was read: people, the ids they may have, and what its record says of the picture."""

    people: list[np.ndarray]
    ids: list[int]
    height: int | None = None
    width: int | None = None
    fps: float | None = None


def holds_keypoints(path: str | Path) -> bool:
    """Say whether a path is one of keypoints rather than of pictures, without reading it.

    Args:
        path: A file or a folder; it may be missing.

    Returns:
        Whether it is a `.json`, or a folder of nothing else.
    """
    source = Path(path)
    inside = list(source.iterdir()) if source.is_dir() else [source]
    return bool(inside) and all(one.suffix.lower() == ".json" for one in inside)


def read_keypoints(
    path: str | Path, *, height: int | None = None, width: int | None = None, fps: float | None = None
) -> Poses:
    """Read keypoints from a JSON file or a folder of them.

    Args:
        path: The file or folder.
        height: Height of the picture in pixels where the file does not say it.
        width: Its width.
        fps: Frames per second where the file does not say it. A single frame needs none.

    Returns:
        The poses. Who is who comes from `person_id` where all have one, else from who is near whom.

    Raises:
        InputError: If there is no such file, it is no JSON, not of a known form, a value cannot be, or nobody
            is in it.
        RequestError: If neither the file nor the call says the size or the rate.
    """
    source = Path(path)
    frames = _frames_of(source)
    height = next((one.height for one in frames if one.height), height)
    width = next((one.width for one in frames if one.width), width)
    fps = next((one.fps for one in frames if one.fps), fps if len(frames) > 1 or fps else 24.0)
    if height is None or width is None:
        raise RequestError(
            f"{source} does not say how large the picture is; give the size (--size WxH; height=, width=)."
        )
    if fps is None:
        raise RequestError(f"{source} does not say its frame rate; give it (--fps N; fps=).")
    points = _in_places(frames)
    there = points[..., 2] > 0
    if not there.any():
        raise InputError(f"{source} holds nobody: no point has a score above 0. {_ADVICE}")
    if np.abs(points[there][:, :2]).max() <= 1:
        points[..., 0] *= width
        points[..., 1] *= height
    try:
        return Poses(points=points, height=height, width=width, fps=fps)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _frames_of(source: Path) -> list[_Frame]:
    """Read a file, or the files of a folder."""
    files = sorted(source.glob("*.json")) if source.is_dir() else [source]
    if not files:
        raise InputError(f"{source} holds no .json files; give OpenPose or COCO keypoints.")
    frames = []
    for file in files:
        try:
            content = json.loads(file.read_text("utf-8-sig"))
        except FileNotFoundError:
            raise InputError(f"There is no file {file}; give keypoints as OpenPose or COCO JSON.") from None
        except OSError as error:
            raise InputError(
                f"Cannot read {file} ({error.strerror or error}); is it a file of yours?"
            ) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file} cannot be read as JSON ({error}). {_ADVICE}") from error
        try:
            frames += _parsed(content)
        except (InputError, ArithmeticError, KeyError, TypeError, ValueError) as error:
            said = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
            raise InputError(
                f"{file} does not hold keypoints as OpenPose or COCO JSON has them: {said}. {_ADVICE}"
            ) from error
    return frames


def _parsed(content: Any) -> list[_Frame]:
    if isinstance(content, Mapping) and "annotations" in content:
        images = _objects(content.get("images", []), "images")
        frames = _coco(_objects(content["annotations"], "annotations"), images, visibility=True)
        info = content.get("info")
        # Not one of COCO's own words: 0 there says nothing.
        fps = _positive(info, "fps", float) if isinstance(info, Mapping) and info.get("fps") else None
        return [replace(frame, fps=fps) for frame in frames]
    if isinstance(content, Mapping) and "frames" in content:
        shared = {key: value for key, value in content.items() if key != "frames"}
        content = [{**shared, **one} for one in _objects(content["frames"], "frames")]
    if isinstance(content, Mapping) and "people" in content:
        content = [content]
    if (
        not isinstance(content, Sequence)
        or not content
        or not all(isinstance(one, Mapping) for one in content)
    ):
        _refuse("expected a record with 'people', a list of them, or COCO annotations")
    if "keypoints" in content[0]:
        return _coco(content, [], visibility=False)
    return [_openpose(one) for one in content]


def _openpose(record: Mapping[str, Any]) -> _Frame:
    people, ids = [], []
    for entry in _objects(record["people"] or [], "people"):
        person = np.zeros((NUM_POINTS, 3), np.float32)
        for name, part in PARTS.items():
            points = _triples(entry.get(name) or (), name)
            if part == BODY and len(points) == 25:
                points = points[list(BODY25_TO_BODY)]
            elif part == FACE and len(points) == 68:
                points = np.concatenate([points, np.zeros((2, 3), np.float32)])
            room = part.stop - part.start
            if len(points) not in (0, room):
                _refuse(f"'{name}' has {len(points)} points, but {room} are expected")
            person[part.start : part.start + len(points)] = points
        people.append(person)
        ids.append(_identity(entry.get("person_id")))
    return _Frame(
        people=people,
        ids=ids,
        height=_positive(record, "canvas_height", int),
        width=_positive(record, "canvas_width", int),
        fps=_positive(record, "fps", float),
    )


def _coco(
    annotations: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]], *, visibility: bool
) -> list[_Frame]:
    """Annotations carry 0 (not labelled), 1 (hidden) or 2 for each point, result lists a score."""
    sizes = {one["id"]: one for one in images}
    order = sorted(sizes.keys() | {one["image_id"] for one in annotations})
    if not order:
        _refuse("it has no images")
    people: dict[Any, list[np.ndarray]] = {number: [] for number in order}
    ids: dict[Any, list[int]] = {number: [] for number in order}
    for one in annotations:
        points = _triples(one.get("keypoints") or (), "keypoints")
        if len(points) != 17:
            _refuse(f"'keypoints' has {len(points)} points, but COCO has 17")
        points[:, 2] = (points[:, 2] > 0) if visibility else points[:, 2].clip(0, 1)
        person = np.zeros((NUM_POINTS, 3), np.float32)
        person[BODY] = from_coco(points)
        people[one["image_id"]].append(person)
        ids[one["image_id"]].append(_identity(one.get("track_id")))
    return [
        _Frame(
            people=people[number],
            ids=ids[number],
            height=_positive(sizes.get(number, {}), "height", int),
            width=_positive(sizes.get(number, {}), "width", int),
        )
        for number in order
    ]


def _identity(value: Any) -> int:
    """A person's number, which OpenPose puts into a list; -1 where there is none."""
    number = next(iter(value), None) if isinstance(value, list) else value
    return -1 if number is None else int(number)


def _objects(values: Any, name: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects."""
    if not isinstance(values, list) or not all(isinstance(one, Mapping) for one in values):
        _refuse(f"'{name}' must be a list of objects, but is {str(values)[:40]!r}")
    return values


def _triples(numbers: Any, name: str) -> Float32[np.ndarray, "n 3"]:
    """x, y and score after one another; a point with score 0 is nowhere."""
    if not isinstance(numbers, Sequence) or len(numbers) % 3:
        _refuse(f"'{name}' must be a list of x, y, score after one another")
    with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinite
        points = np.array(numbers, dtype=np.float32).reshape(-1, 3)
    if not np.isfinite(points).all():
        _refuse(f"'{name}' holds numbers that are not finite")
    points[points[:, 2] <= 0] = 0
    return points


def _positive(record: Mapping[str, Any], name: str, kind: Callable[[Any], Any]) -> Any:
    """A number above 0, or None where the record does not have it."""
    value = record.get(name)
    if value is None:
        return None
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        _refuse(f"'{name}' is {str(value)[:40]!r}, but must be a number above 0")
    if not 0 < number < float("inf"):
        _refuse(f"'{name}' is {value}, but must be above 0")
    return number


def _in_places(frames: Sequence[_Frame]) -> Float32[np.ndarray, "f p 130 3"]:
    """Give each person their place: that of their id, or one found by following them."""
    ids = sorted({one for frame in frames for one in frame.ids})
    clear = all(len(set(frame.ids)) == len(frame.ids) for frame in frames)
    if not ids or ids[0] < 0 or not clear:
        return follow([frame.people for frame in frames])
    points = np.zeros((len(frames), len(ids), NUM_POINTS, 3), np.float32)
    for index, frame in enumerate(frames):
        for person, number in zip(frame.people, frame.ids, strict=True):
            points[index, ids.index(number)] = person
    return points


def _refuse(why: str) -> NoReturn:
    raise InputError(f"{why}.")
