"""`Poses`: the keypoints of everybody in a clip, and who is who from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float32

from iclora.controls.poses.skeleton import BODY, FACE, LEFT_HAND, NUM_POINTS, RIGHT_HAND
from iclora.errors import InputError, RequestError

SAME_PERSON = 0.5
"""Body points that moved on average less than this share of the person's size between two sightings belong to
the same person."""
GONE_FRAMES = 24
"""Where a place stays empty for more frames than so many, whoever is there next counts as somebody else."""
FREE_AFTER_FRAMES = 48
"""Frames for which a place stays empty before `follow` gives it to somebody else: enough to be told apart on
a clock of half as many frames too."""
MAX_COORDINATE = 1e5
"""Points farther from the top left corner than so many pixels are mistakes."""
MAX_SIDE_PX = 16_384
"""Largest side of a picture accepted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Poses:
    """The keypoints of a clip.

    Args:
        points: Float32 `f p 130 3`: for frame f and place p the points of `skeleton`, each x and y in pixels
            from the top left corner and a score 0..1. Score 0: the point is not there. A place is one
            person's, until it stays empty for more than 24 frames: who is there next is somebody else.
        height: Height of the picture in pixels, at least 1.
        width: Width of the picture in pixels, at least 1.
        fps: Frames per second, above 0.

    Raises:
        InputError: If the array is of another shape or type, a value is not finite, a point is far beyond any
            picture, a score is out of 0..1, or the size or the rate cannot be.
    """

    points: Float32[np.ndarray, "f p 130 3"]
    height: int
    width: int
    fps: float

    def __post_init__(self) -> None:
        shape, dtype = self.points.shape, self.points.dtype
        if len(shape) != 4 or shape[2:] != (NUM_POINTS, 3) or shape[0] == 0 or dtype != np.float32:
            raise InputError(
                f"Keypoints have shape {shape} and type {dtype}; give float32 of shape (frames, people, "
                f"{NUM_POINTS}, 3) with at least one frame."
            )
        if not np.isfinite(self.points).all():
            raise InputError(
                "Keypoints hold values that are not finite; a point that is missing has score 0."
            )
        if self.points.size and not np.abs(self.points[..., :2]).max() <= MAX_COORDINATE:
            raise InputError(
                f"A keypoint lies {np.abs(self.points[..., :2]).max():g} pixels from the corner of the "
                f"picture; at most {MAX_COORDINATE:g} are accepted. Coordinates are pixels."
            )
        scores = self.points[..., 2]
        if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
            raise InputError(
                f"Keypoint scores go from {scores.min():g} to {scores.max():g}; they must lie in 0..1."
            )
        if not (1 <= self.height <= MAX_SIDE_PX and 1 <= self.width <= MAX_SIDE_PX):
            raise InputError(
                f"Keypoints on a picture of {self.width}x{self.height} pixels; both sides must be from 1 to "
                f"{MAX_SIDE_PX}."
            )
        if not 0 < self.fps < float("inf"):
            raise InputError(
                f"The frame rate of the keypoints is {self.fps}; give a number above 0, such as 24."
            )

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return int(self.points.shape[0])

    @property
    def num_people(self) -> int:
        """How many different people there are."""
        return len(self.people)

    @property
    def people(self) -> list[tuple[int, slice]]:
        """The place of each person, and the frames in which it is theirs.

        First whoever has each place first, in the order of the places, then those who come into a place that
        somebody left, in the order in which they come.
        """
        there = (self.points[..., 2] > 0).any(axis=2)
        firsts, others = [], []
        for place, seen in enumerate(there.T):
            frames = np.flatnonzero(seen)
            comes = frames[1:][np.diff(frames) > GONE_FRAMES + 1].tolist()
            first, *later = (slice(*ends) for ends in pairwise([0, *comes, self.num_frames]))
            firsts.append((place, first))
            others += [(place, one) for one in later]
        return firsts + sorted(others, key=lambda other: other[1].start)

    @property
    def body(self) -> Float32[np.ndarray, "f p 18 3"]:
        """The 18 body points, a view."""
        return self.points[:, :, BODY]

    @property
    def left_hand(self) -> Float32[np.ndarray, "f p 21 3"]:
        """The 21 points of each left hand, a view."""
        return self.points[:, :, LEFT_HAND]

    @property
    def right_hand(self) -> Float32[np.ndarray, "f p 21 3"]:
        """The 21 points of each right hand, a view."""
        return self.points[:, :, RIGHT_HAND]

    @property
    def face(self) -> Float32[np.ndarray, "f p 70 3"]:
        """The 70 points of each face, a view."""
        return self.points[:, :, FACE]

    def seen(self, min_score: float) -> np.ndarray:
        """Say which frames show at least one body point.

        Args:
            min_score: Points of a lower score do not count, 0..1.

        Returns:
            One truth value for each frame.
        """
        return np.asarray((self.body[..., 2] >= max(min_score, 1e-6)).any(axis=(1, 2)))


def extent(points: Float32[np.ndarray, "... points 3"]) -> Float32[np.ndarray, ...]:
    """Measure people: the longer side of the box around the body points that are there.

    Args:
        points: x, y and score of points that begin with the body's; score 0: not there.

    Returns:
        Pixels, one number for each person; 0 where fewer than two points are there.
    """
    body = points[..., BODY, :]
    there = body[..., 2:] > 0
    top = np.where(there, body[..., :2], -np.inf).max(axis=-2)
    bottom = np.where(there, body[..., :2], np.inf).min(axis=-2)
    longest = np.where(np.isfinite(top), top, 0) - np.where(np.isfinite(bottom), bottom, 0)
    return np.asarray(longest.max(axis=-1), dtype=np.float32)


def distance(one: Float32[np.ndarray, "points 3"], other: Float32[np.ndarray, "points 3"]) -> float:
    """Measure how far apart two sightings are, in units of the larger person.

    Args:
        one: x, y and score of points that begin with the body's.
        other: The same.

    Returns:
        Mean distance of the body points that both have, over the larger extent; infinite without such points.
    """
    both = (one[BODY, 2] > 0) & (other[BODY, 2] > 0)
    size = max(float(extent(one)), float(extent(other)))
    if not both.any() or size == 0:
        return float("inf")
    apart = np.linalg.norm(one[BODY, :2] - other[BODY, :2], axis=-1)[both]
    return float(apart.mean() / size)


def follow(
    frames: Sequence[Sequence[Float32[np.ndarray, "130 3"]]], *, max_gap: int = 12, min_frames: int = 0
) -> Float32[np.ndarray, "f p 130 3"]:
    """Find out who is who: give each person one place in all frames.

    Nearest pairs are joined first. Who was gone for longer than `max_gap` frames comes back as somebody new.
    A place that has been empty for 48 frames is given to the next who comes, so that there are about as many
    places as people at one time.

    Args:
        frames: For each frame the people in it, in any order.
        max_gap: Frames for which a person may be gone, at least 0.
        min_frames: Whose body is seen in fewer frames is left out; 0: nobody is.

    Returns:
        The points of `Poses`; zero where a person is not in the frame.
    """
    tracks: list[list[tuple[int, Float32[np.ndarray, "130 3"]]]] = []
    for index, people in enumerate(frames):
        pairs = sorted(
            (distance(track[-1][1], person), known, number)
            for known, track in enumerate(tracks)
            if index - track[-1][0] <= max_gap + 1
            for number, person in enumerate(people)
        )
        given: dict[int, int] = {}
        for apart, known, number in pairs:
            if apart < SAME_PERSON and number not in given and known not in given.values():
                given[number] = known
        for number, person in enumerate(people):
            if number in given:
                tracks[given[number]].append((index, person))
            else:
                tracks.append([(index, person)])
    kept = [track for track in tracks if sum(person[BODY, 2].any() for _, person in track) >= min_frames]
    return _in_places(kept, len(frames))


def _in_places(
    tracks: Sequence[Sequence[tuple[int, Float32[np.ndarray, "130 3"]]]], num_frames: int
) -> Float32[np.ndarray, "f p 130 3"]:
    """Lay tracks, which come in the order in which they begin, into as few places as keep them apart."""
    ends: list[int] = []
    places = []
    for track in tracks:
        begin, end = track[0][0], track[-1][0]
        free = (place for place, last in enumerate(ends) if begin - last > FREE_AFTER_FRAMES)
        place = next(free, len(ends))
        ends[place : place + 1] = [end]
        places.append(place)
    points = np.zeros((num_frames, len(ends), NUM_POINTS, 3), np.float32)
    for track, place in zip(tracks, places, strict=True):
        for index, person in track:
            points[index, place] = person
    return points


def leading(poses: Poses, *, max_people: int | None = None) -> Poses:
    """Keep the people who matter: those seen longest and largest.

    Args:
        poses: Any poses.
        max_people: How many to keep at most, at least 1; None: all.

    Returns:
        The poses of those people, in their old places; places without any of them are left out.

    Raises:
        RequestError: If `max_people` is below 1.
    """
    if max_people is None:
        return poses
    if max_people < 1:
        raise RequestError(f"Cannot keep {max_people} people; keep 1 or more, or leave the limit out.")
    sizes = extent(poses.points)
    order = sorted(poses.people, key=lambda person: -float(sizes[person[1], person[0]].sum()))
    places = sorted({place for place, _ in order[:max_people]})
    points = poses.points[:, places]
    for place, frames in order[max_people:]:
        if place in places:
            points[frames, places.index(place)] = 0
    return replace(poses, points=points)
