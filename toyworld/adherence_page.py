"""What was measured of adherence, laid out: tables, verdicts, the README's figures and the contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from iclora import media
from iclora.clip import Clip
from iclora.plan.laying import Canvas
from iclora.training.judging import FROM_FIRST_FRAME
from toyworld import takes
from toyworld.footage import AIMS, FILMED_SHARE, Aim, is_film
from toyworld.prompts import COLOURS
from toyworld.takes import Way

PAGE, REST = "adherence", "autoencoder and prompts"
"""Names of what stands between markers."""
CELL_PX = 128
NUM_COLOURS = 128
"""The sheet is kept in the repository, so it is kept small."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was measured of one adapter and one kind of control.

    Attributes:
        adapter: Its name.
        kind: The kind.
        one_way: Whether its references look at nothing but themselves.
        looks: For each clip what is read off it itself.
        takes: The numbers of each clip made in each way.
        pictures: Of the first clip, by way, the picture of what was made; beside it lies its control.
    """

    adapter: str
    kind: str
    one_way: bool
    looks: Mapping[str, Mapping[str, float]]
    takes: Mapping[tuple[str, Way], Mapping[str, Any]]
    pictures: Mapping[Way, tuple[Path, Path]]

    @property
    def aim(self) -> Aim:
        """What its kind is measured by."""
        return AIMS[self.kind]

    @property
    def groups(self) -> dict[str, list[str]]:
        """The clips of this world and the filmed ones, where there are any."""
        both = {"toyworld": False, "filmed": True}
        found = {name: [clip for clip in self.looks if is_film(clip) == film] for name, film in both.items()}
        return {name: clips for name, clips in found.items() if clips}

    def mean(self, clips: Sequence[str], way: Way, whose: str = "own", part: str = "all") -> float | None:
        """The mean over clips; None where none of them was made that way, or has anything there."""
        made = [self.takes[clip, way][whose][part] for clip in clips if (clip, way) in self.takes]
        there = [number for number in made if number is not None]
        return float(np.mean(there)) if there else None

    def met(self, clips: Sequence[str], *, share: float) -> bool:
        """Whether so large a share of the aim is reached in the mean."""
        value = self.mean(clips, takes.WITH)
        return value is not None and self.aim.met(value, share=share)

    def same(self, clips: Sequence[str], way: Way, other: Way) -> str:
        """In how many clips two ways give the same bytes."""
        frames = [[self.takes[clip, one]["frames"] for one in (way, other)] for clip in clips]
        return f"{sum(first == second for first, second in frames)} of {len(frames)}"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that was measured.

    Attributes:
        canvas: Size and clock of the clips.
        estimator: What found people in films.
        missing: Adapters that were asked for and are not there.
        lines: A line for each adapter and kind.
        rebuilt: The autoencoder's `psnr` and `edges`, by clip.
        prompts: Whether the `colour` and the `object` of each prompt show.
    """

    canvas: Canvas
    estimator: str
    missing: Sequence[str]
    lines: Sequence[Line]
    rebuilt: Mapping[str, Mapping[str, float]]
    prompts: Sequence[Mapping[str, bool]]


def text(measured: Measured) -> str:
    """Lays the adherence out as markdown.

    Args:
        measured: What was measured.

    Returns:
        The section between the markers of the page.
    """
    lines = [line for line in measured.lines if not line.one_way and line.looks]
    parts = [_head(measured)]
    if lines:
        parts += [_following(lines), _weaker(lines), _parts(lines)]
    if any(line.looks for line in measured.lines):
        parts.append(_kept([line for line in measured.lines if line.looks]))
    return "\n\n".join(parts)


def _head(measured: Measured) -> str:
    canvas, made = measured.canvas, [take for line in measured.lines for take in line.takes.values()]
    said = [
        f"{canvas.width}x{canvas.height}, {canvas.num_frames} frames, the adapter always on. People of "
        f"filmed clips are found by `{measured.estimator}`, those of results by `tiny`. "
        "Made by `make adherence`"
    ]
    if made:
        seconds = np.mean([take["seconds"] for take in made])
        said.append(f": {len(made)} clips, {seconds:.1f} seconds of one core each")
    said.append(".")
    if measured.missing:
        said.append(
            f" **Not there, and not measured: {', '.join(f'`{name}`' for name in measured.missing)}.**"
        )
    empty = [f"{line.kind} by `{line.adapter}`" for line in measured.lines if not line.looks]
    if empty:
        said.append(f" No clip tells anything of {' and '.join(empty)}.")
    return "".join(said)


def _following(lines: Sequence[Line]) -> str:
    heads = (
        *("", "clips", "aim", "with its control (worst)", "met", "without"),
        *("another's: to that", "to its own", "the clip itself"),
    )
    rows, met = [], []
    for line in lines:
        for group, clips in line.groups.items():
            film = group == "filmed"
            for some in [[clip] for clip in clips] if film else [clips]:
                met.append(line.met(some, share=FILMED_SHARE if film else 1.0))
                rows.append(_followed(line, some, some[0] if film else group, met[-1]))
    return f"{sum(met)} of {len(met)} aims are met.\n\n{_table(heads, rows)}"


def _followed(line: Line, clips: Sequence[str], name: str, met: bool) -> tuple[str, ...]:
    aim = line.aim
    goal = aim.goal_of(FILMED_SHARE if is_film(clips[0]) else 1.0)
    single = [line.mean([clip], takes.WITH) or 0.0 for clip in clips]
    worst = f" ({aim.text(max(single) if aim.error else min(single))})" if len(clips) > 1 else ""
    ways = ((takes.WITHOUT, "own"), (takes.OTHER, "other"), (takes.OTHER, "own"))
    others = [aim.text(line.mean(clips, way, whose)) for way, whose in ways]
    itself = float(np.mean([line.looks[clip]["itself"] for clip in clips]))
    value = aim.text(line.mean(clips, takes.WITH)) + worst
    whole = (_name(line, name), str(len(clips)), aim.text(goal), value, "yes" if met else "**no**")
    return (*whole, *others, aim.text(itself))


def _weaker(lines: Sequence[Line]) -> str:
    heads = (
        "attention strength",
        *(f"{strength:g}" for strength in takes.STRENGTHS),
        "falls with it",
        "0 is no reference, to the bit",
    )
    rows = []
    for line in lines:
        for group, clips in line.groups.items():
            values = [line.mean(clips, way) for way in (takes.WITH, *takes.WEAKER)]
            same = line.same(clips, takes.WEAKER[-1], takes.WITHOUT)
            rows.append((_name(line, group), *map(line.aim.text, values), falls(line.aim, values), same))
    return _table(heads, rows)


def falls(aim: Aim, values: Sequence[float | None]) -> str:
    """Says whether means at `takes.STRENGTHS` become no better as the strength falls.

    Args:
        aim: What they are measured by.
        values: The means.

    Returns:
        `yes`, or where not.
    """
    signed = [(-100 if aim.error else 1) * value for value in values if value is not None]
    steps = zip(takes.STRENGTHS, takes.STRENGTHS[1:], signed, signed[1:], strict=False)
    unit = " %" if aim.error else ""
    against = [
        f"{low:g} is better than {high:g} by {after - before:.3f}{unit}"
        for high, low, before, after in steps
        if after > before
    ]
    return f"no: {', '.join(against)}" if against else "yes"


def _parts(lines: Sequence[Line]) -> str:
    heads = (
        *("control in the left half alone", "left", "left, control everywhere", "right", "right, no control"),
        *("with a style", "control alone", "first frame and control"),
    )
    rows = []
    for line in lines:
        alone, both = takes.WITH, takes.TURNED
        if line.kind in FROM_FIRST_FRAME:
            alone, both = both, alone
        for group, clips in line.groups.items():
            halves = [
                line.mean(clips, way, part=part)
                for part, ways in (
                    ("inside", (takes.HALF, takes.WITH)),
                    ("outside", (takes.HALF, takes.WITHOUT)),
                )
                for way in ways
            ]
            wholes = [line.mean(clips, way) for way in (takes.STYLED, alone, both)]
            rows.append((_name(line, group), *map(line.aim.text, (*halves, *wholes))))
    return _table(heads, rows)


def _kept(lines: Sequence[Line]) -> str:
    heads = ("references kept", "clips", "policy", "off", "kept", "the same, to the bit")
    rows = []
    for line in lines:
        way = takes.EXACT if line.one_way else takes.KEPT
        for group, clips in line.groups.items():
            values = [line.aim.text(line.mean(clips, one)) for one in (takes.WITH, way)]
            same = line.same(clips, takes.WITH, way)
            rows.append((_name(line, group), str(len(clips)), f"`{way.cache}`", *values, same))
    return _table(heads, rows)


def _name(line: Line, group: str) -> str:
    return f"{line.kind} by `{line.adapter}`, {group}: {line.aim.measure}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def rest(measured: Measured) -> str:
    """Lays out what the base does without a control.

    Args:
        measured: What was measured.

    Returns:
        The section between the markers of the README.
    """
    world = [numbers for clip, numbers in measured.rebuilt.items() if not is_film(clip)]
    rows = [("mean of toyworld clips", _means(world, np.mean)), ("worst of them", _means(world, np.min))]
    rows = (rows if world else []) + [(clip, one) for clip, one in measured.rebuilt.items() if is_film(clip)]
    cells = [(name, f"{one['psnr']:.1f} dB", f"{one['edges']:.2f}") for name, one in rows]
    parts = [_table((f"autoencoder, {len(world)} clips of this world", "PSNR", "edge F1"), cells)]
    if measured.prompts:
        parts.append(_prompts(measured.prompts))
    return "\n\n".join(parts)


def _means(numbers: Sequence[Mapping[str, float]], over: Any) -> dict[str, float]:
    return (
        {name: float(over([one[name] for one in numbers])) for name in ("psnr", "edges")} if numbers else {}
    )


def _prompts(asked: Sequence[Mapping[str, bool]]) -> str:
    colours, objects = (sum(one[what] for one in asked) for what in ("colour", "object"))
    both, scenes = sum(one["colour"] and one["object"] for one in asked), len(asked) // len(COLOURS)
    return (
        f"Prompts: {len(asked)} were asked for ({scenes} scenes in {len(COLOURS)} colours, one seed a "
        f"scene). {colours} show the colour they name: compared with the mean of the scene's pictures, no "
        f"other colour gained as much of the picture (by chance {scenes}). {objects} show the object "
        f"they name: the largest patch of that colour has the outline of a figure, ball or box, as asked (by "
        f"chance about {round(len(asked) / 3)}). {both} show both."
    )


def sheet(measured: Measured) -> Image.Image | None:
    """Draws a strip for each adapter and kind: the first clip, made in several ways.

    Args:
        measured: What was measured.

    Returns:
        The picture, in few colours; None where there is nothing to show.
    """
    strips, labels = [], []
    for line in measured.lines:
        if line.one_way or not line.pictures:
            continue
        ways = {
            "with it": takes.WITH,
            "without": takes.WITHOUT,
            "another clip's": takes.OTHER,
            "attention 0.25": Way(attention=0.25),
            "left half alone": takes.HALF,
            "and a style": takes.STYLED,
            "without first frame" if line.kind in FROM_FIRST_FRAME else "and first frame": takes.TURNED,
        }
        made = {name: line.pictures[way][0] for name, way in ways.items() if way in line.pictures}
        paths = {"its control": line.pictures[takes.WITH][1], **made}
        cells = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths.values()]
        strips.append(Clip(frames=np.stack(cells), fps=1.0))
        labels.append(f"{line.kind} by {line.adapter}: {', '.join(paths)}")
    if not strips:
        return None
    most = max(strip.num_frames for strip in strips)
    whole = [np.pad(one.frames, ((0, most - one.num_frames), *3 * ((0, 0),))) for one in strips]
    rows = [Clip(frames=frames, fps=1.0) for frames in whole]
    drawn = media.contact_sheet(rows, labels=labels, num_columns=most, height=CELL_PX)
    return Image.fromarray(drawn).quantize(NUM_COLOURS, dither=Image.Dither.NONE)


def write(content: str, path: Path, name: str) -> None:
    """Puts a section between its markers in a page, or at its end.

    Args:
        content: The section.
        path: The page; made if missing.
        name: What stands in the markers.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    block = f"{begin}\n{content}\n{end}"
    if begin in page and end in page:
        before, _, rest = page.partition(begin)
        page = before + block + rest.partition(end)[2]
    else:
        page = f"{page.rstrip()}\n\n{block}\n".lstrip()
    path.write_text(page, encoding="utf-8")
