"""Files of tracks: JSON of the editor or of our own form (`json_files`), and `.npz` of point trackers.

| arrays of an `.npz`                           | from               | shapes           | places         |
|-----------------------------------------------|--------------------|------------------|----------------|
| `tracks`, `visibility`                        | CoTracker          | `f k 2`, `f k`   | pixels         |
| `pred_tracks`, `pred_visibility`              | the same           | the same         | pixels         |
| `tracks`, `visibles`                          | TAPIR, BootsTAPIR  | `k f 2`, `k f`   | pixels         |
| `points`, `occluded`                          | TAP-Vid            | `k f 2`, `k f`   | shares, 0 to 1 |

`k` points, `f` frames, x before y. A leading axis of one clip and a last axis of one value are taken off. The
second array may be missing: all points are visible, and `tracks` is then read as CoTracker's. Probabilities
count as visible (`occluded`: as hidden) above 0.5. `height`, `width` and `fps` may stand beside them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from iclora.controls.point_tracks.json_files import (
    tracks_from_json,
    tracks_to_editor_json,
    tracks_to_json,
)
from iclora.controls.point_tracks.value import MAX_FRAMES, Tracks
from iclora.errors import InputError, OutputError
from iclora.media.files import write_file

TRACK_SUFFIXES = (".json", ".npz")
"""Kinds of files that hold tracks rather than pictures."""
_NAMES = (
    ("tracks", "visibility"),
    ("pred_tracks", "pred_visibility"),
    ("tracks", "visibles"),
    ("points", "occluded"),
)
_FRAMES_FIRST = {"visibility", "pred_visibility"}
_WANTED = "tracks (f k 2) with visibility (f k), tracks (k f 2) with visibles (k f), or points with occluded"

_SAVE_IT = "save it with numpy.savez(path, tracks=.., visibility=..)."


def read_tracks(
    path: str | Path,
    *,
    canvas: tuple[int, int] | None = None,
    num_frames: int | None = None,
    keypoints: bool = False,
) -> Tracks:
    """Read tracks from a file.

    Args:
        path: `.json` or `.npz`; the top of this module and of `json_files` lists what they may hold.
        canvas: Height and width in pixels of the canvas, where the file does not say.
        num_frames: Frames that keypoints are spread over where the file does not say; None: 121.
        keypoints: Whether a bare list holds keypoints of curves rather than a place for each frame.

    Returns:
        The tracks.

    Raises:
        InputError: If there is no such file, or no tracks can be read from it.
    """
    path = Path(path)
    if path.suffix.lower() not in TRACK_SUFFIXES:
        raise InputError(f"{path} is no file of tracks; give a .json or an .npz.")
    try:
        if path.suffix.lower() == ".npz":
            return _tracks_from_arrays(_load_arrays(path), canvas)
        text = path.read_text("utf-8-sig")
        return tracks_from_json(text, canvas=canvas, num_frames=num_frames, keypoints=keypoints)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; give the tracks as .json or .npz.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not JSON but binary; give the tracks as .json or .npz.") from None
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror or error}); is it a file of yours?") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def save_tracks(tracks: Tracks, path: str | Path, *, editor: bool = False, overwrite: bool = False) -> Path:
    """Write tracks as JSON, whole or not at all.

    Args:
        tracks: The tracks.
        path: A name that ends in `.json`.
        editor: Whether to write what the ComfyUI editor passes on, whole pixels from frame 0 on, instead of
            our own form, which says everything.
        overwrite: Whether a file that exists there may be replaced.

    Returns:
        The path written.

    Raises:
        OutputError: If the name is of another kind, or the file exists or cannot be written.
        RequestError: If the editor's form cannot say that a track starts late or is hidden in between.
    """
    target = Path(path)
    if target.suffix.lower() != ".json":
        raise OutputError(f"Cannot write tracks as {target}; give a name that ends in .json.")
    text = tracks_to_editor_json(tracks) if editor else tracks_to_json(tracks)
    write_file(target, text.encode(), overwrite=overwrite)
    return target


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive that matter here, or all of them where none does."""
    wanted = {name for pair in _NAMES for name in pair} | {"height", "width", "fps"}
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"It is one bare array; {_SAVE_IT}")
            names = [name for name in archive.files if name in wanted] or archive.files
            return {name: archive[name] for name in names}
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise InputError(f"It is no readable .npz of plain arrays; {_SAVE_IT}") from None


def _tracks_from_arrays(arrays: Mapping[str, np.ndarray], canvas: tuple[int, int] | None) -> Tracks:
    """Tracks of one of the layouts above."""
    pair = next((pair for pair in _NAMES if pair[0] in arrays and pair[1] in arrays), None)
    pair = pair or next((pair for pair in _NAMES if pair[0] in arrays), None)
    if pair is None:
        raise InputError(f"It holds {', '.join(sorted(arrays)) or 'nothing'}; wanted are {_WANTED}.")
    places, seen = arrays[pair[0]], arrays.get(pair[1])
    while places.ndim == 4 and len(places) == 1:
        places, seen = places[0], None if seen is None else seen.reshape(seen.shape[1:])
    if places.ndim != 3 or places.shape[2] != 2 or 0 in places.shape or places.dtype.kind not in "fiu":
        raise InputError(
            f"'{pair[0]}' has shape {arrays[pair[0]].shape} and type {places.dtype}; wanted are {_WANTED}."
        )
    visible = _visibility(seen, places.shape[:2], pair)
    if pair[1] in _FRAMES_FIRST:
        places, visible = places.transpose(1, 0, 2), visible.T
    canvas = _canvas(arrays, canvas)
    points = places.astype(np.float64) * (canvas[::-1] if pair[0] == "points" else 1.0)
    if points.shape[1] > MAX_FRAMES:
        raise InputError(
            f"It holds {points.shape[1]} frames; at most {MAX_FRAMES} are accepted. Is f k swapped?"
        )
    fps = _scalar(arrays, "fps")
    return Tracks(points=points, visible=visible, height=canvas[0], width=canvas[1], fps=fps)


def _visibility(
    seen: np.ndarray | None, shape: tuple[int, ...], names: tuple[str, str]
) -> Bool[np.ndarray, "rows columns"]:
    if seen is None:
        return np.ones(shape, bool)
    if seen.shape == (*shape, 1):
        seen = seen[..., 0]
    if seen.shape != shape or seen.dtype.kind not in "bfiu":
        raise InputError(
            f"'{names[1]}' has shape {seen.shape} and type {seen.dtype}, but '{names[0]}' needs {shape} of "
            f"booleans or probabilities; wanted are {_WANTED}."
        )
    return np.asarray((seen <= 0.5) if names[1] == "occluded" else (seen > 0.5))


def _canvas(arrays: Mapping[str, np.ndarray], canvas: tuple[int, int] | None) -> tuple[int, int]:
    height, width = _scalar(arrays, "height"), _scalar(arrays, "width")
    if height is not None and width is not None:
        return int(height), int(width)
    if canvas is None:
        raise InputError(
            "It does not say how large the picture was that the points were tracked in; say it (--canvas "
            "WxH, or --size where both are the same; canvas=), or save 'height' and 'width' in it."
        )
    return canvas


def _scalar(arrays: Mapping[str, np.ndarray], name: str) -> float | None:
    """A number of its own; None where it is missing."""
    if name not in arrays:
        return None
    value = arrays[name]
    if value.size != 1 or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise InputError(f"'{name}' has shape {value.shape} and type {value.dtype}; give one number.")
    return float(value.reshape(()))
