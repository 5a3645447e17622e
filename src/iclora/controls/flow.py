"""How a film moves (dense optical flow), and controls held still along it.

    film  t-1 ──flow──► t          where both ways agree, and the pictures do,
             │                     the control of t-1, moved along, is the control that t should have
    control t-1 ─moved─► mixed with the control of t ─► control t, steadier

Nothing is taken from a place that does not move along, so what moves is not dragged behind.
Source: T. Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016), in OpenCV.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
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
    """

    def __init__(self, first: UInt8[np.ndarray, "h w 3"]) -> None:
        # Missing in OpenCV's own type hints.
        self._finder: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined]
        self._before = _small_grey(first)
        self._rows, self._columns = np.indices(self._before.shape, np.float32)

    def step(
        self, frame: UInt8[np.ndarray, "h w 3"]
    ) -> tuple[Float32[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
        """Go on by one frame.

        Args:
            frame: The next one, of the same size.

        Returns:
            For each pixel the x and y in pixels that it had in the frame before, and whether that is sure:
            the way there and back leads to itself, inside the picture, and its grey is the same.
        """
        before, now = self._before, _small_grey(frame)
        self._before = now
        back = self._finder.calc(now, before, None)
        forth = self._finder.calc(before, now, None)
        place = np.dstack([self._columns, self._rows]) + back
        returned = back + _moved(forth, place)
        sure = (returned**2).sum(axis=2) <= MAX_PATH_PX**2
        sure &= np.abs(_moved(before.astype(np.float32), place) - now) <= MAX_CHANGE
        last_place = np.array(now.shape[::-1]) - 1
        sure &= ((place >= 0) & (place <= last_place)).all(axis=2)
        height, width = frame.shape[:2]
        sure_full = cv2.resize(sure.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return _enlarged(back, height, width), np.asarray(sure_full > 0)


def moved(
    picture: UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"], place: Float32[np.ndarray, "h w 2"]
) -> Float32[np.ndarray, "h w 3"]:
    """Bring the frame before to where its pixels are now.

    Args:
        picture: The frame before, 0..255.
        place: From `Motion.step`.

    Returns:
        The picture between pixels, 0..255; beyond the border it goes on as at the border.
    """
    return _moved(picture.astype(np.float32), place)


def stabilised(
    filmed: Iterable[UInt8[np.ndarray, "h w 3"]],
    drawn: Iterable[UInt8[np.ndarray, "h w 3"]],
    amount: float,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Steady a control along the film's motion: a running average that moves along.

    Args:
        filmed: The frames the control was drawn from, RGB 0..255.
        drawn: The control of each, of the same size, 0..255.
        amount: 0 (nothing is changed) .. 1 (0.85 of each frame comes from the past where the flow is sure).

    Returns:
        The control, steadier, frame by frame; two of each are held at a time.

    Raises:
        RequestError: If the amount is out of 0..1.
    """
    check_stabilise(amount)
    return _averaged(zip(filmed, drawn, strict=True), amount)


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
    average = np.empty(0, np.float32)
    for frame, control in pairs:
        if amount == 0:
            yield control
            continue
        if motion is None:
            motion, average = Motion(frame), control.astype(np.float32)
        else:
            place, sure = motion.step(frame)
            share = np.float32(MAX_SHARE * amount) * sure[..., None]
            average = control + share * (moved(average, place) - control)
        yield np.rint(average).astype(np.uint8)


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
