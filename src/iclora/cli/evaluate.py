"""`iclora evaluate`: how closely a result follows its control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from iclora import adherence, controls, media
from iclora.adherence import Score, Truth
from iclora.cli.masks import read_where
from iclora.cli.present import SHEETS, Report, bars, check_beside, say, steps_of, to_stdout
from iclora.cli.words import parse_dials
from iclora.clip import Clip
from iclora.controls.depths import NEAR_WHITE
from iclora.controls.point_tracks import TRACK_SUFFIXES, read_tracks
from iclora.controls.poses import holds_keypoints, read_keypoints
from iclora.errors import RequestError


def evaluate(  # noqa: PLR0913  each is a word of the command line
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="KIND[,DIAL=..]",
            help="Kind of control: canny, depth, pose, tracks, ... Dials say how it is found or drawn.",
        ),
    ],
    reference: Annotated[
        Path,
        typer.Option("--reference", help="The control clip, a .json of keypoints or tracks, or the film."),
    ],
    video: Annotated[Path, typer.Option("--video", help="The result to score.")],
    extract: Annotated[
        bool, typer.Option("--extract", help="The reference is a film: extract its control.")
    ] = False,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Score inside (white) and outside (black) as well.")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option("--curve", help="Write the score frame by frame as a picture: .png ...")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write control, result and its control as a picture.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pictures that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score how closely a result follows its control: 1 is all, 0 is none.

    The control is brought to the result's clock and size as `iclora generate` does it, found in the result
    again, and compared. Also told: the lag in frames, how much of the control's drawing leaks into the
    result, and the result's own flicker and drift, in percent.

    Example: iclora evaluate --control canny --reference edges.mp4 --video out.mp4
    """
    kind, dials = _parse(control)
    places = (("a curve", curve, SHEETS), ("a contact sheet", sheet, SHEETS))
    check_beside(places, taken=[reference, video], overwrite=overwrite)
    with bars() as report:
        result = media.read(video, progress=steps_of(report, "reading"))
        where = None if mask is None else _where(mask, result)
        truth = _truth(kind, dials, reference, result, report, extract=extract)
        scoring = steps_of(report, "scoring")
        found = adherence.find_again(kind, truth, result, progress=scoring, **dials)
        score = adherence.score(kind, truth, result, found=found, where=where)
        steady = adherence.steadiness(result)
        if curve is not None:
            media.save_image(_curve(score), curve, overwrite=overwrite)
        if sheet is not None:
            media.save_image(_sheet(kind, truth, result, found), sheet, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(score.to_json() | steady))
        return
    _print(score, steady)


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    """Read `KIND[,DIAL=VALUE...]`."""
    kind, said = parse_dials(text, controls.CONTROLS)
    adherence.scorer_of(kind)
    return kind, controls.read_dials(kind, said)


def _truth(
    kind: str, dials: dict[str, Any], reference: Path, result: Clip, report: Report, *, extract: bool
) -> Truth:
    """What the control says, brought to the clock and size of the result."""
    from iclora.cli.scores import truth_of

    steps = steps_of(report, "reading")
    if kind == "pose" and holds_keypoints(reference):
        poses = read_keypoints(reference, height=result.height, width=result.width, fps=result.fps)
        return truth_of(kind, poses, result, **dials)
    if kind == "tracks" and reference.suffix.lower() in TRACK_SUFFIXES:
        canvas = (result.height, result.width)
        tracks = read_tracks(reference, canvas=canvas, num_frames=result.num_frames)
        return truth_of(kind, tracks, result, **dials)
    given = media.read(reference, fps=result.fps, max_frames=result.num_frames, progress=steps)
    if given.num_frames < result.num_frames:
        say(f"The reference ends after {given.num_frames} of {result.num_frames} frames; its last is held.")
    given = media.resample(given, fps=result.fps, num_frames=result.num_frames)
    if extract:
        cache = controls.user_cache(say)
        return truth_of(kind, given, result, cache=cache, progress=steps_of(report, kind), **dials)
    adherence.read_drawing(kind, given)  # refused as it is, before it is scaled
    smaller = given.height >= result.height and given.width >= result.width
    scale = controls.resize_lines if kind == "canny" and smaller else media.resize
    convention = dials.get("convention", NEAR_WHITE)
    return adherence.read_drawing(kind, scale(given, result.height, result.width), convention=convention)


def _where(mask: Path, result: Clip) -> np.ndarray:
    """The white part of a mask, as large and long as the result."""
    where = read_where(mask, result)
    if where.all() or not where.any():
        colour = "white" if where.all() else "black"
        raise RequestError(f"{mask} is {colour} everywhere, and parts nothing; leave --mask out.")
    return where


def _curve(score: Score) -> np.ndarray:
    frames = tuple(float(index) for index in range(len(score.frames)))
    curve = media.Curve(name=score.measure, x=frames, y=score.frames)
    return media.line_chart([curve], title=f"How the result follows its {score.control}", x_title="frame")


def _sheet(kind: str, truth: Truth, result: Clip, found: Truth) -> np.ndarray:
    scorer = adherence.scorer_of(kind)
    rows = [scorer.draw(truth), result, scorer.draw(found)]
    return media.contact_sheet(rows, labels=[f"{kind} of the control", "result", f"{kind} of the result"])


def _print(score: Score, steady: dict[str, float]) -> None:
    from iclora.cli.scores import describe

    first, second, *parts = describe(score)
    second += "".join(f"  {name} {value:.2f}%" for name, value in steady.items())
    for line in (first, second, *parts):
        to_stdout().print(line, markup=False)
