"""Whether two clips move together: where and when each changes, compared with clips that are no pair.

    frame ─► small grey ─┬─ difference to the frame before ─► 10x10 cells   `motion`   [t-1, 10, 10]
                         └─ gradient ────────────────────────► 10x10 cells   `outlines` [t, 10, 10]

A control shows something else than its clip, but in the same places at the same times. So the correlation of
a pair lies far above those of the same clip with the references of others; a pair whose correlation does not
is none, however high or low it is by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_SIDE = 80
_CELLS = 10
_TIMES = 24
_NOISE = 6.0
"""Grey levels by which compression changes what stands still."""
MAX_LAG = 8
"""Longest lag looked for, in frames."""
NUM_OTHERS = 12
"""Most references of other clips that a pair is compared with."""
_LEAST_SPREAD = 0.03


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """Where and when a clip changes, and where its outlines are, in little.

    Attributes:
        motion: How much each cell changes from frame to frame, in grey levels.
        outlines: How strong its gradients are.
    """

    motion: Float[np.ndarray, "s y x"]
    outlines: Float[np.ndarray, "f y x"]

    @property
    def moves(self) -> float:
        """How much changes from frame to frame, in grey levels, the mean."""
        return float(self.motion.mean()) if len(self.motion) else 0.0


@dataclass(frozen=True, kw_only=True)
class Bond:
    """How a pair compares with pairings that are none.

    Attributes:
        motion: Correlation of the motion of the pair, -1..1.
        outlines: The same of the outlines.
        others_motion: Mean correlation of the motion with the references of other clips.
        others_outlines: The same of the outlines.
        distance: How far the pair stands out, in standard deviations of the other pairings: the better of
            motion and outlines.
        num_others: How many other pairings there are.
        better: Which other reference fits better than the pair's own, both in motion and in outlines; None
            where none does.
    """

    motion: float
    outlines: float
    others_motion: float
    others_outlines: float
    distance: float
    num_others: int
    better: int | None


def trace(frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Trace:
    """Look where and when a clip changes.

    Args:
        frames: RGB 0..255, at least one.

    Returns:
        Its trace.
    """
    motion, outlines = [], []
    before = None
    for frame in frames:
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        across, down = (cv2.Sobel(small, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
        outlines.append(_in_cells(cv2.magnitude(across, down)))
        if before is not None:
            motion.append(_in_cells(np.maximum(np.abs(small - before) - _NOISE, 0)))
        before = small
    empty = np.zeros((0, _CELLS, _CELLS), np.float32)
    return Trace(motion=np.stack(motion) if motion else empty, outlines=np.stack(outlines))


def lag_of(target: Trace, reference: Trace) -> tuple[int, float, float]:
    """Find by how many frames a reference comes late.

    Args:
        target: The trace of the clip.
        reference: That of its reference, at the same rate.

    Returns:
        The lag in frames at which both move together best (negative: the reference comes early), the
        correlation there, and that without a lag; all 0 where too little moves.
    """
    count = min(len(target.motion), len(reference.motion))
    reach = min(MAX_LAG, count // 3)
    if reach < 1:
        return 0, 0.0, 0.0
    fits = {}
    old, new = target.motion[:count], reference.motion[:count]
    for lag in range(-reach, reach + 1):
        # What the reference shows at t is what the target showed at t - lag.
        first, second = old[max(0, -lag) : count - max(0, lag)], new[max(0, lag) : count - max(0, -lag)]
        fits[lag] = float(_unit(first).ravel() @ _unit(second).ravel())
    best = max(fits, key=lambda lag: (fits[lag], -abs(lag)))
    return best, fits[best], fits[0]


class Bonds:
    """The traces of all pairs of a dataset, each kept in little (some 20 kB)."""

    def __init__(self) -> None:
        self._kept: list[tuple[np.ndarray, np.ndarray] | None] = []

    def add(self, pair: tuple[Trace, Trace] | None) -> None:
        """Take the next pair.

        Args:
            pair: The traces of the clip and of its reference; None holds the place of a pair that has none.
        """
        self._kept.append(None if pair is None else (_packed(pair[0]), _packed(pair[1])))

    def of(self, index: int) -> Bond | None:
        """Compare a pair with pairings that are none.

        The references of the pairs around it are taken; where there are fewer than 3, the pair's own
        reference turned over and run backwards stands in for them.

        Args:
            index: Its place.

        Returns:
            How it compares; None where it has no traces.
        """
        kept = self._kept[index]
        if kept is None:
            return None
        target, own = kept
        around = self._around(index)
        others = [pair[1] for at in around if (pair := self._kept[at]) is not None]
        if len(others) < 3:
            others += _turned(own)
        fits = np.array([_fit(target, other) for other in [own, *others]], np.float64)
        mean, spread = fits[1:].mean(axis=0), np.maximum(fits[1:].std(axis=0), _LEAST_SPREAD)
        # Another pair may be of the same clip: what fits as well is no better.
        better = (fits[1 : 1 + len(around)] > fits[0] + 0.05).all(axis=1)
        sums = fits[1 : 1 + len(around)].sum(axis=1)
        best = int(np.argmax(np.where(better, sums, -np.inf))) if better.any() else None
        return Bond(
            motion=float(fits[0, 0]),
            outlines=float(fits[0, 1]),
            others_motion=float(mean[0]),
            others_outlines=float(mean[1]),
            distance=float(((fits[0] - mean) / spread).max()),
            num_others=len(around),
            better=None if best is None else around[best],
        )

    def _around(self, index: int) -> list[int]:
        """The nearest pairs before and after, that have traces."""
        half = NUM_OTHERS // 2
        after = [at for at in range(index + 1, min(len(self._kept), index + 1 + 2 * half))]
        before = [at for at in range(index - 1, max(-1, index - 1 - 2 * half), -1)]
        near: Sequence[int] = sorted(before + after, key=lambda at: (abs(at - index), at))
        return [at for at in near if self._kept[at] is not None][:NUM_OTHERS]


def _fit(target: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Correlation of motion and of outlines."""
    first, second = target.astype(np.float32), reference.astype(np.float32)
    return float(np.vdot(first[0], second[0])), float(np.vdot(first[1], second[1]))


def _turned(packed: np.ndarray) -> list[np.ndarray]:
    """A trace mirrored, upside down and backwards in all ways but as it is."""
    ways = [(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)][1:]
    return [packed[:, ::a, ::b, ::c] for a, b, c in ways]


def _packed(found: Trace) -> np.ndarray:
    """Motion and outlines at as many moments for every clip, with mean 0 and length 1 each."""
    return np.stack([_unit(_at_times(one)) for one in (found.motion, found.outlines)]).astype(np.float16)


def _at_times(cells: np.ndarray) -> np.ndarray:
    if len(cells) == 0:
        return np.zeros((_TIMES, _CELLS, _CELLS), np.float32)
    flat = cells.reshape(len(cells), -1)
    way = cv2.INTER_AREA if len(cells) > _TIMES else cv2.INTER_LINEAR
    return cv2.resize(flat, (flat.shape[1], _TIMES), interpolation=way).reshape(_TIMES, _CELLS, _CELLS)


def _unit(cells: np.ndarray) -> np.ndarray:
    """With mean 0 and length 1; strong values count by their root, that one of them does not decide."""
    levels = np.sqrt(cells)
    levels = levels - levels.mean()
    length = float(np.linalg.norm(levels))
    return np.asarray(levels / length if length > 1e-6 else levels * 0)


def _in_cells(levels: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(levels, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA))
