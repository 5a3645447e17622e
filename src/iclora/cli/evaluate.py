"""`iclora evaluate`: how closely a result follows its control."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from iclora import adherence, controls, media
from iclora.cli.present import bars, say, steps_of, to_stdout
from iclora.clip import Clip
from iclora.errors import RequestError

SCORED = ("canny",)
"""Controls that a result can be scored by."""


def evaluate(
    control: Annotated[str, typer.Option("--control", help="Kind of control: canny.")],
    reference: Annotated[
        Path, typer.Option("--reference", help="The control clip, or the film it came from.")
    ],
    video: Annotated[Path, typer.Option("--video", help="The result to score.")],
    extract: Annotated[
        bool, typer.Option("--extract", help="The reference is a film: extract its control.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score how closely a result follows its control: 1 is all, 0 is none.

    The control is brought to the result's clock and size as `iclora generate` does it, extracted from the
    result again, and compared within 2 pixels.

    Example: iclora evaluate --control canny --reference edges.mp4 --video out.mp4
    """
    if control not in SCORED:
        known = ", ".join(SCORED)
        raise RequestError(f"--control {control!r} is not a control that can be scored; accepted: {known}.")
    with bars() as report:
        result = media.read(video, progress=steps_of(report, "reading"))
        given = media.read(reference, fps=result.fps, max_frames=result.num_frames)
        lines = _laid_over(given, result, extract=extract)
        score = adherence.canny(lines, result, progress=steps_of(report, "scoring"))
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(score)))
        return
    to_stdout().print(f"F1 {score.f1:.3f}  precision {score.precision:.3f}  recall {score.recall:.3f}")


def _laid_over(given: Clip, result: Clip, *, extract: bool) -> Clip:
    """Bring a control, or the film it comes from, to the clock and size of the result."""
    if given.num_frames < result.num_frames:
        say(f"The reference ends after {given.num_frames} of {result.num_frames} frames; its last is held.")
    given = media.resample(given, fps=result.fps, num_frames=result.num_frames)
    if extract:
        return controls.canny(media.resize(given, result.height, result.width))
    if not controls.is_lines(given):
        raise RequestError(
            "The reference is not white lines on black, as a canny control is; give the control clip, or say "
            "--extract where it is the film the control came from."
        )
    if given.height >= result.height and given.width >= result.width:
        return controls.resize_lines(given, result.height, result.width)
    return media.resize(given, result.height, result.width)
