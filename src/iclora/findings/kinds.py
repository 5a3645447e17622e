"""Kinds of control: what each looks like, and how a clip may miss it.

A kind is a name in `controls.CONTROLS`, or `film`, the filmed clip as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from iclora.controls.depths.conventions import INFERNO, NEAR_BLACK
from iclora.findings.looks import Look

Family = Literal["lines", "trails", "strokes", "smooth", "normals", "film"]

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "canny": "lines",
        "pose": "trails",
        "tracks": "trails",
        "soft-edges": "strokes",
        "line-art": "strokes",
        "depth": "smooth",
        "normals": "normals",
        "grey": "film",
        "green": "film",
        "film": "film",
    }
)
"""Other kinds (`blur`, `blocks`: any picture may be one) and kinds that are not known are not judged by their
looks."""
_DRAWN: Mapping[str, str] = MappingProxyType(
    {
        "canny": "white lines on black",
        "pose": "coloured lines on black",
        "tracks": "coloured trails on black",
        "soft-edges": "soft white edges on black",
        "line-art": "white strokes on black",
        "depth": "a smooth picture",
        "normals": "a direction at each pixel, as a colour",
        "grey": "a film without colours",
        "green": "a film with pure green in it",
    }
)

FILM, SMOOTH, COLOURED = "a film or a photo", "a smooth grey picture", "a coloured picture"
WHITE_LINES, BLACK_LINES, TRAILS = "white lines on black", "black lines on white", "coloured lines on black"
GREY_LINES, STROKES, BLURRED = "grey lines on black", "soft grey edges on black", "a blurred film"

LEAST_DARK = 0.75
"""Of coloured lines on black; good: from 0.95."""
LEAST_LIGHT = 0.9
"""Of coloured lines on white; films: to 0.80."""
LEAST_TRAIL_COLOUR = 0.5
"""Of coloured lines on black; good: 0.999."""
MOST_GREY_COLOUR = 0.1
"""Of what is to be grey; good: 0. Depth coloured by INFERNO: above 0.5."""
SMOOTH_DETAIL, SMOOTH_GRAIN = 0.006, 0.022
"""Of smooth pictures at most the one or the other; good: detail to 0.0040, but for one exact depth of many
small shapes, which has no grain until it is compressed. Films: the filmed ones from 0.0096 and 0.26, and 22
of 24 rendered ones; the others are a foggy scene and a line drawing."""
TRAIL_DETAIL = 0.005
"""Of coloured lines on black; good: from 0.012. Dark depth in INFERNO: to 0.0040."""
MOST_RESTLESS, MOST_EVEN = 12.5, 0.62
"""Of depth at most the one or the other; good: to 9.5 and 0.68 (by `tiny`), to 25 and 0.30 (exact), a real
scene measured by stereo 20 and 0.44, and blurred by 4 pixels of 256 15 and 0.57. Blurred films: mostly above
both."""
UPSIDE_DOWN, LIGHT_ABOVE, MOST_LIGHT = -0.4, -0.1, 0.7
"""Lower less upper third of depth, near is white, below which it is inverted by itself, or with 0.4 of it
light; and the share that is light by itself. Good: from -0.33, and to 0.37."""
LEAST_STROKE_DARK = 0.25
"""Of soft edges and strokes; good: from 0.27."""
MOST_BROAD_LINES, MOST_BROAD_STROKES = 0.05, 0.65
"""Share of light that is no thin thing; good: lines 0, line art to 0.01, soft edges 0.07 to 0.40, with
a blur of 4 to 0.62. Films: mostly from 0.74."""
LEAST_PURPLE, MOST_PURPLE, LEAST_HEADS = 0.015, 0.003, 0.15
"""Of colours; good: poses purple from 0.038, where heads are seen, and trails none, and heads from 0.19."""
LEAST_NORMALS = 0.8
"""Share of pixels that are normals; good: 1, compressed from 0.90. Other pictures: to 0.58."""
SWAPPED = 2.0
"""Red over blue pixels of trails of tracks; good: 0, swapped ones have no blue."""
SWAPPED_BELOW = -0.05
"""How far the colours of arms lie above those of legs; good: from 0.006, mostly 0.1 to 0.29, and swapped ones
as far below."""
_SWAP = "Swap the channels (ffmpeg -i IN -vf colorchannelmixer=rr=0:rb=1:bb=0:br=1 OUT)"


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """How a clip misses a kind of control.

    Attributes:
        how: What it is instead, after the clip's label.
        advice: What to do.
        other: Whether it is of another kind altogether.
    """

    how: str
    advice: str
    other: bool = False


def named(kinds: Sequence[str]) -> str:
    """Name kinds of control, and where it is one alone what it looks like."""
    names = ["the film as it is" if kind == "film" else kind for kind in kinds]
    if len(names) > 1:
        return f"{', '.join(names[:-1])} or {names[-1]}"
    return f"{names[0]}, {_DRAWN[kinds[0]]}" if kinds[0] in _DRAWN else names[0]


def resemblance(seen: Look) -> str:
    """Name what a clip looks like, in words that follow "looks like"."""
    if seen.lines >= 0.5:
        return WHITE_LINES
    if seen.inverted_lines >= 0.5:
        return BLACK_LINES
    smooth = seen.detail <= SMOOTH_DETAIL or seen.grain <= SMOOTH_GRAIN
    thin = seen.broad <= MOST_BROAD_STROKES and seen.detail > TRAIL_DETAIL
    if seen.dark >= LEAST_DARK and seen.coloured >= LEAST_TRAIL_COLOUR and thin:
        return TRAILS
    is_grey = seen.coloured <= MOST_GREY_COLOUR
    if is_grey and seen.dark >= 0.5 and seen.broad <= MOST_BROAD_STROKES:
        return GREY_LINES if seen.broad <= MOST_BROAD_LINES else STROKES
    if not smooth:
        return FILM
    if seen.restless > MOST_RESTLESS and seen.even > MOST_EVEN:
        return BLURRED
    return SMOOTH if is_grey else COLOURED


def misfit(seen: Look, kind: str, conventions: tuple[str, ...], label: str) -> Misfit | None:
    """Say how a clip misses a kind of control.

    Args:
        seen: Its measures.
        kind: The kind.
        conventions: How depth may be drawn.
        label: What to call the clip, for advice.

    Returns:
        What it is instead; None where it does not miss it, or the kind has no looks of its own.
    """
    like, label = resemblance(seen), shlex.quote(label)  # as commands want it
    match FAMILIES.get(kind):
        case "lines":
            return _lines(kind, like, label)
        case "trails":
            return _trails(seen, kind, like, label)
        case "strokes":
            return _strokes(seen, kind, like, label)
        case "smooth":
            return _smooth(seen, kind, like, conventions, label)
        case "normals":
            return _normals(seen, like, label)
        case "film":
            return _film(seen, kind, like, label)
    return None


def _lines(kind: str, like: str, label: str) -> Misfit | None:
    if like == WHITE_LINES:
        return None
    if like == BLACK_LINES:
        return _inverted(kind, f"black lines on white, but {_DRAWN[kind]} are expected")
    if like == TRAILS:
        return Misfit(
            how=like,
            advice="If it is a pose or tracks, use an adapter for these; if edges, make them white.",
            other=True,
        )
    if like == GREY_LINES:
        return Misfit(
            how=f"its lines are grey, but {_DRAWN[kind]} are expected: lines fade where they are made "
            "smaller as pictures are",
            advice="Give them as large as they were drawn: they are made smaller here, and stay white; or "
            f"draw them in the size that is needed: --control {kind}=FILM.",
        )
    return _other(kind, like, label)


def _trails(seen: Look, kind: str, like: str, label: str) -> Misfit | None:
    if like == TRAILS:
        if kind == "tracks" and seen.purple >= LEAST_PURPLE:
            return _mixed_up("skeletons of people (trails of tracks have no purple)", "poses", kind)
        if kind == "pose" and seen.purple <= MOST_PURPLE and seen.heads >= LEAST_HEADS:
            return _mixed_up("trails of tracks (skeletons have purple heads, not blue ones)", "tracks", kind)
        if kind == "tracks" and seen.red > SWAPPED * seen.blue:
            return Misfit(
                how="heads of trails are red, but blue ones were trained on: red and blue are swapped",
                advice=f"{_SWAP}, or draw the tracks again with --control tracks=FILE.json.",
            )
        if kind == "pose" and seen.yellow_above < SWAPPED_BELOW:
            return Misfit(
                how="the colours of arms lie below those of legs: red and blue are swapped, or people stand "
                "on their heads",
                advice=f"{_SWAP}, or draw the skeletons again with --control pose=FILM.",
            )
        return None
    if seen.light >= LEAST_LIGHT:
        return _inverted(kind, f"lines on white, but {_DRAWN[kind]} are expected")
    if seen.dark >= LEAST_DARK and seen.coloured <= MOST_GREY_COLOUR and like != SMOOTH:
        return Misfit(
            how=f"the lines have no colour, but colours tell the parts of a {kind} control apart",
            advice="Draw the control again in RGB.",
        )
    return _other(kind, like, label)


def _mixed_up(how: str, what: str, kind: str) -> Misfit:
    advice = f"Use an adapter that follows {what}, or draw the {kind} of a film: --control {kind}=FILM."
    return Misfit(how=how, advice=advice, other=True)


def _strokes(seen: Look, kind: str, like: str, label: str) -> Misfit | None:
    grey = seen.coloured <= MOST_GREY_COLOUR
    if grey and seen.dark >= LEAST_STROKE_DARK and seen.broad <= MOST_BROAD_STROKES:
        return None
    if grey and seen.light >= LEAST_STROKE_DARK and seen.inverted_broad <= MOST_BROAD_STROKES:
        return _inverted(kind, f"dark on white, but {_DRAWN[kind]} are expected")
    return _other(kind, like, label)


def _smooth(seen: Look, kind: str, like: str, conventions: tuple[str, ...], label: str) -> Misfit | None:
    if like not in (SMOOTH, COLOURED):
        return _other(kind, like, label)
    if like == COLOURED and INFERNO not in conventions:
        return Misfit(
            how=f"it is coloured, but grey {kind} is expected",
            advice=f"Draw it grey: --control {kind}=FILM, or iclora control {kind} FILM -o grey.mp4.",
        )
    again = f"iclora control {kind} FILM -o coloured.mp4 --convention inferno"
    if like == COLOURED and seen.blue > SWAPPED * seen.red:
        return Misfit(
            how="what is near is blue, but yellow in the colours of INFERNO: red and blue are swapped",
            advice=f"{_SWAP}, or draw it again: {again}.",
        )
    if like == SMOOTH and conventions == (INFERNO,):
        return Misfit(
            how=f"it is grey, but {kind} in the colours of INFERNO is expected",
            advice=f"Draw it so: {again}.",
        )
    wanted = [one for one in conventions if (one == INFERNO) == (like == COLOURED)]
    if len(wanted) > 1:
        return None
    turned = f"iclora control {kind} {label} -o flipped.mp4 --render --convention near-black"
    mend = f"Draw it again, if it is: {again}." if like == COLOURED else f"Invert it, if it is: {turned}."
    return _upside_down(seen, mend, near_black=wanted[0] == NEAR_BLACK)


def _upside_down(seen: Look, advice: str, *, near_black: bool) -> Misfit | None:
    upside, light = (-seen.upside, seen.dark) if near_black else (seen.upside, seen.light)
    if upside >= UPSIDE_DOWN and light <= (MOST_LIGHT if upside >= LIGHT_ABOVE else 0.4):
        return None
    near, far = ("black", "darker") if near_black else ("white", "lighter")
    how = f"what is above, or most of the picture, is {far} than the rest, but near is {near}"
    return Misfit(how=f"{how}; it may be inverted", advice=advice)


def _normals(seen: Look, like: str, label: str) -> Misfit | None:
    if seen.normals < LEAST_NORMALS:
        return _other("normals", like, label)
    if seen.normal_red > abs(seen.normal_blue):
        return Misfit(
            how="normals face red, but blue is towards the eye: red and blue are swapped",
            advice=f"{_SWAP}, or draw them again with --control normals=DEPTH.",
        )
    if seen.normal_blue < 0:
        return _inverted("normals", "normals face away from the eye, but blue is towards it")
    return None


def _film(seen: Look, kind: str, like: str, label: str) -> Misfit | None:
    if kind == "grey":  # a grey film of bright lines is one
        if seen.coloured <= MOST_GREY_COLOUR:
            return None
        advice = f"Take them away with --control grey={label}."
        return Misfit(how="it has colours, but a film without them is expected", advice=advice)
    if like == WHITE_LINES:  # dark lines on white may be a film of a drawing
        advice = "Give the film itself, or use an adapter for what it is."
        return Misfit(how=like, advice=advice, other=True)
    if kind == "green" and not seen.green:
        return Misfit(
            how="nothing is pure green, so nothing is filled in",
            advice=f"Paint it: iclora control green {label} --mask MASK -o green.mp4.",
        )
    return None


def _inverted(kind: str, how: str) -> Misfit:
    return Misfit(how=how, advice=f"Invert it if it is a {kind} control: ffmpeg -i IN -vf negate OUT.")


def _other(kind: str, like: str, label: str) -> Misfit:
    thing = "edges" if kind == "canny" else kind
    if like in (FILM, COLOURED, BLURRED) and kind != "normals":
        return Misfit(how=like, advice=f"For its {thing} use --control {kind}={label}.", other=True)
    source = "depth use --control normals=DEPTH" if kind == "normals" else f"a film use --control {kind}=FILM"
    advice = f"For the {thing} of {source}, or use an adapter for what it is."
    return Misfit(how=like, advice=advice, other=True)
