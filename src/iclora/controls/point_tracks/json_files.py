"""Tracks as JSON: what the ComfyUI editor writes, and our own form, which says more.

The editor's forms, read and written:

    [[{"x": 30, "y": 220}, {"x": 31, "y": 218}, ...], ...]      a place for each frame, from frame 0 on
    {"points_store": [[{"x": 30, "y": 220}, ...], ...]}         keypoints of a curve; also a whole workflow

Our own:

    {"width": 704, "height": 1216, "fps": 24, "num_frames": 121, "tracks": [
        {"keypoints": [{"x": 30, "y": 220}, {"x": 400, "y": 90}], "start": 0, "end": 60},
        {"keypoints": [{"x": 30, "y": 220, "frame": 8}, {"x": 90, "y": 90, "frame": 40}]},
        {"points": [{"x": 5, "y": 6}, null, {"x": 7, "y": 8}], "start": 12, "hidden": [[13, 13]]}]}

A list or an object may also stand in a string, as ComfyUI passes them on. Frames count from 0, `end` and the
last number of `hidden` are included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Bool, Float

from iclora.controls.point_tracks.splines import even_spline, keyed_spline
from iclora.controls.point_tracks.value import MAX_FRAMES, Tracks
from iclora.errors import InputError, RequestError

DEFAULT_FRAMES = 121
"""Frames that keypoints without frames are spread over where nothing is said; the editor's default."""
_LARGEST = 1e9
"""Beyond it a number is no place and no rate; also false of infinity and of what is no number."""
_EDITOR_NODE = "LTXVSparseTrackEditor"
_OWN_KEYS = {"width", "height", "fps", "num_frames", "tracks"}
_TRACK_KEYS = {"keypoints", "points", "start", "end", "hidden"}
_MISSING_CANVAS = (
    "do not say how large their canvas is; say it (--canvas WxH, or --size where both are the same, on the "
    'command line; canvas=), or write {"width": .., "height": .., "tracks": [..]}.'
)

Row = tuple[int, np.ndarray, np.ndarray]
"""A track: its first frame, its places `f 2`, and whether each is visible, `f`."""


def tracks_from_json(
    text: str,
    *,
    canvas: tuple[int, int] | None = None,
    num_frames: int | None = None,
    keypoints: bool = False,
) -> Tracks:
    """Read tracks from JSON.

    Args:
        text: JSON in one of the forms above.
        canvas: Height and width in pixels of the canvas, where the text does not say.
        num_frames: Frames that keypoints are spread over where the text does not say; None: 121.
        keypoints: Whether a bare list holds keypoints of curves rather than a place for each frame.

    Returns:
        The tracks.

    Raises:
        InputError: If it is not JSON, or holds no tracks that can be read.
    """
    content = _unwrapped(text)
    if isinstance(content, Mapping) and "tracks" in content:
        return _own(content, canvas, num_frames)
    found = _editor_store(content) if isinstance(content, Mapping) else None
    if found is not None:
        content, asked = found
        num_frames, keypoints = asked or num_frames, True
    lists = list(_point_lists(content))
    if not lists:
        raise InputError(
            'There are no points in it; write [[{"x": 10, "y": 20}, {"x": 12, "y": 22}, ...], ...], one list '
            "for each track."
        )
    length = num_frames or DEFAULT_FRAMES
    if not 1 <= length <= MAX_FRAMES:
        raise InputError(f"Cannot spread keypoints over {length} frames; ask for 1 to {MAX_FRAMES}.")
    rows = []
    for number, points in enumerate(lists, start=1):
        kind = "keypoints" if keypoints else "points"
        rows.append(_row({kind: points}, f"Track {number}", length))
    if canvas is None:  # told only of what are tracks
        raise InputError(f"The tracks {_MISSING_CANVAS}")
    return _gathered(rows, canvas, None, None)


def tracks_to_json(tracks: Tracks) -> str:
    """Write tracks in our own form, a place for each frame and null where it is hidden.

    Args:
        tracks: The tracks.

    Returns:
        JSON, its places rounded to hundredths of a pixel. Tracks that are never visible are left out.
    """
    listed = []
    for places, visible in zip(tracks.points, tracks.visible, strict=True):
        seen = np.flatnonzero(visible)
        if len(seen):
            span = range(seen[0], seen[-1] + 1)
            points = [_point(places[frame]) if visible[frame] else None for frame in span]
            listed.append({"start": int(seen[0]), "points": points})
    size = {"width": tracks.width, "height": tracks.height}
    rate = {} if tracks.fps is None else {"fps": tracks.fps}
    return json.dumps(size | rate | {"num_frames": tracks.num_frames, "tracks": listed}) + "\n"


def tracks_to_editor_json(tracks: Tracks) -> str:
    """Write tracks as the ComfyUI editor passes them on: whole pixels, a place for each frame.

    Args:
        tracks: The tracks.

    Returns:
        JSON; a track that ends early has a shorter list.

    Raises:
        RequestError: If a track starts late or is hidden in between, which that form cannot say.
    """
    lengths = tracks.visible.sum(axis=1)
    broken = np.flatnonzero(~sayable_to_editor(tracks) & (lengths > 0)) + 1
    if len(broken):
        raise RequestError(
            f"The editor's form cannot say that a track starts late or is hidden, as {len(broken)} of "
            f"{tracks.num_tracks} do (track {broken[0]}); write them in our own form (--json, save_tracks)."
        )
    whole = np.rint(np.where(tracks.visible[..., None], tracks.points, 0)).astype(int).tolist()
    lists = [
        [{"x": x, "y": y} for x, y in places[:length]]
        for places, length in zip(whole, lengths, strict=True)
        if length
    ]
    return json.dumps(lists) + "\n"


def sayable_to_editor(tracks: Tracks) -> Bool[np.ndarray, " tracks"]:
    """Say which tracks the editor's form can say.

    Args:
        tracks: The tracks.

    Returns:
        Whether each is visible from the first frame on, without a gap, until it ends for good.
    """
    lengths = tracks.visible.sum(axis=1)
    unbroken = tracks.visible == (np.arange(tracks.num_frames) < lengths[:, None])
    return np.asarray(unbroken.all(axis=1) & (lengths > 0))


def _point(place: Float[np.ndarray, " axes"]) -> dict[str, float]:
    x, y = (round(float(value), 2) for value in place)
    return {"x": x, "y": y}


def _unwrapped(text: str) -> Any:
    """Parse JSON, and JSON that stands in its strings."""
    try:
        content = json.loads(text)
        while isinstance(content, str):
            content = json.loads(content)
        if isinstance(content, list):
            content = [json.loads(item) if isinstance(item, str) else item for item in content]
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"It is not JSON ({' '.join(str(error).split())[:80]}); write what the editor writes."
        ) from None
    return content


def _editor_store(content: Any) -> tuple[Any, int | None] | None:
    """Find the editor's keypoints in an object: its fields, a prompt of the API, or a saved workflow."""
    if isinstance(content, Mapping) and "points_store" in content:
        store, length = content["points_store"], content.get("points_to_sample")
        if length is not None and not (_is_whole(length) and 2 <= length <= MAX_FRAMES):
            raise InputError(f"'points_to_sample' is {length!r}; give a whole number from 2 to {MAX_FRAMES}.")
        return (_unwrapped(store) if isinstance(store, str) else store), length
    if isinstance(content, Mapping) and content.get("type") == _EDITOR_NODE:
        values = content.get("widgets_values")
        if isinstance(values, list) and len(values) >= 3:
            return _editor_store({"points_store": values[0], "points_to_sample": values[2]})
    inner = content.values() if isinstance(content, Mapping) else content
    found = (_editor_store(item) for item in inner if isinstance(item, (Mapping, list)))
    return next((store for store in found if store is not None), None)


def _point_lists(content: Any, depth: int = 0) -> Iterator[Sequence[Any]]:
    """Lists of points, however deep they are nested."""
    if not isinstance(content, list) or depth > 8:
        return
    if content and isinstance(content[0], Mapping):
        yield content
        return
    for item in content:
        yield from _point_lists(item, depth + 1)


def _own(content: Mapping[str, Any], canvas: tuple[int, int] | None, num_frames: int | None) -> Tracks:
    _check_keys(content, _OWN_KEYS, "The file")
    if "height" in content or "width" in content:
        height, width = content.get("height"), content.get("width")
        if not (_is_whole(height) and _is_whole(width)):
            raise InputError(f"'width' and 'height' are {width!r} and {height!r}; give whole numbers.")
        canvas = (height, width)
    if canvas is None:
        raise InputError(f"The tracks {_MISSING_CANVAS}")
    said, fps = content.get("num_frames"), content.get("fps")
    if said is not None and not (_is_whole(said) and 1 <= said <= MAX_FRAMES):
        raise InputError(f"'num_frames' is {said}; give a whole number from 1 to {MAX_FRAMES}.")
    if fps is not None and not _is_number(fps):
        raise InputError(f"'fps' is {fps!r}; give frames per second, such as 24, or leave it out.")
    listed = content["tracks"]
    if not isinstance(listed, list) or not listed:
        raise InputError("'tracks' is no list of tracks or is empty; give at least one track.")
    length = said or num_frames or DEFAULT_FRAMES
    rows = []
    for number, track in enumerate(listed, start=1):
        if not isinstance(track, Mapping):
            raise InputError(
                f'Track {number} is no object; write {{"keypoints": [..]}} or {{"points": [..]}}.'
            )
        rows.append(_row(track, f"Track {number}", length))
    return _gathered(rows, canvas, None if fps is None else float(fps), said)


def _row(track: Mapping[str, Any], name: str, length: int) -> Row:
    """Read one track; keypoints without frames and without an end go to the last of `length` frames."""
    _check_keys(track, _TRACK_KEYS, name)
    if ("keypoints" in track) == ("points" in track):
        raise InputError(f"{name} needs either 'keypoints' of a curve or 'points', one for each frame.")
    start = _frame_of(track, "start", name, default=0)
    if "points" in track:
        if "end" in track:
            raise InputError(f"{name} ends with its last point; leave 'end' out.")
        places, visible = _every_frame(track["points"], name)
    else:
        start, places = _along(track, name, start, length)
        visible = np.ones(len(places), bool)
    for first, last in _spans(track.get("hidden", []), name):
        visible[max(0, first - start) : max(0, last + 1 - start)] = False
    return start, places, visible


def _every_frame(points: Any, name: str) -> tuple[Float[np.ndarray, "f 2"], Bool[np.ndarray, " f"]]:
    if not isinstance(points, list) or not any(point is not None for point in points):
        raise InputError(f'{name} has no points; give [{{"x": 10, "y": 20}}, ...], one for each frame.')
    if len(points) == 1:
        raise InputError(
            f"{name} has one point, and would be there for one frame; give one for each frame, or keypoints: "
            '{"points_store": [..]} or --keypoints (keypoints=True).'
        )
    visible = np.array([point is not None for point in points])
    places = [(0.0, 0.0) if point is None else _place(point, name, i) for i, point in enumerate(points)]
    return np.array(places, float), visible


def _along(
    track: Mapping[str, Any], name: str, start: int, length: int
) -> tuple[int, Float[np.ndarray, "f 2"]]:
    """The first frame of a curve through keypoints, and its places."""
    keypoints = track["keypoints"]
    if not isinstance(keypoints, list) or not keypoints:
        raise InputError(f'{name} has no keypoints; give [{{"x": 10, "y": 20}}, ...].')
    places = np.array([_place(point, name, i) for i, point in enumerate(keypoints)], float)
    keyed = ["frame" in point for point in keypoints]
    if not any(keyed):
        end = _frame_of(track, "end", name, default=max(start, length - 1))
        if end < start:
            raise InputError(f"{name} ends at frame {end}, before it starts at {start}; swap them.")
        return start, even_spline(places, end + 1 - start)
    if not all(keyed) or "start" in track or "end" in track:
        raise InputError(
            f"{name} has keypoints with a 'frame'; give one to each of them, and no 'start' or 'end'."
        )
    frames = np.array([_frame_of(point, "frame", name) for point in keypoints])
    if len(frames) == 1:
        raise InputError(f"{name} has one keypoint with a 'frame'; give a second, or 'start' and 'end'.")
    try:
        return int(frames[0]), keyed_spline(places, frames)
    except RequestError as error:
        raise InputError(f"{name}: {error}") from None


def _place(point: Any, name: str, index: int) -> tuple[float, float]:
    """A point's x and y."""
    if not isinstance(point, Mapping) or not {"x", "y"} <= point.keys():
        raise InputError(f'{name}, point {index}: {str(point)[:60]} is no point; write {{"x": 10, "y": 20}}.')
    x, y = point["x"], point["y"]
    if not (_is_number(x) and _is_number(y)):
        raise InputError(f"{name}, point {index}: x={x!r}, y={y!r} is no place; give finite numbers.")
    return float(x), float(y)


def _frame_of(values: Mapping[str, Any], key: str, name: str, default: int = -1) -> int:
    value = values.get(key, default)
    if not (_is_whole(value) and 0 <= value < MAX_FRAMES):
        raise InputError(f"{name}: {key} is {value!r}; give a whole number from 0 to {MAX_FRAMES - 1}.")
    return value


def _spans(spans: Any, name: str) -> list[tuple[int, int]]:
    for span in spans if isinstance(spans, list) else [()]:
        pair = span if isinstance(span, list) and all(map(_is_whole, span)) else []
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
            raise InputError(f"{name}: hidden is {str(spans)[:60]}; give pairs of frames such as [[10, 14]].")
    return [(first, last) for first, last in spans]


def _gathered(rows: list[Row], canvas: tuple[int, int], fps: float | None, num_frames: int | None) -> Tracks:
    """Tracks of several lengths side by side, all as long as the longest or as said."""
    longest = max(start + len(places) for start, places, _ in rows)
    if num_frames is not None and longest > num_frames:
        raise InputError(
            f"A track goes on to frame {longest - 1}, but there are {num_frames} frames; "
            "end it earlier, or raise the number of frames (--frames, num_frames=)."
        )
    num_frames = num_frames or longest
    points = np.zeros((len(rows), num_frames, 2))
    visible = np.zeros((len(rows), num_frames), bool)
    for number, (start, places, seen) in enumerate(rows):
        points[number, start : start + len(places)] = places
        visible[number, start : start + len(places)] = seen
    height, width = canvas
    return Tracks(points=points, visible=visible, height=height, width=width, fps=fps)


def _check_keys(values: Mapping[str, Any], known: set[str], name: str) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        accepted = ", ".join(sorted(known))
        raise InputError(f"{name} has the unknown word {unknown[0]!r}; accepted are {accepted}.")


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST
