"""Everything that is measured of a result: how it follows its control, and how steady it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from iclora import controls, media
from iclora.adherence.drift import drift
from iclora.adherence.flicker import flicker
from iclora.adherence.kinds import Numbers, Truth, find_again, scorer_of
from iclora.adherence.lag import lag_and_fit
from iclora.adherence.leak import leak
from iclora.adherence.parts import Where
from iclora.clip import Clip
from iclora.errors import NothingToFollowError

_LEAST_FIT = 0.3
"""Correlation of what changes below which two drawings have nothing in common, and so no lag."""
_LAG_BLUR_PX = 3.0
"""Thin lines hardly lie over each other: their lag is taken of drawings blurred by so many pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """How a result follows one control.

    Attributes:
        control: The kind of control.
        numbers: The metric's own numbers.
        lag_frames: How many frames what the result says comes after what the control says; None where nothing
            moves, or what moves is too unlike to tell.
        leak: How much of the control's drawing shows in the result, 0..1; None where that is no fault.
        inside: The numbers inside a mask; None without a mask, or where the control has nothing there.
        outside: The numbers outside of it; likewise.
    """

    control: str
    numbers: Numbers
    lag_frames: float | None
    leak: float | None
    inside: Numbers | None = None
    outside: Numbers | None = None

    @property
    def measure(self) -> str:
        """The name of the one number that curves are drawn of."""
        return scorer_of(self.control).measure

    @property
    def value(self) -> float:
        """That number: larger is better, 1 is all."""
        return float(getattr(self.numbers, scorer_of(self.control).main))

    @property
    def frames(self) -> tuple[float | None, ...]:
        """That number of each frame; None where the control's frame has nothing to follow."""
        values: tuple[float | None, ...] = getattr(self.numbers, f"frame_{scorer_of(self.control).main}")
        return values

    def to_json(self) -> dict[str, Any]:
        """The score as values that JSON knows."""
        parts = {"inside": self.inside, "outside": self.outside}
        return {
            "control": self.control,
            **dataclasses.asdict(self.numbers),
            "lag_frames": self.lag_frames,
            "leak": self.leak,
            **{name: dataclasses.asdict(part) for name, part in parts.items() if part is not None},
        }


def score(  # noqa: PLR0913  each has a default, and training calls it as the command line does
    kind: str,
    truth: Truth,
    result: Clip,
    *,
    found: Truth | None = None,
    drawing: Clip | None = None,
    where: Where | None = None,
    cache: controls.Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **dials: Any,
) -> Score:
    """Score how a result follows a control.

    Args:
        kind: A name in `SCORERS`.
        truth: What the control says, from `find_truth` or `read_drawing`, on the result's clock and canvas.
        result: The generated clip, RGB 0..255.
        found: What the result says, from `find_again`; None: it is found here.
        drawing: The control as the model was given it, for the leak; None: `truth` drawn.
        where: A part of the result's picture, `f h w`: its inside and outside are scored as well.
        cache: Where what takes long to find in the result is kept; None: nowhere.
        progress: Called with (frames done, frames in all).
        **dials: Of the control; its estimator counts, how it is drawn does not.

    Returns:
        The score.

    Raises:
        NothingToFollowError: If the control says nothing.
        RequestError: If the two do not fit together.
        IcloraError: If the result's control cannot be found.
    """
    scorer = scorer_of(kind)
    if found is None:
        found = find_again(kind, truth, result, cache=cache, progress=progress, **dials)
    drawn, again = scorer.draw(truth), scorer.draw(found)
    parts: dict[str, Numbers | None] = {"inside": None, "outside": None}
    if where is not None:
        parts = {"inside": _part(kind, truth, found, where), "outside": _part(kind, truth, found, ~where)}
    lag, fit = lag_and_fit(_soft(drawn), _soft(_at_size(again, drawn)))
    return Score(
        control=kind,
        numbers=scorer.compare(truth, found, None),
        lag_frames=lag if fit >= _LEAST_FIT else None,
        leak=leak(_at_size(drawing or drawn, result), result) if scorer.tells_leak else None,
        **parts,
    )


def steadiness(result: Clip) -> dict[str, float]:
    """Measure how steady a clip is, whatever it follows.

    Args:
        result: Any clip.

    Returns:
        `flicker` and `drift`, in percent of the range.
    """
    return {"flicker": flicker(result), "drift": drift(result)}


def _part(kind: str, truth: Truth, found: Truth, where: Where) -> Numbers | None:
    try:
        return scorer_of(kind).compare(truth, found, where)
    except NothingToFollowError:
        return None


def _at_size(clip: Clip, other: Clip) -> Clip:
    same = (clip.height, clip.width) == (other.height, other.width)
    return clip if same else media.resize(clip, other.height, other.width, fit="stretch")


def _soft(clip: Clip) -> Clip:
    return Clip(
        frames=np.stack([cv2.GaussianBlur(frame, (0, 0), _LAG_BLUR_PX) for frame in clip.frames]),
        fps=clip.fps,
    )
