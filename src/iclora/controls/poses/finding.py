"""People found in a clip by an estimator, and followed from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.clip import Clip, Film
from iclora.controls.cache import Cache, key_of
from iclora.controls.devices import check_device
from iclora.controls.poses import dwpose, tiny
from iclora.controls.poses.blazepose import BlazePose
from iclora.controls.poses.dwpose import DWPose, check_dwpose
from iclora.controls.poses.poses import Poses, follow, leading
from iclora.controls.poses.weights import blazepose_files
from iclora.errors import RequestError

_MIN_FRAMES = 3
"""Who is seen in fewer frames of a clip is taken for a mistake of the detector."""

Estimator = Callable[[Iterable[UInt8[np.ndarray, "h w 3"]]], Iterator[list[Float32[np.ndarray, "130 3"]]]]
"""Finds people in the frames of one clip (RGB 0..255, in their order): yields for each frame the points of
each person in it, x and y in pixels and a score 0..1."""

ESTIMATORS: Mapping[str, Callable[..., Estimator]] = MappingProxyType(
    {"blazepose": BlazePose, "dwpose": DWPose, "tiny": tiny.Tiny}
)
"""Estimators by name; a call, with `device` or without, loads the weights, fetched on first use where they
are not inside the package."""
WEIGHTS: Mapping[str, Callable[[], list[Path]]] = MappingProxyType(
    {"blazepose": blazepose_files, "dwpose": dwpose.files}
)
"""Where those that are fetched lie, or would lie."""


def find_poses(
    clip: Clip | Film,
    *,
    estimator: str | Estimator = "blazepose",
    max_people: int | None = None,
    device: str = "cpu",
    cache: Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Poses:
    """Find everybody in a clip and follow them from frame to frame.

    Args:
        clip: The filmed clip or film, RGB 0..255.
        estimator: A name in `ESTIMATORS`, or an estimator.
        max_people: How many people to keep at most, those seen longest and largest; None: all.
        device: Where a named estimator runs, `cpu` or `cuda`.
        cache: Where what a named estimator finds is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).

    Returns:
        The keypoints as found, not smoothed. Nobody may be in them.

    Raises:
        RequestError: If there is no such estimator or device, or the limit is below 1.
        MissingDependencyError: If the estimator's package is not installed.
        ModelError: If its weights cannot be fetched or read.
    """
    check_estimator(estimator, max_people=max_people, device=device)
    where = {} if device == "cpu" else {"device": device}  # all run on the CPU, and one on that alone

    def load() -> Estimator:
        return ESTIMATORS[estimator](**where) if isinstance(estimator, str) else estimator

    def found() -> Float32[np.ndarray, "f p 130 3"]:
        frames, counts = [], list[int]()
        for people in load()(_changing(clip.frames, counts)):
            frames.append(people)
            if progress is not None:
                progress(sum(counts), clip.num_frames)
        if progress is not None and sum(counts[-1:]) > 1:
            progress(clip.num_frames, clip.num_frames)
        held = [people for people, count in zip(frames, counts, strict=True) for _ in range(count)]
        return follow(held, min_frames=min(_MIN_FRAMES, clip.num_frames))

    key = None
    if cache is not None and isinstance(estimator, str):
        files = WEIGHTS[estimator] if estimator in WEIGHTS else lambda: [tiny.WEIGHTS]
        if not all(path.is_file() for path in files()):
            load()  # fetches them
        key = key_of(clip, "poses", estimator, *files(), device)
    if cache is None or key is None:
        points = found()
    else:
        points = cache.rows("poses", key, found, clip.num_frames).array()
    poses = Poses(points=points, height=clip.height, width=clip.width, fps=clip.fps)
    return leading(poses, max_people=max_people)


def _changing(frames: Iterable[np.ndarray], counts: list[int]) -> Iterator[np.ndarray]:
    """Leave out frames equal to the one before, so that a picture that is held is looked at once.

    How often each of the others stands there is added to `counts`.
    """
    before: np.ndarray | None = None
    for frame in frames:
        if before is not None and np.array_equal(before, frame):
            counts[-1] += 1
        else:
            counts.append(1)
            yield frame
        before = frame


def check_estimator(
    estimator: str | Estimator, *, max_people: int | None = None, device: str = "cpu"
) -> None:
    """Refuse an estimator that does not exist or cannot run here, and a limit that keeps nobody.

    Args:
        estimator: A name, or an estimator.
        max_people: As for `find_poses`.
        device: As for `find_poses`.

    Raises:
        RequestError: If there is none of that name, it does not run on that device, or the limit is below 1.
        MissingDependencyError: If its package is not installed.
    """
    if max_people is not None and max_people < 1:
        raise RequestError(f"Cannot keep {max_people} people; keep 1 or more, or leave the limit out.")
    if not isinstance(estimator, str):
        return
    if estimator not in ESTIMATORS:
        raise RequestError(f"There is no estimator {estimator!r}; choose one of {', '.join(ESTIMATORS)}.")
    if estimator == "dwpose":
        check_dwpose(device)
    elif estimator == "tiny":
        check_device(device)
    elif device != "cpu":
        raise RequestError(
            f"blazepose runs on the CPU, not on '{device}'; leave the device out, or use dwpose."
        )


def check_somebody(poses: Poses, *, min_score: float) -> None:
    """Refuse poses that would draw nothing but black.

    Args:
        poses: Any poses.
        min_score: Points of a lower score are not drawn.

    Raises:
        RequestError: If no point of anybody is sure enough in any frame.
    """
    if not poses.seen(min_score).any():
        raise RequestError(
            f"Nobody is found in any of the {poses.num_frames} frames with a score of {min_score:g}; bring a "
            "clip in which people are larger, lower the least score (min-score), or try another estimator."
        )
