"""How alike two controls are that are pictures of shades: grey, blurred, soft edges, normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iclora.adherence.parts import Where, check_alike, check_where, mean_of
from iclora.clip import Clip
from iclora.errors import NothingToFollowError


@dataclass(frozen=True, kw_only=True)
class LikenessScore:
    """Agreement of pictures, whatever their brightness and contrast.

    Args:
        correlation: Pearson's, of all levels of a frame, -1..1 (1 is alike), the mean over the frames.
        frame_correlation: That of each frame; None where the control's frame is all of one level.
    """

    correlation: float
    frame_correlation: tuple[float | None, ...]


def likeness(control: Clip, result: Clip, *, where: Where | None = None) -> LikenessScore:
    """Score how alike a control and the control of a result are.

    Args:
        control: The control.
        result: The same control taken from the result, of the same size and length.
        where: The part that counts; None: all of it.

    Returns:
        The score.

    Raises:
        NothingToFollowError: If each frame of the control is all of one level (there).
        RequestError: If the shapes differ.
    """
    check_alike(result, control, "control")
    shape = control.frames.shape[:3]
    counted = np.ones(shape, bool) if where is None else check_where(where, shape)
    frames: list[float | None] = []
    for frame, other, part in zip(control.frames, result.frames, counted, strict=True):
        wanted, there = (one[part].astype(np.float64).ravel() for one in (frame, other))
        if wanted.size == 0 or not wanted.std():
            frames.append(None)
        else:
            frames.append(float(np.corrcoef(wanted, there)[0, 1]) if there.std() else 0.0)
    if all(one is None for one in frames):
        raise NothingToFollowError("The control shows nothing there, so there is nothing to follow.")
    return LikenessScore(correlation=mean_of(tuple(frames)), frame_correlation=tuple(frames))
