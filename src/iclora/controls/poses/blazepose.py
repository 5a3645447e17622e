"""BlazePose on TensorFlow Lite's runtime: the estimator that works offline, from the weights of a package.

    each frame ─► detector ─────┐
    parts of it ─► detector ────┼─► regions ─► landmarks ─► each person once ─► people of this frame
    people of the frame before ─┘                                          └─► their regions in the next frame

The detector sees the picture in 224 pixels; small people are found in parts of it, see `tiles`. A person who
is followed keeps the square that the last landmarks gave; the detector's own is looked at only where it
disagrees with that, and taken where more is seen in it.

The networks run on LiteRT (`ai-edge-litert`), TensorFlow Lite's maintained runtime. OpenCV cannot read the
detector (its weights are stored sparse), and `tflite-runtime` is built for numpy 1.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.poses import blaze_detector, blaze_landmarks, weights
from iclora.controls.poses.blaze_landmarks import Region
from iclora.controls.poses.poses import distance
from iclora.controls.poses.tiles import Tile, Watch
from iclora.errors import MissingDependencyError, ModelError

MIN_PRESENCE = 0.5
"""Below that the second network sees nobody in the square it was shown."""
SAME_PLACE = 0.15
"""Squares whose centres are nearer than this share of the larger one show the same person."""
SAME_TILT = 0.5
"""Radians by which such squares may lean differently and still show the same."""
SAME_SIZE = 1.5
"""Factor by which their sizes may differ."""
SAME_SIGHTING = 0.2
"""People whose points are nearer than this share of their size are one."""
NEARER = (1.2, 1.6)
"""Sides, as shares of somebody's square, of squares in one of which somebody small must be found again."""
LARGE = 0.6
"""Somebody is large whose square has this share of the shorter side of the picture, or more."""
WITH_SOMEBODY_LARGE = 8
"""Small people are looked for in each so-many-th frame only where somebody large is."""
MAX_SMALL_TILT = 1.0
"""Radians by which people found in a part of the picture may lean: clothes on the ground look like people who
lie there."""

Network = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sighting:
    """What the second network sees in a square.

    Attributes:
        region: The square.
        presence: How sure it is that there is a person, 0..1.
        landmarks: x and y in pixels of the frame and visibility 0..1 of each landmark.
    """

    region: Region
    presence: float
    landmarks: Float32[np.ndarray, "39 3"]


class BlazePose:
    """Finds people with BlazePose; made for one clip, frame after frame.

    Args:
        paths: The two networks by name; None: from the user's cache, fetched on first use.

    Raises:
        MissingDependencyError: If the runtime is not installed.
        ModelError: If the networks cannot be fetched or read.
    """

    def __init__(self, paths: Mapping[str, Path] | None = None) -> None:
        interpreter = runtime()
        paths = weights.find_blazepose() if paths is None else paths
        self._detector = _load(interpreter, paths[weights.DETECTOR])
        self._landmarks = _load(interpreter, paths[weights.LANDMARKS])

    def __call__(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[list[Float32[np.ndarray, "130 3"]]]:
        """Find the people in each frame.

        Args:
            frames: RGB 0..255, consecutive frames of one clip, all of one size.

        Yields:
            For each frame the points of each person: x, y in pixels and a score 0..1; hands and face
            are empty.
        """
        regions: list[Region] = []
        watch = Watch()
        for index, frame in enumerate(frames):
            fresh = unlike(self._detect(frame), regions)
            large = any(region.size >= LARGE * min(frame.shape[:2]) for region in regions + fresh)
            if not large or index % WITH_SOMEBODY_LARGE == 0:
                fresh += self._search(frame, watch, regions + fresh)
            sightings = [self._look(frame, region) for region in regions + fresh]
            seen = distinct([one for one in sightings if one.presence >= MIN_PRESENCE])
            regions = [blaze_landmarks.next_region(one.landmarks) for one in seen]
            yield [blaze_landmarks.to_person(one.landmarks) for one in seen]

    def _search(self, frame: np.ndarray, watch: Watch, regions: Sequence[Region]) -> list[Region]:
        """Look for small people in the squares whose turn it is, but not inside somebody large.

        Whoever is found there must be found again from nearer by, where things no longer look like people.
        """
        due = watch.due(frame, lambda tile: not any(_covers(region, tile) for region in regions))
        found = [one for tile in due for one in self._detect_in(frame, tile)]
        fresh = unlike([one for one in found if abs(one.tilt) < MAX_SMALL_TILT], regions)
        return [one for one in fresh if self._confirmed(frame, one)]

    def _confirmed(self, frame: np.ndarray, region: Region) -> bool:
        nearer = (around(region, share, *frame.shape[:2]) for share in NEARER)
        return any(_near(one, region) for tile in nearer for one in self._detect_in(frame, tile))

    def _detect_in(self, frame: np.ndarray, tile: Tile) -> list[Region]:
        found = self._detect(tile.of(frame))
        return [replace(one, x=one.x + tile.left, y=one.y + tile.top) for one in found]

    def _detect(self, frame: np.ndarray) -> list[Region]:
        picture, side, left, top = blaze_detector.letterbox(frame)
        outputs = self._detector(picture)
        raw = next(output for output in outputs if output.shape[-1] == 12)
        logits = next(output for output in outputs if output.shape[-1] == 1)
        found = blaze_detector.to_detections(logits.reshape(-1), raw, side=side, left=left, top=top)
        return [blaze_landmarks.region_of(one.points[0], one.points[1]) for one in found]

    def _look(self, frame: np.ndarray, region: Region) -> Sighting:
        outputs = self._landmarks(blaze_landmarks.crop(frame, region))
        raw = next(output for output in outputs if output.size == blaze_landmarks.NUM_LANDMARKS * 5)
        heat = next(output for output in outputs if output.shape[-1] == blaze_landmarks.NUM_LANDMARKS)
        presence = next(output for output in outputs if output.size == 1)
        landmarks = raw.reshape(blaze_landmarks.NUM_LANDMARKS, 5)
        return Sighting(
            region=region,
            presence=float(presence.reshape(-1)[0]),
            landmarks=blaze_landmarks.to_landmarks(landmarks, heat, region),
        )


def unlike(found: Sequence[Region], regions: Sequence[Region]) -> list[Region]:
    """Leave out squares that show what another shows already.

    Args:
        found: Squares around people, the surest first.
        regions: Those of people who are followed.

    Returns:
        The first of each that agree with each other and with nobody who is followed.
    """
    fresh: list[Region] = []
    for one in found:
        if not any(agree(one, other) for other in (*regions, *fresh)):
            fresh.append(one)
    return fresh


def agree(one: Region, other: Region) -> bool:
    """Say whether two squares show the same person alike: from the same place, as large and as upright.

    Args:
        one: A square.
        other: Another.

    Returns:
        Whether looking at one of them is enough.
    """
    turn = abs(math.remainder(one.tilt - other.tilt, 2 * math.pi))
    growth = max(one.size, other.size) / min(one.size, other.size)
    return _near(one, other) and turn < SAME_TILT and growth < SAME_SIZE


def distinct(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Keep one sighting of each person, that in which the most is seen.

    Args:
        sightings: Looks at one frame, those followed from the frame before first.

    Returns:
        The best of each person, in the old order. The earlier of two that are about as good is kept.
    """
    kept: list[int] = []
    worth = [one.presence * float(one.landmarks[:, 2].mean()) for one in sightings]
    for number in sorted(range(len(sightings)), key=lambda number: -round(worth[number], 1)):
        one = sightings[number]
        person = blaze_landmarks.to_person(one.landmarks)
        same = (
            _near(one.region, sightings[other].region)
            or distance(person, blaze_landmarks.to_person(sightings[other].landmarks)) < SAME_SIGHTING
            for other in kept
        )
        if not any(same):
            kept.append(number)
    return [sightings[number] for number in sorted(kept)]


def _covers(region: Region, tile: Tile) -> bool:
    """Whether a square of the picture lies wholly inside the square of somebody, as if that stood upright."""
    return (
        abs(tile.left + tile.side / 2 - region.x) + tile.side / 2 <= region.size / 2
        and abs(tile.top + tile.side / 2 - region.y) + tile.side / 2 <= region.size / 2
    )


def around(region: Region, share: float, height: int, width: int) -> Tile:
    """A square of the picture around somebody, moved and cut so that it lies within.

    Args:
        region: The square of that person.
        share: The side of the new one as a share of its side.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        The square.
    """
    side = max(1, min(round(share * region.size), height, width))
    left, top = round(region.x - side / 2), round(region.y - side / 2)
    return Tile(left=min(max(left, 0), width - side), top=min(max(top, 0), height - side), side=side)


def _near(one: Region, other: Region) -> bool:
    return math.hypot(one.x - other.x, one.y - other.y) < SAME_PLACE * max(one.size, other.size)


def runtime() -> Any:
    """Import what runs the networks.

    Returns:
        LiteRT's interpreter.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingDependencyError(
            "Poses are found with LiteRT, which is not installed; install it: pip install 'iclora[pose]'"
        ) from error
    return Interpreter


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the terminal what LiteRT's own code says there of each network; what it raises says all."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _load(interpreter: Any, path: Path) -> Network:
    """Load a network; what comes back takes one picture and gives its outputs without their batch axis."""
    try:
        with _quiet():
            network = interpreter(model_path=str(path), num_threads=1)
            network.allocate_tensors()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as a network ({error}); delete it and run again.") from error
    source = network.get_input_details()[0]["index"]
    targets = [one["index"] for one in network.get_output_details()]

    def run(picture: np.ndarray) -> list[np.ndarray]:
        network.set_tensor(source, picture[None])
        network.invoke()
        return [np.asarray(network.get_tensor(target))[0] for target in targets]

    return run
