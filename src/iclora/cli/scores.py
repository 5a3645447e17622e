"""Scores of results, as `evaluate`, `generate` and `sweep` take and show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iclora import adherence, controls, media
from iclora.adherence import Score, Truth
from iclora.cli.masks import read_where
from iclora.cli.present import Report, say, steps_of
from iclora.clip import Clip
from iclora.controls.depths import NEAR_WHITE
from iclora.controls.point_tracks import Tracks, cut_tracks
from iclora.controls.poses import Poses
from iclora.errors import IcloraError, NothingToFollowError

if TYPE_CHECKING:
    from iclora.cli.asking import Given
    from iclora.pipeline import Drawable, Result
    from iclora.plan import Plan, PlannedReference

_WORDS = {
    **{"f1": "F1", "precision": "precision", "recall": "recall", "rank": "rank correlation"},
    **{"error": "error", "clip_error": "clip error", "pck": "PCK@0.1", "oks": "OKS", "found": "found"},
    **{"extra": "extra people", "within": "within 5%", "survival": "survival"},
    **{"still_error": "error if nothing moved", "correlation": "correlation"},
}
"""What each number is called."""
_HELD = 0.5
"""Share of a track's places at which its point must be found again for the score to say much."""
_FROM_FILMS = ("depth", "pose", "tracks")
"""Kinds whose truth is in what the control was drawn from, rather than in the drawing."""


def truth_of(
    kind: str,
    source: Drawable,
    result: Clip,
    *,
    cache: controls.Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **dials: Any,
) -> Truth:
    """Find what a control says, laid over a result.

    Args:
        kind: A name in `adherence.SCORERS`.
        source: The film, keypoints or tracks.
        result: The result.
        cache: Where what takes long to find in the source is kept; None: nowhere.
        progress: Called with (frames done, frames in all).
        **dials: Of the control.

    Returns:
        The truth.

    Raises:
        IcloraError: If it cannot be found.
    """
    from iclora.pipeline import extract_control, lay_over  # takes seconds, which --help shall not

    if kind == "canny":  # a preset may draw them at a size of its own
        return media.hold(extract_control(kind, source, result, progress=progress, **dials))
    laid = lay_over(source, result)
    if isinstance(laid, Tracks):
        laid = cut_tracks(laid, result.num_frames)
    assert isinstance(laid, (Clip, Poses, Tracks))  # a render is read off its drawing
    return adherence.find_truth(kind, laid, cache=cache, progress=progress, **dials)


def score_references(
    result: Result,
    given: Sequence[Given],
    report: Report,
    *,
    cache: controls.Cache | None = None,
) -> list[dict[str, Any]]:
    """Score how a result follows each of its references, as far as their kinds tell.

    Args:
        result: What was made.
        given: What was read, one for each reference of the plan; their masks part the picture.
        report: Told of the scoring.
        cache: Where what takes long to find in the films is kept; None: nowhere.

    Returns:
        For each reference that can be scored its label, the name of the measure, its value, and all numbers.
    """
    rows = []
    for planned, one, drawing in zip(result.plan.references, given, result.references, strict=True):
        kind, dials = _kind_of(planned, result.plan)
        if kind is None:
            continue
        steps = steps_of(report, "scoring")
        try:
            if kind in _FROM_FILMS and planned.control is not None and not _is_render(one):
                truth = truth_of(kind, one.clip, result.clip, cache=cache, progress=steps, **dials)
            else:
                convention = dials.get("convention", NEAR_WHITE)
                truth = adherence.read_drawing(kind, drawing, convention=convention)
            where = None if one.said.mask is None else read_where(one.said.mask, result.clip)
            score = adherence.score(
                kind, truth, result.clip, drawing=drawing, where=where, progress=steps, **dials
            )
        except NothingToFollowError:
            continue
        except IcloraError as error:  # the result is there all the same
            say(f"{planned.label} is not scored: {error}")
            continue
        rows.append({"reference": planned.label, "measure": score.measure, "value": score.value})
        rows[-1] |= score.to_json()
    return rows


def say_scores(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say how a result follows its references, a line for each."""
    for row in rows:
        told = f"follows {row['reference']}: {row['measure']} {row['value']:.3f}"
        held = row.get("survival", 1.0)
        if held < _HELD:
            told += f"; its points are lost at {1 - held:.0%} of their places: soft, or hidden"
        say(told)


def describe(score: Score) -> list[str]:
    """A score in a few lines, the number that matters first.

    Args:
        score: The score.

    Returns:
        Its lines.
    """
    main = adherence.scorer_of(score.control).main
    lines = [_numbers(score.numbers, main)]
    lag = "not to be told" if score.lag_frames is None else f"{score.lag_frames:.1f} frames"
    leak = "" if score.leak is None else f"  leak {score.leak:.2f}"
    lines.append(f"lag {lag}{leak}")
    for name, part in (("inside", score.inside), ("outside", score.outside)):
        if part is not None:
            lines.append(f"{name} the mask: {_numbers(part, main)}")
    return lines


def _numbers(numbers: Any, main: str) -> str:
    said = {name: value for name, value in dataclasses.asdict(numbers).items() if isinstance(value, float)}
    names = [main, *(name for name in said if name != main)]
    return "  ".join(f"{_WORDS[name]} {said[name]:.3f}" for name in names)


def _kind_of(planned: PlannedReference, plan: Plan) -> tuple[str | None, dict[str, Any]]:
    """What a reference is scored as, if it can be, and with which dials."""
    if planned.control in adherence.SCORERS:
        return planned.control, dict(planned.dials)
    if planned.control is None and planned.is_lines:
        return "canny", {}
    followed = {control for adapter in plan.adapters for control in adapter.controls}
    if planned.control is None and followed == {"depth"}:
        conventions = [one for adapter in plan.adapters for one in adapter.conventions]
        return "depth", {"convention": conventions[0]} if conventions else {}
    return None, {}


def _is_render(one: Given) -> bool:
    return bool(one.said.dials.get("render"))
