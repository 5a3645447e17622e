"""`iclora control pose`: a filmed clip, or keypoints that were edited, in; skeletons on black out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from iclora import controls, media
from iclora.cli import words
from iclora.cli.control import cache_of, shaped
from iclora.cli.glimpses import save_with_sheet
from iclora.cli.options import Cached
from iclora.cli.present import (
    SHEETS,
    Report,
    bars,
    check_beside,
    check_outputs,
    say,
    sidecar_path,
    steps_of,
    write_sidecar,
)
from iclora.clip import Film
from iclora.controls import poses
from iclora.controls.poses import Poses


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseWords:
    """The words of `iclora control pose`."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A video, a picture, a folder of pictures. Or keypoints, OpenPose or COCO: .json, a folder.",
        ),
    ]
    output: Annotated[
        str, typer.Option("-o", "--output", help="Where to: .mp4 .webm .gif, or folder/ of PNGs.")
    ]
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT; covered, middle kept. As given if left out.")
    ] = None
    frames: Annotated[
        int | None, typer.Option(help="Frames; the last is held if too short. All if left out.")
    ] = None
    fps: Annotated[float | None, typer.Option(help="Frames per second. As given if left out.")] = None
    estimator: Annotated[
        str,
        typer.Option(
            help="blazepose (body; no hub needed), dwpose (body, hands, face), tiny (toyworld's figures)."
        ),
    ] = "blazepose"
    device: Annotated[str, typer.Option(help="Where dwpose and tiny run: cpu, cuda, ...")] = "cpu"
    people: Annotated[
        int | None, typer.Option(help="Most people, those seen longest and largest. All if left out.")
    ] = None
    smooth: Annotated[
        float | None,
        typer.Option(help="How much keypoints are steadied, 0..1. Left out: 0.5, and 0 for given ones."),
    ] = None
    min_score: Annotated[
        float, typer.Option(help="Points the estimator is less sure of are not drawn, 0..1.")
    ] = poses.MIN_SCORE
    stick_width: Annotated[
        int | None, typer.Option(help="Half the width of a limb, in pixels. By the size if left out.")
    ] = None
    hands: Annotated[bool, typer.Option("--hands/--no-hands", help="Draw hands, if there are any.")] = True
    face: Annotated[bool, typer.Option("--face/--no-face", help="Draw face points, if any.")] = True
    keypoints: Annotated[
        Path | None,
        typer.Option(
            "--keypoints", metavar="FILE", help="Write the keypoints: .json (OpenPose), .coco.json."
        ),
    ] = None
    whole_scores: Annotated[
        bool, typer.Option("--whole-scores", help="Write scores as 0 or 1, as ComfyUI's nodes want them.")
    ] = False
    body: Annotated[
        Path | None,
        typer.Option("--body", metavar="FILE", help="Give everybody the limbs of the first person there."),
    ] = None
    scale: Annotated[float, typer.Option(help="Draw everybody so many times larger.")] = 1.0
    move: Annotated[str, typer.Option(metavar="X,Y", help="And so many pixels to the right, down.")] = "0,0"
    cache: Cached = True
    person: Annotated[
        int | None,
        typer.Option(help="Whom --body, --scale and --move are for, counted from 0. Everybody if left out."),
    ] = None
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="And a contact sheet: .png .jpg .webp.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keypoints:
    """The keypoints on their way: as found or given, steadied, and brought to their place."""

    found: Poses
    steady: Poses
    placed: Poses


@words.words_of(PoseWords)
def pose(said: PoseWords) -> None:
    """Draw the skeletons of everybody in a clip as OpenPose does, or of keypoints that were edited.

    Example: iclora control pose in.mp4 -o pose.mp4 --keypoints pose.json
    """
    output = _check_words(said)
    with bars() as report:
        points = _keypoints(said, report)
        _write(points, said, report)
    result = _figures(points, said.min_score)
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(said).items()}
    write_sidecar(output, {"command": "control pose", "asked": asked, "result": result})
    say(f"{output}: {_in_words(result)}")


def _check_words(said: PoseWords) -> Path:
    """Refuse words out of range, and results that could not be written, before any work is done."""
    poses.check_drawing(stick_width=said.stick_width, min_score=said.min_score)
    if not poses.holds_keypoints(said.source):
        poses.check_estimator(said.estimator, max_people=said.people, device=said.device)
        controls.check_installed(said.estimator)
    poses.check_smoothing(0.0 if said.smooth is None else said.smooth)
    move = words.parse_offset(said.move, "--move")
    poses.check_retargeting(body=said.body, scale=said.scale, move=move, person=said.person)
    sources = [said.source, *([said.body] if said.body is not None else [])]
    output = check_outputs(said.output, overwrite=said.overwrite, sources=sources)
    beside = [("keypoints", said.keypoints, (".json",)), ("a sheet", said.sheet, SHEETS)]
    taken = (*sources, output, sidecar_path(output))
    check_beside(beside, taken=taken, overwrite=said.overwrite, result=output)
    return output


def _filmed(said: PoseWords, report: Report) -> Film:
    """The film at the size and clock of the result."""
    size = None if said.size is None else words.parse_size(said.size)
    film = media.film(said.source, fps=said.fps, max_frames=said.frames, progress=steps_of(report, "looking"))
    return shaped(film, size, said.frames)


def _given(said: PoseWords) -> Poses:
    """Keypoints of a file, brought to the size and clock of the result."""
    height, width = (None, None) if said.size is None else words.parse_size(said.size)
    given = controls.read_keypoints(said.source, height=height, width=width, fps=said.fps)
    if height is not None and width is not None:
        given = poses.fit(given, height, width)
    given = poses.leading(given, max_people=said.people)
    return poses.retime(given, fps=given.fps if said.fps is None else said.fps, num_frames=said.frames)


def _keypoints(said: PoseWords, report: Report) -> Keypoints:
    """Find or read the keypoints, steady them, retarget them as asked: another body, then another place."""
    source = _given(said) if poses.holds_keypoints(said.source) else _filmed(said, report)
    other = None
    if said.body is not None:  # read before people are looked for, as that may take long
        size = {"height": source.height, "width": source.width}
        other = controls.read_keypoints(said.body, **size, fps=source.fps)
    if isinstance(source, Poses):
        found, amount = source, said.smooth or 0.0
    else:
        found = controls.find_poses(
            source,
            estimator=said.estimator,
            max_people=said.people,
            device=said.device,
            cache=cache_of(said.cache),
            progress=steps_of(report, "people"),
        )
        amount = poses.SMOOTH if said.smooth is None else said.smooth
    steady = poses.smooth_poses(found, amount)
    move = words.parse_offset(said.move, "--move")
    placed = poses.retarget(steady, body=other, scale=said.scale, move=move, person=said.person)
    poses.check_somebody(placed, min_score=said.min_score)
    return Keypoints(found=found, steady=steady, placed=placed)


def _write(points: Keypoints, said: PoseWords, report: Report) -> None:
    """Write the skeletons, and keypoints and sheet where they are asked for."""
    drawn = poses.film_poses(
        points.placed,
        stick_width=said.stick_width,
        min_score=said.min_score,
        hands=said.hands,
        face=said.face,
    )
    if said.keypoints is not None:
        whole = said.min_score if said.whole_scores or poses.is_coco(said.keypoints) else None
        controls.write_keypoints(points.placed, said.keypoints, whole_scores=whole, overwrite=said.overwrite)
    label = f"pose of {said.source.name}"
    save_with_sheet(drawn, said.output, said.sheet, label, report, overwrite=said.overwrite)


def _figures(points: Keypoints, min_score: float) -> dict[str, Any]:
    """What was found, and what the smoothing did to it; of one frame there is nothing to smooth."""
    placed = points.placed
    figures = {
        "width": placed.width,
        "height": placed.height,
        "num_frames": placed.num_frames,
        "fps": placed.fps,
        "num_people": placed.num_people,
        "num_frames_seen": int(placed.seen(min_score).sum()),
    }
    if placed.num_frames == 1:
        return figures
    return figures | {
        "flicker_before": round(poses.flicker(points.found), 4),
        "flicker_after": round(poses.flicker(points.steady, seen_in=points.found), 4),
        "lag_frames": round(poses.lag_frames(points.found, points.steady), 2) + 0.0,  # never -0
    }


def _in_words(result: dict[str, Any]) -> str:
    """Those figures as a line."""
    people, size = f"people {result['num_people']}", f"{result['width']}x{result['height']}"
    if result["num_frames"] == 1:
        return f"{people}, {size}, 1 frame"
    return (
        f"{people}, seen in {result['num_frames_seen']} of {result['num_frames']} frames, {size} at "
        f"{result['fps']:.4g} per second; flicker {result['flicker_before']:.2f}% to "
        f"{result['flicker_after']:.2f}%, lag {result['lag_frames']:.2f} frames"
    )
