"""How closely the people of a result stand as those of its control do.

    PCK   share of the control's body points that the matched person has within a tenth of the person's size
    OKS   mean over those points of exp(-d² / (2 · area · k²)), where k is how far annotators differ there

People are matched frame by frame, the pair of the highest OKS first; who is matched to nobody scores 0.
Source: PCK of Y. Yang and D. Ramanan (2013), OKS and its k = 2 sigma of the COCO keypoint evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from iclora.adherence.parts import Where, check_where, mean_of
from iclora.controls.poses import MIN_SCORE, Poses
from iclora.controls.poses.poses import extent
from iclora.controls.poses.skeleton import BODY, COCO_TO_BODY, LEFT_SHOULDER, NECK
from iclora.errors import NothingToFollowError, RequestError

NEAR = 0.1
"""A point is found if it lies within this share of the person's size: the longer side of its points' box."""
LEAST_POINTS = 3
"""Who has fewer body points in a frame is not counted there."""
_COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
_AREA_SHARE = 0.53
"""How much of their box people fill, where nobody has cut them out."""
_LEAST_ASPECT = 0.2
"""People seen from the side have a narrow box; it counts as at least so wide."""


@dataclass(frozen=True, kw_only=True)
class PoseScore:
    """Agreement of skeletons, 0 (none) .. 1 (all), over the people of the control in all frames.

    Args:
        pck: Share of their body points that are found within a tenth of the person's size.
        oks: Mean object keypoint similarity.
        found: Share of them that somebody of the result is matched to.
        extra: People of the result beyond them, in a frame, the mean.
        frame_pck: The PCK of each frame; None where nobody is in the control.
    """

    pck: float
    oks: float
    found: float
    extra: float
    frame_pck: tuple[float | None, ...]


def pose(control: Poses, result: Poses, *, near: float = NEAR, where: Where | None = None) -> PoseScore:
    """Score how well the people of a result follow those of its control.

    Args:
        control: Keypoints of the control; points of a score below 0.3 are not there.
        result: Keypoints found in the result, of as many frames; scaled to the control's picture.
        near: How far a point may lie, as a share of the person's size, above 0.
        where: The part of the control's picture in which its points count; None: all of it.

    Returns:
        The score.

    Raises:
        NothingToFollowError: If nobody is in the control (there).
        RequestError: If the frame counts differ, or `near` is not above 0.
    """
    if not near > 0:
        raise RequestError(f"near is {near}; give a share of the person's size above 0, such as {NEAR}.")
    if control.num_frames != result.num_frames:
        raise RequestError(
            f"The control has {control.num_frames} frames and the result {result.num_frames}; frames are "
            "compared one to one, so bring both to one count and rate first."
        )
    size = np.array([control.width / result.width, control.height / result.height, 1], np.float32)
    if where is not None:
        check_where(where, (control.num_frames, control.height, control.width))
    frames = [
        _frame(people, others * size, None if where is None else where[index], near)
        for index, (people, others) in enumerate(zip(control.body, result.body, strict=True))
    ]
    everybody = np.concatenate([one for one, _ in frames])
    if not len(everybody):
        raise NothingToFollowError("Nobody is in the control there, so there is nothing to follow.")
    points, hits, oks, found = everybody.sum(axis=0)
    return PoseScore(
        pck=float(hits / points),
        oks=float(oks / len(everybody)),
        found=float(found / len(everybody)),
        extra=mean_of(tuple(float(extra) for _, extra in frames)),
        frame_pck=tuple(float(one[:, 1].sum() / one[:, 0].sum()) if len(one) else None for one, _ in frames),
    )


def similarity(
    person: Float32[np.ndarray, "18 3"], other: Float32[np.ndarray, "18 3"], counted: Bool[np.ndarray, " 18"]
) -> float:
    """Object keypoint similarity of two people.

    Args:
        person: x, y and score of the control's body points.
        other: Likewise of the result's; those below a score of 0.3 are not there and count 0.
        counted: Which of the control's points count, at least one.

    Returns:
        0 .. 1.
    """
    there = person[:, 2] >= MIN_SCORE
    box = np.ptp(person[there, :2].astype(np.float64), axis=0)
    sides = np.maximum(box, _LEAST_ASPECT * box.max())
    apart = ((person[:, :2].astype(np.float64) - other[:, :2]) ** 2).sum(axis=1)
    area = max(_AREA_SHARE * float(sides[0] * sides[1]), float(np.finfo(np.float32).tiny))
    likeness = np.exp(-apart / (2 * area * (2 * _sigmas()) ** 2)) * (other[:, 2] >= MIN_SCORE)
    return float(likeness[counted].mean())


def _sigmas() -> Float[np.ndarray, " 18"]:
    """COCO's numbers in the order of our body points; the neck is as sure as a shoulder."""
    sigmas = np.zeros(18)
    for coco, own in COCO_TO_BODY:
        sigmas[own] = _COCO_SIGMAS[coco]
    sigmas[NECK] = sigmas[LEFT_SHOULDER]
    return sigmas


def _frame(
    people: Float32[np.ndarray, "p 18 3"],
    others: Float32[np.ndarray, "q 18 3"],
    part: Bool[np.ndarray, "h w"] | None,
    near: float,
) -> tuple[Float[np.ndarray, "counted 4"], int]:
    """For everybody counted in a frame: points, points found, OKS and whether matched; and how many more."""
    people, others = (
        some[(some[..., 2] >= MIN_SCORE).sum(axis=1) >= LEAST_POINTS] for some in (people, others)
    )
    counted = [(person[:, 2] >= MIN_SCORE) & _inside(person, part) for person in people]
    pairs = sorted(
        (
            (similarity(person, other, person[:, 2] >= MIN_SCORE), one, two)
            for one, person in enumerate(people)
            for two, other in enumerate(others)
        ),
        key=lambda pair: -pair[0],
    )
    given: dict[int, int] = {}
    for likeness, one, two in pairs:
        if likeness > 0 and one not in given and two not in given.values():
            given[one] = two
    rows = []
    for one, (person, wanted) in enumerate(zip(people, counted, strict=True)):
        if not wanted.any():
            continue
        hits, oks = 0, 0.0
        if one in given:
            other = others[given[one]]
            reach = near * float(extent(person))
            apart = np.linalg.norm(person[:, :2] - other[:, :2], axis=1)
            hits = int((wanted & (other[:, 2] >= MIN_SCORE) & (apart <= reach)).sum())
            oks = similarity(person, other, wanted)
        rows.append((float(wanted.sum()), float(hits), oks, float(one in given)))
    return np.array(rows, np.float64).reshape(-1, 4), max(0, len(others) - len(people))


def _inside(
    person: Float32[np.ndarray, "18 3"], part: Bool[np.ndarray, "h w"] | None
) -> Bool[np.ndarray, " 18"]:
    if part is None:
        return np.ones(len(person[BODY]), bool)
    height, width = part.shape
    columns, rows = (
        np.clip(np.rint(person[:, axis]), 0, last - 1).astype(int) for axis, last in ((0, width), (1, height))
    )
    return np.asarray(part[rows, columns])
