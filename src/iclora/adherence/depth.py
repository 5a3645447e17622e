"""How closely the depth of a result follows that of its control, whatever the scale of either.

rank    Spearman's correlation: 1 where all places come in the same order from near to far
error   what the best scale (not below 0) and shift of the result leave of the control, in its own spread:

        min over s >= 0 and t of  rms(control - s · result - t) / rms(control - mean)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from iclora.adherence.parts import Where, check_where, mean_of
from iclora.errors import NothingToFollowError, RequestError

_LEAST_SPREAD = 0.02
"""A frame whose nearness spreads less than this share of the clip's has no depth to follow."""


@dataclass(frozen=True, kw_only=True)
class DepthScore:
    """Agreement of depth.

    Args:
        rank: Spearman's rank correlation, -1..1, the mean over the frames: 1 is the same order everywhere.
        error: What the best scale and shift of each frame leave, 0 (nothing) .. 1 (all), the mean.
        clip_error: The same with one scale and shift for the whole clip, so that depth that breathes counts.
        frame_rank: The rank correlation of each frame; None where the control's frame is flat.
        frame_error: The error of each frame; likewise.
    """

    rank: float
    error: float
    clip_error: float
    frame_rank: tuple[float | None, ...]
    frame_error: tuple[float | None, ...]


def depth(
    control: Float32[np.ndarray, "f h w"],
    result: Float32[np.ndarray, "f h w"],
    *,
    where: Where | None = None,
) -> DepthScore:
    """Score how well the depth of a result follows that of its control.

    Args:
        control: Nearness (larger is nearer), on any scale.
        result: Nearness of the result, on any other scale, of the same shape.
        where: The part that counts; None: all of it.

    Returns:
        The score.

    Raises:
        NothingToFollowError: If the control is flat in every frame (there).
        RequestError: If the shapes differ.
    """
    if control.shape != result.shape:
        raise RequestError(
            f"The depth of the control has the shape {control.shape} and that of the result {result.shape}; "
            "bring both to one size and length first."
        )
    counted = np.ones(control.shape, bool) if where is None else check_where(where, control.shape)
    least = _LEAST_SPREAD * float(control.std())
    ranks: list[float | None] = []
    errors: list[float | None] = []
    for wanted, there, part in zip(control, result, counted, strict=True):
        followed = wanted[part].astype(np.float64)
        if followed.size < 2 or float(followed.std()) <= least:
            ranks.append(None)
            errors.append(None)
            continue
        ranks.append(rank_correlation(followed, there[part].astype(np.float64)))
        errors.append(scaled_error(followed, there[part].astype(np.float64)))
    if all(rank is None for rank in ranks):
        raise NothingToFollowError("The depth of the control is flat there, so there is nothing to follow.")
    return DepthScore(
        rank=mean_of(tuple(ranks)),
        error=mean_of(tuple(errors)),
        clip_error=scaled_error(control[counted].astype(np.float64), result[counted].astype(np.float64)),
        frame_rank=tuple(ranks),
        frame_error=tuple(errors),
    )


def scaled_error(wanted: Float[np.ndarray, " n"], there: Float[np.ndarray, " n"]) -> float:
    """What is left of numbers after others, with the best scale and shift, are taken away.

    Args:
        wanted: Any numbers, not all the same.
        there: As many.

    Returns:
        The root mean square of the rest in standard deviations of `wanted`: 0..1; 1 where the best scale is
        0, as it would have to be below that.
    """
    wanted, there = wanted - wanted.mean(), there - there.mean()
    spread = float(np.sqrt((wanted**2).mean() * (there**2).mean()))
    if spread == 0:
        return 1.0
    likeness = min(1.0, max(0.0, float((wanted * there).mean()) / spread))
    return float(np.sqrt(1 - likeness**2))


def rank_correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Spearman's: the correlation of ranks, equal values sharing the mean of theirs.

    Args:
        first: Any numbers.
        second: As many.

    Returns:
        -1 to 1; 0 where either is the same everywhere.
    """
    ranks = [_ranks(first), _ranks(second)]
    if min(rank.std() for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
