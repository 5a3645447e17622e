"""How a film moves (dense optical flow), and controls held still along it.

    film  t-1 ──flow──► t          where both ways agree, and the pictures do,
             │                     the control of t-1, moved along, is the control that t should have
    control t-1 ─moved─► mixed with the control of t ─► control t, steadier

Nothing is taken from a place that does not move along, so what moves is not dragged behind. `steadied`
averages the past alone; `stabilised` looks ahead too, and does not lag even where the flow is coarse.
Source: T. Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016), in OpenCV.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from iclora.errors import RequestError

MAX_SIDE_PX = 512
"""Flow is found on pictures with at most so many pixels on the long side, and enlarged: so it stays cheap."""
_MIN_SIDE_PX = 32
MAX_PATH_PX = 1.0
"""How far there and back again may lead from where it began, in pixels of the picture flow is found on."""
MAX_CHANGE = 24.0
"""By how many grey levels a pixel may differ from where it came from."""
MAX_SHARE = 0.85
"""Share of the past in a steadied control at 1: half of it is gone after four frames."""
LEAST_SHARE = 0.02
"""A frame so far ahead that less than this share of it is left is not waited for."""

Place = tuple[Float32[np.ndarray, "y x 2"], Bool[np.ndarray, "y x"]]
"""For each pixel the x and y in pixels that it has in another frame, and whether that is sure."""


def check_stabilise(amount: float) -> None:
    """Refuse an amount of stabilising out of 0..1.

    Args:
        amount: What was asked for.

    Raises:
        RequestError: If it is out of its range.
    """
    if not 0 <= amount <= 1:
        raise RequestError(
            f"The stabilising is {amount}; it must lie in 0..1, where 0 is none and 0.5 suits most."
        )


class Motion:
    """Where each pixel was in the frame before, for frames that come one after the other.

    Args:
        first: The first frame, RGB 0..255.
        size: Height and width of the pictures that shall be moved; None: as the frames are.
    """

    def __init__(self, first: UInt8[np.ndarray, "h w 3"], *, size: tuple[int, int] | None = None) -> None:
        # Missing in OpenCV's own type hints.
        self._finder: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined]
        self._before = _small_grey(first)
        self._size = first.shape[:2] if size is None else size
        self._grid = np.dstack([*np.indices(self._before.shape, np.float32)][::-1])

    def step(self, frame: UInt8[np.ndarray, "h w 3"]) -> Place:
        """Go on by one frame.

        Args:
            frame: The next one, of the same size.

        Returns:
            For each pixel its place in the frame before, and whether that is sure: the way there and back
            leads to itself, inside the picture, and its grey is the same.
        """
        before, now, back, forth = self._ways(frame)
        return self._place(now, before, back, forth)

    def both_ways(self, frame: UInt8[np.ndarray, "h w 3"]) -> tuple[Place, Place]:
        """Go on by one frame, and look back from it.

        Args:
            frame: The next one, of the same size.

        Returns:
            For each pixel of the next frame its place in the frame before; and for each of that its place in
            the next.
        """
        before, now, back, forth = self._ways(frame)
        return self._place(now, before, back, forth), self._place(before, now, forth, back)

    def _ways(
        self, frame: UInt8[np.ndarray, "h w 3"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        before, now = self._before, _small_grey(frame)
        self._before = now
        return before, now, self._finder.calc(now, before, None), self._finder.calc(before, now, None)

    def _place(self, here: np.ndarray, there: np.ndarray, way: np.ndarray, way_back: np.ndarray) -> Place:
        """Where the pixels of one small grey picture are in the other, enlarged."""
        place = self._grid + way
        returned = way + _moved(way_back, place)
        sure = (returned**2).sum(axis=2) <= MAX_PATH_PX**2
        sure &= np.abs(_moved(there.astype(np.float32), place) - here) <= MAX_CHANGE
        last_place = np.array(here.shape[::-1]) - 1
        sure &= ((place >= 0) & (place <= last_place)).all(axis=2)
        height, width = self._size
        sure_full = cv2.resize(sure.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return _enlarged(way, height, width), np.asarray(sure_full > 0)


def moved(
    picture: UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w"],
    place: Float32[np.ndarray, "h w 2"],
) -> Float32[np.ndarray, "h w *3"]:
    """Bring the frame before to where its pixels are now.

    Args:
        picture: The frame before.
        place: From `Motion.step`.

    Returns:
        The picture between pixels, in the same range; beyond the border it goes on as at the border.
    """
    return _moved(picture.astype(np.float32), place)


def stabilised(
    filmed: Iterable[np.ndarray], drawn: Iterable[np.ndarray], amount: float
) -> Iterator[np.ndarray]:
    """Steady a control along the film's motion, without lag.

    It is the mean of two running averages that move along, one from the past and one from the future, as far
    as more than `LEAST_SHARE` of it is left.

    Args:
        filmed: The frames the control was drawn from, RGB 0..255.
        drawn: The control of each, of any one size: `h w 3`, 0..255, or plain numbers, float32 `h w`.
        amount: 0 (nothing is changed) .. 1 (0.85 of each frame comes from others where the flow is sure).

    Returns:
        The control, steadier, frame by frame. At 0.5, 10 frames are held at a time, at 1, 50.

    Raises:
        RequestError: If the amount is out of 0..1.
    """
    check_stabilise(amount)
    return iter(drawn) if amount == 0 else _both_ways(filmed, drawn, MAX_SHARE * amount)


def steadied(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    draw: Callable[[Iterable[np.ndarray]], Iterable[np.ndarray]],
    amount: float,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Draw frames and steady what is drawn along their motion.

    Args:
        frames: The film, gone through once, RGB 0..255.
        draw: Takes frames and yields the control of each.
        amount: As for `stabilised`.

    Returns:
        The control, frame by frame.

    Raises:
        RequestError: If the amount is out of 0..1.
    """
    check_stabilise(amount)
    if amount == 0:
        return iter(draw(frames))
    # No itertools.tee: it holds dozens of frames.
    held: deque[np.ndarray] = deque()

    def filmed() -> Iterator[np.ndarray]:
        for frame in frames:
            held.append(frame)
            yield frame

    return _averaged(((held.popleft(), control) for control in draw(filmed())), amount)


def _averaged(pairs: Iterable[tuple[np.ndarray, np.ndarray]], amount: float) -> Iterator[np.ndarray]:
    """The running average of controls along the motion of the frames they are paired with."""
    motion: Motion | None = None
    average: np.ndarray | None = None
    for frame, control in pairs:
        place = None if motion is None else motion.step(frame)
        motion = motion or Motion(frame)
        average = _mixed(control, average, place, MAX_SHARE * amount)
        yield np.rint(average).astype(np.uint8)


@dataclass(kw_only=True, eq=False)
class _Waiting:
    """A frame that waits for those after it."""

    drawn: np.ndarray
    past: Place | None = None
    future: Place | None = None


def _both_ways(
    filmed: Iterable[np.ndarray], drawn: Iterable[np.ndarray], share: float
) -> Iterator[np.ndarray]:
    """The mean of the running averages from the past and from the future."""
    ahead = max(1, math.ceil(math.log(LEAST_SHARE) / math.log(share)))
    waiting: list[_Waiting] = []
    average: np.ndarray | None = None
    motion: Motion | None = None
    for frame, control in zip(filmed, drawn, strict=True):
        following = _Waiting(drawn=control)
        if motion is None:
            motion = Motion(frame, size=(control.shape[0], control.shape[1]))
        else:
            # A frame has been kept back, so that its way into the next can be noted.
            following.past, waiting[-1].future = motion.both_ways(frame)
        if len(waiting) == 2 * ahead:
            averages = _averages(waiting, average, share)[:ahead]
            average = averages[-1][0]
            yield from _means(averages, waiting)
            del waiting[:ahead]
        waiting.append(following)
    yield from _means(_averages(waiting, average, share), waiting)


def _averages(
    waiting: list[_Waiting], before: np.ndarray | None, share: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The running averages of each frame, from the past and from the future."""
    forwards, backwards = [], []
    for one in waiting:
        before = _mixed(one.drawn, before, one.past, share)
        forwards.append(before)
    after: np.ndarray | None = None
    for one in reversed(waiting):
        after = _mixed(one.drawn, after, one.future, share)
        backwards.append(after)
    return list(zip(forwards, reversed(backwards), strict=True))


def _mixed(
    control: np.ndarray, average: np.ndarray | None, place: Place | None, share: float
) -> Float32[np.ndarray, "*shape"]:
    """A frame with its share of the average of its neighbour, where it is sure where that moves."""
    if average is None or place is None:
        return control.astype(np.float32)
    where, sure = place
    weight = np.float32(share) * sure
    weight = weight[..., None] if control.ndim == 3 else weight
    return np.asarray(control + weight * (moved(average, where) - control), np.float32)


def _means(averages: list[tuple[np.ndarray, np.ndarray]], waiting: list[_Waiting]) -> Iterator[np.ndarray]:
    for (past, future), one in zip(averages, waiting, strict=False):
        mean = (past + future) / 2
        yield np.rint(mean).astype(np.uint8) if one.drawn.dtype == np.uint8 else mean


def _small_grey(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "y x"]:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, MAX_SIDE_PX / max(grey.shape))
    height, width = (max(_MIN_SIDE_PX, round(scale * length)) for length in grey.shape)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _moved(picture: np.ndarray, place: Float32[np.ndarray, "h w 2"]) -> np.ndarray:
    columns, rows = cv2.split(place)
    return np.asarray(cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _enlarged(back: Float32[np.ndarray, "y x 2"], height: int, width: int) -> Float32[np.ndarray, "h w 2"]:
    """Where each pixel of the full picture was, from the way back on the small one."""
    scale = np.array([width / back.shape[1], height / back.shape[0]], np.float32)
    rows, columns = np.indices((height, width), np.float32)
    full = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full * scale + np.dstack([columns, rows]))
