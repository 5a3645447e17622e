"""A plan looked at again, with the clips, masks and pictures at hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from iclora.clip import Clip, Film
from iclora.controls.depths.conventions import NEAR_WHITE
from iclora.findings.judging import Expected, judge
from iclora.findings.kinds import FAMILIES, SMOOTH, TRAILS, misfit, resemblance
from iclora.findings.looks import NUM_LOOKED, Look, look
from iclora.findings.masks import judge_mask
from iclora.findings.pictures import (
    LEAST_AGREEMENT,
    LEAST_FIGURES_AGREEMENT,
    agreement,
    figures_agreement,
)
from iclora.media.timing import pick
from iclora.plan import Findings, ImageRequest, Plan, PlannedReference

START_S = 2.0
"""How much of a film tells what kind it is."""
REDRAW = "Choose other dials of the control, or another clip."
LOOKS_LIKE_DEPTH = "looks like depth already, and depth is looked for in it"
TAKE_AS_RENDER = "If it is depth, say render=yes (control depth: --render), and it is taken as it is."
REREAD = "Say values=near or values=distance, as its numbers are; leave render out if it is a film."


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """What can be seen of one reference of a plan.

    Attributes:
        clip: The control, or the film it will be taken from.
        mask: Its attention mask, `h w` or `f h w`, 0 to 1, on the clock of the result.
        is_film: Whether the control is still to be taken from the clip.
        is_start: Whether the clip is but the beginning of what will be there.
        film: What the control was taken from, where it was.
    """

    clip: Clip | Film
    mask: Float[np.ndarray, ...] | Bool[np.ndarray, ...] | None = None
    is_film: bool = False
    is_start: bool = False
    film: Clip | Film | None = None


def look_closer(plan: Plan, references: Sequence[Shown], images: Sequence[tuple[int, Clip]] = ()) -> Plan:
    """Look at what a plan was made for, and say what may disappoint.

    Args:
        plan: The plan.
        references: What can be seen of each reference of the plan, in its order.
        images: Pictures, each with the frame of the result that shall show it.

    Returns:
        The plan with more findings.
    """
    findings = Findings(plan.findings)
    for shown, planned in zip(references, plan.references, strict=True):
        expected = _expected(planned, plan, film=shown.is_film)
        clip = _used(shown.clip, plan)
        seen = look(clip)
        findings += judge(seen, expected, planned.label)
        if planned.control == "normals" and shown.film is not None:
            _say_no_depth(shown.film, planned.label, findings)
        if planned.control == "depth" and not expected.render and shown.film is not None:
            if looks_like_depth(shown.film):
                findings.warning(f"{planned.label} {LOOKS_LIKE_DEPTH}.", advice=TAKE_AS_RENDER)
        if shown.mask is not None:
            findings += judge_mask(shown.mask, planned.grid, planned.label)
        shows = _shows(seen, expected, planned.label)
        if shows is not None and planned.attention_strength > 0:
            reach = clip.num_frames / clip.fps if shown.is_start else math.inf
            near = [
                (one, asked)
                for one, asked in zip(images, plan.images, strict=True)
                if one[0] / plan.fps < reach
            ]
            _say_pictures(clip, near, planned, plan, findings, shows=shows)
    return dataclasses.replace(plan, findings=tuple(findings))


def _expected(planned: PlannedReference, plan: Plan, *, film: bool) -> Expected:
    """What a reference shall be: the control asked for, else any that an adapter follows."""
    followed = dict.fromkeys(kind for adapter in plan.adapters for kind in adapter.controls)
    ways = [adapter.conventions for adapter in plan.adapters if "depth" in adapter.controls]
    if "convention" in planned.dials:  # drawn so; where an adapter was trained otherwise, the plan says so
        ways = [(planned.dials["convention"],)]
    render = bool(planned.dials.get("render"))
    return Expected(
        kinds=tuple(followed) if planned.control is None else (planned.control,),
        conventions=tuple(dict.fromkeys(way for one in ways for way in one)) or (NEAR_WHITE,),
        by_adapter=bool(followed) if planned.control is None else planned.control in followed,
        film=film,
        redraw=None if planned.control is None else REREAD if render else REDRAW,
        render=render,
    )


def _shows(seen: Look, expected: Expected, label: str) -> Literal["edges", "skeletons"] | None:
    """What of a clip can be looked for in a picture; None for trails, and where it is not known."""
    # An adapter may follow poses too: a ready clip tells by itself what it is.
    if expected.film or resemblance(seen) != TRAILS:
        edged = {FAMILIES.get(kind) for kind in expected.kinds} & {"lines", "smooth"}
        return "edges" if edged else None
    is_pose = "pose" in expected.kinds and misfit(seen, "pose", expected.conventions, label) is None
    return "skeletons" if is_pose else None


def _say_no_depth(film: Clip | Film, label: str, findings: Findings) -> None:
    like = _like(film)
    if like not in (None, SMOOTH):
        findings.warning(
            f"{label}: normals are drawn of depth, and this clip looks like {like}.",
            advice="Draw its depth first (iclora control depth), and give that.",
        )


def looks_like_depth(film: Clip | Film) -> bool:
    """Say whether a film that depth is to be found in is grey and smooth, as depth itself is.

    Args:
        film: The film.

    Returns:
        Whether it may be depth already; scenes in grey fog may be taken for it.
    """
    return _like(film) == SMOOTH


def _like(film: Clip | Film) -> str | None:
    """What most of a few frames resemble; None where none shows anything.

    They are looked at one by one, as they may be large, and at the beginning, as a film may be long.
    """
    num_frames = max(1, min(film.num_frames, round(START_S * film.fps)))
    places = np.linspace(0, num_frames - 1, min(NUM_LOOKED, num_frames)).round().astype(int)
    looks = [look(Clip(frames=frame[None], fps=film.fps)) for frame in pick(film.frames, places)]
    kinds = [resemblance(seen) for seen in looks if not seen.empty]
    return max(kinds, key=kinds.count, default=None)


def _used(clip: Clip | Film, plan: Plan) -> Clip | Film:
    """The frames that reach the result, on the clip's own clock; no copy."""
    num_frames = max(1, math.ceil(plan.num_frames / plan.fps * clip.fps - 1e-6))
    if num_frames >= clip.num_frames:
        return clip
    if isinstance(clip, Film):
        return clip.start(num_frames)
    return dataclasses.replace(clip, frames=clip.frames[:num_frames])


def _say_pictures(
    clip: Clip | Film,
    images: Sequence[tuple[tuple[int, Clip], ImageRequest]],
    planned: PlannedReference,
    plan: Plan,
    findings: Findings,
    *,
    shows: Literal["edges", "skeletons"],
) -> None:
    compare, least = (agreement, LEAST_AGREEMENT)
    if shows == "skeletons":
        compare, least = (figures_agreement, LEAST_FIGURES_AGREEMENT)
    what = "edges are" if shows == "edges" else "skeletons lie on people"
    for (frame, image), asked in images:
        if not 0 <= frame < plan.num_frames:
            continue  # an error of its own
        place = min(round(frame / plan.fps * clip.fps), clip.num_frames - 1)
        (shown,) = pick(clip.frames, np.array([place]))
        share = compare(np.ascontiguousarray(shown), np.ascontiguousarray(image.frames[0]))
        if share is not None and share < least:
            findings.warning(
                f"{asked.label} at frame {frame} disagrees with {planned.label} there: "
                f"{max(0.0, share):.0%} more of the control's {what} in the picture than by chance.",
                advice="Make the picture from that frame of the film, or choose a control that fits it.",
            )
